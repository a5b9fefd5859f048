"""`sidestream edge probe llrp`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson
from sidestream_app.commands.probed import NO_DRAFT, Draft, host_and_port
from sidestream_app.commands.progress import Progress

_PORT = 5084


def llrp(
    host: str,
    /,
    *,
    listen: Annotated[float, Parameter(help="Seconds to listen to tags.")] = 5.0,
    timeout: Annotated[float, Parameter(help="Seconds to wait for each answer.")] = 5.0,
    draft: Draft = NO_DRAFT,
    as_json: AsJson = False,
) -> int:
    """Find out what an RFID reader is and which tags its antennas read, and draft the edge.yaml that reads it.

    Asks over LLRP for maker, firmware, powers and connected antennas, and listens for some seconds. A reader serves one
    client: stop the agent that reads it first. Exit code 1 if no antenna is connected and nothing was read, 3 if the reader
    can't be reached or is taken.

    Example: `sidestream edge probe llrp 10.0.0.9 --write edge.yaml`

    Parameters
    ----------
    host
        HOST or HOST:PORT; port 5084 where it is left out.
    """
    from sidestream_edge.probe import llrp_report as report
    from sidestream_edge.probe.llrp import probe

    name, port = host_and_port(host, _PORT)
    draft.check()
    with Progress() as progress:
        found = probe(name, port, listen, timeout, progress.tell)
    section = report.driver_section(name, port, found)
    said = report.lines(found)
    draft.answer(said, report.facts(found), [section] if section else [], as_json=as_json)
    return 0 if section else 1
