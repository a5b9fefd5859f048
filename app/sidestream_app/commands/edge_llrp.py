"""`sidestream edge probe llrp`."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.edge_probe import Broker, Device, Hub, Overwrite, Party, Write, put_draft
from sidestream_app.commands.options import AsJson
from sidestream_app.commands.progress import Progress
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.probe.draft import Head, edge_yaml, write_draft

_HEAD = Head()
_PORT = 5084
_HOST = re.compile(r"(?P<host>\[[^\]]+\]|[^:\s/]+)(?::(?P<port>\d{1,5}))?")


def llrp(
    host: str,
    /,
    *,
    listen: Annotated[float, Parameter(help="Seconds to listen to tags.")] = 5.0,
    timeout: Annotated[float, Parameter(help="Seconds to wait for each answer.")] = 5.0,
    write: Write = None,
    overwrite: Overwrite = False,
    hub: Hub = _HEAD.hub,
    party: Party = _HEAD.party,
    device: Device = _HEAD.device,
    broker_host: Broker = _HEAD.broker_host,
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

    match = _HOST.fullmatch(host)
    if match is None or not 1 <= int(match["port"] or _PORT) <= 65535:
        raise ConfigurationError(f"{host!r} is no HOST or HOST:PORT; e.g. 10.0.0.9 or reader.local:5084.")
    if write is not None and write.exists() and not overwrite:
        write_draft(write, "")
    name, port = match["host"].strip("[]"), int(match["port"] or _PORT)
    with Progress() as progress:
        found = probe(name, port, listen, timeout, progress.tell)
    section = report.driver_section(name, port, found)
    said = report.lines(found)
    draft = edge_yaml(Head(hub, party, device, broker_host), said[:1], [section]) if section else None
    if as_json:
        print_json({**report.facts(found), "draft": draft})
    else:
        print("\n".join(said))
    if write is not None:
        put_draft(write, draft, overwrite=overwrite)
    return 0 if section else 1
