"""From filled outboxes to the hub's acknowledgement: real edge processes on one side, the worker on the other."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sidestream_app.bench.ingest.frames import Gateway, gateways
from sidestream_app.bench.ingest.stand import Say, Stand, stand
from sidestream_app.embedded.ports import LOOPBACK, free_port
from sidestream_app.supervise import ProcessSpec, Supervisor
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane
from sidestream_contracts.hub import HubFile
from sidestream_edge.outbox import Draft, Outbox
from sidestream_edge.outbox.glance import waiting_frames
from sidestream_store.audit import deliveries

_BATCH = 200
_LOOK_S = 0.1
_LIVE = "bench-live"
_LIVE_PERIOD_S = 0.1
_LIVE_WAITING = 5
"""Frames of live readings that may be on their way when the backlog counts as drained."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """`frames` frames of `readings` readings in one lane."""

    frames: int
    readings: int
    lane: Lane


def edge_to_ack(admin_dsn: str, hub: HubFile, frames: int, folder: Path) -> float:
    """Readings per second from four outboxes with `frames` frames of 100 each until the hub has acknowledged the last one."""
    senders = gateways(hub, 2 * 3600)[:4]
    for sender in senders:
        _fill(sender, folder, Waiting(frames, 100, "live"))
    with stand(admin_dsn, hub, folder) as bench:
        took_s = _drain([_edge(sender, bench) for sender in senders], within_s=300.0)
    return 100 * frames * len(senders) / took_s


def backlog(admin_dsn: str, hub: HubFile, frames: int, folder: Path, say: Say) -> dict[str, Any]:
    """How long one gateway's backlog of `frames` frames of 1 000 takes, and how late its live readings are meanwhile."""
    sender = Gateway(*_backlogged(hub))
    _fill(sender, folder, Waiting(frames, 1000, "bulk"))
    say(f"an outbox with {frames * 1000:,} readings is there")
    with stand(admin_dsn, hub, folder) as bench:
        file = _edge(sender, bench, free_port())
        meter = _process("meter", folder, ("-m", "sidestream_app.chaos.devices", "1", str(file)))
        with Supervisor([meter]) as servers:
            servers.start_all()
            since = datetime.now(UTC)
            took_s = _drain([file], within_s=900.0, live=True)
            late_ms = [d.delay_ms for d in deliveries(bench.dsn, since) if d.sensor == _LIVE]
    p50, p95 = (statistics.quantiles(late_ms, n=20)[n] for n in (9, 18)) if len(late_ms) > 1 else (None, None)
    return {"backlog_s": round(took_s, 1), "backlog_live_ms": {"p50": p50, "p95": p95, "readings": len(late_ms)}}


def backlog_hub() -> HubFile:
    """One gateway with 100 sensors at 1 Hz and one that is read ten times a second."""
    sensors = [
        {"id": name, "device": "gw", "name": name, "quantity": "temperature", "unit": "Cel", "node": "yard"}
        for name in (*(f"s{n}" for n in range(100)), _LIVE)
    ]
    return HubFile.model_validate(
        {
            "version": 1,
            "hub": {"id": "bench", "name": "Bench", "timezone": "Europe/Oslo", "synthetic": True},
            "parties": [{"id": "p", "name": "Party"}],
            "devices": [{"id": "gw", "party": "p", "name": "Gateway"}],
            "nodes": [{"id": "yard", "party": "p", "kind": "process", "name": "Yard"}],
            "sensors": sensors,
        }
    )


def _backlogged(hub: HubFile) -> tuple[Any, list[str], int]:
    (gateway,) = gateways(hub, 25 * 3600)
    return gateway.address, [sensor for sensor in gateway.sensors if sensor != _LIVE], gateway.start_us


def _fill(sender: Gateway, folder: Path, waiting: Waiting) -> None:
    """The outbox of a gateway holds what waits from before."""
    home = folder / sender.address.device
    home.mkdir()
    outbox = Outbox(home / "outbox.sqlite", max_bytes=4_000_000_000)
    for start in range(0, waiting.frames, _BATCH):
        count = min(_BATCH, waiting.frames - start)
        outbox.append([Draft(waiting.lane, "readings", sender.payload(waiting.readings)) for _ in range(count)])
    outbox.close()


def _edge(sender: Gateway, bench: Stand, live_port: int | None = None) -> Path:
    """The edge.yaml of the gateway, beside its outbox."""
    file = bench.folder / sender.address.device / "edge.yaml"
    file.write_text(_yaml(sender, bench.broker_port, live_port))
    file.with_name("none.csv").write_text("t,v\n")
    return file


def _yaml(sender: Gateway, broker_port: int, live_port: int | None) -> str:
    driver = (
        f"  - {{id: meter, type: modbus, host: {LOOPBACK}, port: {live_port}, period_s: {_LIVE_PERIOD_S},\n"
        f"     sensors: [{{id: {_LIVE}, register: 0, type: uint32, scale: 0.001}}]}}"
        if live_port
        else f"  - {{id: idle, type: recorded, file: none.csv, time_column: t, time_format: epoch_ms,\n"
        f"     sensors: [{{id: {sender.sensors[0]}, column: v}}]}}"
    )
    where = sender.address
    return (
        f"version: 1\nhub: {where.hub}\nparty: {where.party}\ndevice: {where.device}\n"
        f"broker: {{host: {LOOPBACK}, port: {broker_port}}}\n"
        f"outbox: {{path: outbox.sqlite, max_mb: 4000}}\ndrivers:\n{driver}\n"
    )


def _drain(files: Sequence[Path], within_s: float, *, live: bool = False) -> float:
    """Seconds from the first acknowledgement until every outbox is empty, but for what is live."""
    specs = [
        _process(f"edge-{n}", file.parent, ("-m", "sidestream_app", "edge", "run", str(file)))
        for n, file in enumerate(files)
    ]
    full, rest = _waiting(files), (_LIVE_WAITING if live else 0)
    with Supervisor(specs) as edges:
        edges.start_all()
        _until(lambda: _waiting(files) < full, within_s)
        began_s = time.perf_counter()
        _until(lambda: _waiting(files) <= rest, within_s)
        return time.perf_counter() - began_s


def _waiting(files: Sequence[Path]) -> int:
    return sum(waiting_frames(file.parent / "outbox.sqlite") for file in files)


def _until(condition: Callable[[], bool], within_s: float) -> None:
    deadline_s = time.perf_counter() + within_s
    while not condition():
        if time.perf_counter() > deadline_s:
            raise TransientError(
                f"The outboxes were not empty after {within_s:.0f} s; the hub or the broker stands still."
            )
        time.sleep(_LOOK_S)


def _process(name: str, folder: Path, arguments: tuple[str, ...]) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, *arguments), folder / f"{name}.log")
