"""Takes one recorded file through the whole chain: edge → MQTT → database → twin, on embedded servers of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidestream_app.demo import measure
from sidestream_app.demo.layout import Layout, Ports
from sidestream_app.demo.stack import Files, Stack
from sidestream_contracts.errors import TransientError

if TYPE_CHECKING:
    from sidestream_simulators.recordings import Recording

_PATIENCE_S = 600.0


def replay(recording: Recording, home: Path, env: dict[str, str], say: Callable[[str, str], None]) -> dict[str, Any]:
    """What was sent, committed, lost and doubled, and what the twin makes of it; every process has ended afterwards."""
    layout = Layout(home.absolute())
    layout.prepare(fresh=True)
    settings = {**recording.env, **env, "SIDESTREAM_JOURNAL": "true"}
    os.environ.update(settings)
    ports = Ports.choose(0, 0, 0, 0)
    stack = Stack(layout, ports, Files(recording.hub_path, recording.edge_path, settings), say)
    try:
        began = time.monotonic()
        stack.start_servers()
        stack.add_ingest()
        stack.add_edge(after=("ingest",))
        stack.supervisor.start_all()
        _wait_until_all_is_in(stack, say)
        arrived_s = time.monotonic() - began
        say("twin", "computing")
        return {
            "recording": recording.name,
            "synthetic": False,
            "clock": "recorded",
            **asdict(measure.counted(stack, after=0)),
            "seconds_to_database": round(arrived_s, 1),
            **_twin(stack, say),
            "dir": str(home),
        }
    finally:
        stack.supervisor.stop_all(5.0)


def _wait_until_all_is_in(stack: Stack, say: Callable[[str, str], None]) -> None:
    from sidestream_edge.outbox import waiting_frames
    from sidestream_store.audit import drivers_finished, rows

    deadline, told = time.monotonic() + _PATIENCE_S, 0.0
    while not (drivers_finished(stack.dsn) and waiting_frames(stack.layout.outbox) == 0):
        if time.monotonic() > deadline:
            raise TransientError(f"The recording is not through after {_PATIENCE_S:.0f} s; see {stack.layout.logs}.")
        if time.monotonic() - told > 2.0:
            told = time.monotonic()
            say("replay", f"{rows(stack.dsn)} measurements are in the database")
        time.sleep(0.2)


def _twin(stack: Stack, say: Callable[[str, str], None]) -> dict[str, Any]:
    from sidestream_store.audit import heat_totals_j, tags_read
    from sidestream_twin.update import update_until_clean

    update_until_clean(stack.dsn, lambda line: say("twin", line))
    found: dict[str, Any] = {}
    for stream, computed_j, register_j in heat_totals_j(stack.dsn):
        found.setdefault("heat", []).append(
            {
                "stream": stream,
                "computed_mwh": round(computed_j / 3.6e9, 3),
                "register_mwh": round(register_j / 3.6e9, 3),
                "difference_pct": round(100 * (computed_j / register_j - 1), 3),
            }
        )
    tags = tags_read(stack.dsn)
    if tags.scans:
        found["tags"] = asdict(tags)
    return found


def say(name: str, what: str) -> None:
    """Progress on stderr."""
    print(f"{time.strftime('%H:%M:%S', time.gmtime())}Z  {name:<10} {what}", file=sys.stderr, flush=True)
