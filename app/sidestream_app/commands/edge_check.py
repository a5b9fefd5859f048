"""`sidestream edge check`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.duration import seconds_of
from sidestream_app.commands.options import AsJson
from sidestream_app.status.line import Line
from sidestream_app.status.screen import print_line
from sidestream_contracts.edge import EdgeFile, load_edge, sensor_ids
from sidestream_contracts.edge_driver import DriverPart

if TYPE_CHECKING:
    from sidestream_app.edge_local.walk import Row, Step
    from sidestream_edge.drivers.diagnosis import Ranges

_SETTLE_S = 4.0
_NOT_ASKED = "The agent here holds its devices. To see what registers could also mean, and values against --hub, stop it and check again."


def check(
    file: Annotated[Path, Parameter(help="The edge.yaml of this gateway.")] = Path("edge.yaml"),
    /,
    *,
    file_only: Annotated[
        bool, Parameter(negative=(), help="Only whether the file is well-formed; connects to nothing.")
    ] = False,
    duration: Annotated[str, Parameter(name="--for", help="Look for at most this long, e.g. 60s or 5m.")] = "20s",
    hub: Annotated[Path | None, Parameter(help="A hub.yaml: its ranges tell values that can't be meant.")] = None,
    dsn: Annotated[
        str | None, Parameter(env_var="SIDESTREAM_DSN", help="At the hub: shows the rows themselves.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Walk the way of every value, from edge.yaml to the hub's database, and say at which step it stops and what to do.

    config → clock → driver → device → value → unit → broker → hub → row. Watches the agent that runs here. If none does, one is
    run for the check: what it measures is real, is sent, and is kept like everything else; recorded files are not played.

    Exit code 0 when every value arrives, 1 when one stops on the way, 2 for a wrong file (every mistake with its line).
    """
    edge = load_edge(file)
    if file_only:
        return _well_formed(file, edge, as_json=as_json)
    steps = _walked(file, edge, seconds_of(duration), _ranges(hub), dsn)
    broken = next((step for step in steps if step.level == "broken"), None)
    if as_json:
        facts = {"file": str(file), "device": edge.device, "ok": broken is None}
        print_json({**facts, "stops_at": asdict(broken) if broken else None, "steps": [asdict(step) for step in steps]})
    else:
        _show(steps, broken)
    return int(broken is not None)


def _well_formed(file: Path, edge: EdgeFile, *, as_json: bool) -> int:
    drivers = {driver.id: len(sensor_ids(driver)) for driver in edge.drivers}
    if as_json:
        print_json({"file": str(file), "device": edge.device, "ok": True, "drivers": drivers})
    else:
        print(f"{file}: {_summary(edge)}.")
    return 0


def _summary(edge: EdgeFile) -> str:
    listed = ", ".join(f"{driver.id} ({_sensors(driver)})" for driver in edge.drivers)
    return f"device {edge.device!r} of {edge.party!r} is well-formed; drivers: {listed}"


def _sensors(driver: DriverPart) -> str:
    """How many sensors the file names; a plug-in in a process of its own is not loaded to be asked."""
    n = len(sensor_ids(driver))
    return f"{n} sensors" if n or driver.isolation != "process" else "its process tells its sensors"


def _walked(file: Path, edge: EdgeFile, for_s: float, ranges: Ranges, dsn: str | None) -> list[Step]:
    from sidestream_app.edge_local.walk import Step, clock, is_decided, walk
    from sidestream_app.edge_local.watching import watch

    steps = [Step("config", file.name, "ok", _summary(edge))]
    doubted = clock(datetime.now(UTC), _written_at(file))
    if doubted.level == "broken":  # what is measured now would go to the hub with a wrong time
        return [*steps, doubted]
    print("Looking on; this takes some seconds …", file=sys.stderr)
    base = file.resolve().parent
    seen = watch(edge, base, for_s, ranges, lambda seen: is_decided(edge, seen, min(_SETTLE_S, for_s)))
    if not seen.own:
        print(_NOT_ASKED, file=sys.stderr)
    now_at = datetime.now(UTC)
    off = next((text for text in seen.troubles if "clock is" in text), None)
    steps.append(clock(now_at, _written_at(file), off))
    return [*steps, *walk(edge, seen, _rows(dsn, edge), now_at)]


def _ranges(hub: Path | None) -> Ranges:
    if hub is None:
        return {}
    from sidestream_contracts import yamlfile
    from sidestream_contracts.hub import HubFile

    return {sensor.id: sensor.range for sensor in yamlfile.load(hub, HubFile).sensors if sensor.range is not None}


def _rows(dsn: str | None, edge: EdgeFile) -> Mapping[str, Row] | None:
    if dsn is None:
        return None
    from sidestream_app.edge_local.walk import Row
    from sidestream_store.read.newest import newest_rows

    found = newest_rows(dsn, edge.party, edge.device)
    return {sensor: Row(*cells) for sensor, cells in found.items()}


def _written_at(file: Path) -> datetime:
    """The newest time that this machine is known to have seen: of the file itself, and of the installed program."""
    return max(datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in (file, Path(__file__)))


def _show(steps: Sequence[Step], broken: Step | None) -> None:
    for step in steps:
        print_line(Line(step.step, step.level, f"{step.about}: {step.text}", step.todo), 8)
        for line in step.more:
            print(" " * 22 + line)
    if broken is not None:
        print(f"\nIt stops at step {broken.step} ({broken.about}).")
    elif any(step.level == "attention" for step in steps):
        print("\nNothing is broken, but see to what is marked ATTENTION.")
    else:
        print("\nAll the way to the hub's database.")
