"""`sidestream edge tail`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.duration import seconds_of
from sidestream_app.edge_local.file import EdgeYaml, glance
from sidestream_app.edge_local.words import quality_word, reading_line, scan_line
from sidestream_contracts.ids import nearest

if TYPE_CHECKING:
    from sidestream_edge.measurement import Batch

_TURN_S = 0.5


def tail(
    file: EdgeYaml = Path("edge.yaml"),
    /,
    *,
    sensor: Annotated[tuple[str, ...], Parameter(help="Only this sensor; may be given several times.")] = (),
    count: Annotated[int | None, Parameter(name=["--count", "-n"], help="End after so many readings.")] = None,
    duration: Annotated[str | None, Parameter(name="--for", help="End after this long, e.g. 60s or 5m.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="A JSON object on each line.")] = False,
) -> int:
    """Readings as they pass through the running agent, with time, unit and quality in words, until Ctrl-C.

    Needs no network and disturbs nothing: what you can't take in time is left out here, and only here. Exit code 1 when no
    agent runs or it ends.
    """
    from sidestream_edge.local.knock import Knock

    _, outbox = glance(file)
    until_s = time.monotonic() + (seconds_of(duration) if duration else float("inf"))
    left = count if count is not None else sys.maxsize
    with Knock(outbox) as agent:
        units = {one["id"]: one.get("unit") for one in agent.state()["status"]["sensors"]}
        for name in sorted(set(sensor) - units.keys()):
            guess = nearest(name, units)
            meant = f"; did you mean {guess!r}?" if guess else "."
            print(f"The agent knows no sensor {name!r} yet{meant} Waiting for it.", file=sys.stderr)
        agent.watch()
        while left > 0 and time.monotonic() < until_s:
            for passed in agent.passing(min(_TURN_S, until_s - time.monotonic())):
                if isinstance(passed, int):
                    print(f"({passed} readings passed too fast to be shown)", file=sys.stderr)
                    continue
                for line in _lines(passed, set(sensor), units, as_json=as_json):
                    print(line, flush=True)
                    left -= 1
                    if left <= 0:
                        return 0
    return 0


def _lines(batch: Batch, wanted: set[str], units: Mapping[str, str | None], *, as_json: bool) -> Iterator[str]:
    now_us = time.time_ns() // 1000
    for reading in batch.readings:
        if not wanted or reading.sensor in wanted:
            age_s = (now_us - reading.t) / 1e6
            facts = {"val": reading.val, "unit": units.get(reading.sensor)}
            yield _json(batch, reading, facts) if as_json else reading_line(reading, batch.driver, units, age_s)
    for scan in batch.scans:
        if not wanted or scan.sensor in wanted:
            age_s = (now_us - scan.t) / 1e6
            yield (
                _json(batch, scan, {"code": scan.code, "rssi": scan.rssi})
                if as_json
                else scan_line(scan, batch.driver, age_s)
            )


def _json(batch: Batch, one: Any, facts: Mapping[str, object]) -> str:
    told = {"quality": quality_word(one.q), "driver": batch.driver, "clock": batch.clock}
    return json.dumps({"sensor": one.sensor, "t": one.t, **facts, **told})
