"""`sidestream edge probe modbus`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson
from sidestream_app.commands.probed import NO_DRAFT, Draft, host_and_port
from sidestream_app.commands.progress import Progress
from sidestream_contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from sidestream_edge.drivers.modbus.link import Address

_PORT = 502
_ALL_UNITS = range(1, 248)


def modbus(
    host: str | None = None,
    /,
    *,
    serial: Annotated[str | None, Parameter(help="Instead of HOST: a serial port, e.g. /dev/ttyUSB0.")] = None,
    baud: Annotated[int, Parameter(help="With --serial: its speed.")] = 19_200,
    parity: Annotated[Literal["none", "even", "odd"], Parameter(help="With --serial: its parity.")] = "even",
    stop_bits: Annotated[Literal[1, 2], Parameter(help="With --serial: its stop bits.")] = 1,
    rtu: Annotated[bool, Parameter(negative=(), help="HOST is a serial server that passes RTU frames on.")] = False,
    unit: Annotated[
        str | None,
        Parameter(help="A unit id, several (1,4,7-9), or `all` (1 to 247). Left out: 1 to 10, by TCP 255 and 0 too."),
    ] = None,
    registers: Annotated[
        str | None,
        Parameter(help="Which registers: 0-99,4000-4050. Left out: 0 to 999, and round numbers up to 50000."),
    ] = None,
    timeout: Annotated[float, Parameter(help="Seconds to wait for each answer.")] = 0.5,
    pause: Annotated[float, Parameter(help="Seconds between two requests; more for a line that others use.")] = 0.02,
    most_requests: Annotated[int, Parameter(help="Requests to one unit at most.")] = 2000,
    draft: Draft = NO_DRAFT,
    as_json: AsJson = False,
) -> int:
    """Find out what answers at a Modbus device, server or serial line, and draft the edge.yaml that reads it.

    Lists the units that answer, what they say of themselves (function 43/14), which holding and input registers exist, and
    for those that are not zero what they could mean in every type and byte order. Only reads, one request at a time. A
    serial port must not be held by a running agent. Exit code 1 if no unit answers, 3 if there is no way there.

    Examples: `sidestream edge probe modbus 10.0.0.5 --write edge.yaml`,
    `sidestream edge probe modbus --serial /dev/ttyUSB0 --baud 9600 --parity none --unit all`

    Parameters
    ----------
    host
        HOST or HOST:PORT; port 502 where it is left out.
    """
    from sidestream_edge.probe import modbus_report as report
    from sidestream_edge.probe.modbus import Manner, probe

    address = _address(host, serial, baud, parity, stop_bits, rtu=rtu)
    units, ranges = _units(unit), _numbers("--registers", registers, 65535) if registers else []
    draft.check()
    with Progress() as progress:
        found = probe(address, units, ranges, Manner(timeout, pause, most_requests), progress.tell)
    sections = report.driver_sections(address, found)
    said = list(report.lines(address, found))
    draft.answer(said, report.facts(address, found), sections, as_json=as_json)
    return 0 if found.units else 1


def _address(
    host: str | None,
    serial: str | None,
    baud: int,
    parity: Literal["none", "even", "odd"],
    stop_bits: int,
    *,
    rtu: bool,
) -> Address:
    from sidestream_contracts.edge_modbus import SerialLine
    from sidestream_edge.drivers.modbus.link import TcpAddress

    if (host is None) == (serial is None):
        raise ConfigurationError("Say either HOST[:PORT] or --serial PORT: sidestream edge probe modbus 10.0.0.5")
    if serial is not None:
        if not 300 <= baud <= 921_600:
            raise ConfigurationError(f"--baud {baud}: a serial line has 300 to 921600, most often 9600 or 19200.")
        return SerialLine(port=serial, baud=baud, parity=parity, stop_bits=stop_bits)
    return TcpAddress(*host_and_port(host or "", _PORT), rtu=rtu)


def _units(text: str | None) -> list[int] | None:
    if text is None:
        return None
    if text == "all":
        return list(_ALL_UNITS)
    return [unit for first, last in _numbers("--unit", text, 255) for unit in range(first, last + 1)]


def _numbers(option: str, text: str, most: int) -> list[tuple[int, int]]:
    """`1,4,7-9` as ranges with both ends."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= most:
            raise ConfigurationError(f"{option} {text!r}: write numbers from 0 to {most}, as in 1,4,7-9.")
        found.append((first, last))
    return found
