"""Memory and processor time of a running agent, how soon it has its first reading on the disk, how fast the outbox writes."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from sidestream_app.bench.edge.gateway import Pace, running
from sidestream_app.bench.ingest.frames import gateways
from sidestream_app.embedded.ports import free_port
from sidestream_app.supervise.memory import process_tree, tree_memory_mb
from sidestream_contracts.errors import DomainError, TransientError
from sidestream_contracts.hub import HubFile
from sidestream_edge.outbox import Draft, Outbox
from sidestream_edge.outbox.glance import frames_made, waiting_frames

_LOOK_S = 0.01
_SAMPLE_S = 1.0
_PATIENCE_S = 30.0
_READINGS = {"writes": 12, "large": 100}
"""Readings of a frame: what 60 values/s gather in 0.2 s, and a full frame."""


def footprint(pace: Pace, broker_port: int, folder: Path, warm_s: float, window_s: float) -> dict[str, Any]:
    """PSS of the whole tree (largest of a sample a second) and per cent of one core, over a window that begins `warm_s` after the first reading."""
    with running(pace, broker_port, folder) as pid:
        _until_stored(folder)
        time.sleep(warm_s)
        began_s, used_s = time.perf_counter(), _cpu_s(pid)
        memory_mb: list[float] = []
        while time.perf_counter() < began_s + window_s:
            time.sleep(min(_SAMPLE_S, window_s))
            memory_mb.append(tree_memory_mb(pid))
        cpu_pct = 100 * (_cpu_s(pid) - used_s) / (time.perf_counter() - began_s)
        waiting = waiting_frames(folder / "outbox.sqlite")
    return {
        "pss_mb": round(max(memory_mb), 1),
        "cpu_pct": round(cpu_pct, 2),
        "values_s": round(pace.values_s),
        "how": str(pace),
        "waiting_frames": waiting,
    }


def _cpu_s(pid: int) -> float:
    total = 0.0
    for process in process_tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def starts(times: int, folder: Path) -> dict[str, float]:
    """Seconds from the start of the process until its first reading is durable in the outbox; medians of some starts.

    `start_cpu_s` is the processor time of it, which a busy machine does not stretch.
    """
    each = [_start(folder / f"start-{n}") for n in range(times)]
    walls, used = zip(*each, strict=True)
    return {"start_s": round(statistics.median(walls), 2), "start_cpu_s": round(statistics.median(used), 2)}


def _start(folder: Path) -> tuple[float, float]:
    with running(Pace(60, 1.0), free_port(), folder) as pid:
        began_s = float(psutil.Process(pid).create_time())
        _until_stored(folder)
        return time.time() - began_s, _cpu_s(pid)


def _until_stored(folder: Path) -> None:
    """Until the agent in `folder` has its first reading on the disk."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not _has_stored(folder / "outbox.sqlite"):
        if time.monotonic() > deadline_s:
            raise TransientError(f"The agent stored nothing in {_PATIENCE_S:.0f} s; see {folder}/edge.log.")
        time.sleep(_LOOK_S)


def _has_stored(outbox: Path) -> bool:
    try:
        return frames_made(outbox) > 0
    except DomainError:  # it is being made
        return False


def outbox_rates(hub: HubFile, seconds: float, folder: Path) -> dict[str, Any]:
    """Durable transactions a second (one frame each, synchronous=FULL), and readings a second in frames of 100."""
    found = {}
    for name, readings in _READINGS.items():
        sender = gateways(hub, 3600)[0]
        payloads = [sender.payload(readings) for _ in range(200)]
        found[name] = _appended_s(payloads, seconds, folder / f"{name}.sqlite")
    return {
        "outbox_writes_s": round(found["writes"]),
        "outbox_readings_s": round(found["large"] * _READINGS["large"]),
        "outbox_filesystem": _filesystem(folder),
    }


def _appended_s(payloads: Sequence[bytes], seconds: float, path: Path) -> float:
    outbox = Outbox(path, max_bytes=4_000_000_000)
    began_s = time.perf_counter()
    frames = 0
    for payload in itertools.cycle(payloads):
        outbox.append([Draft("live", "readings", payload)])
        frames += 1
        took_s = time.perf_counter() - began_s
        if took_s >= seconds:
            break
    outbox.close()
    return frames / took_s


def _filesystem(folder: Path) -> str:
    """Type of the file system that `folder` is on; on tmpfs a write costs nothing, and the figure means nothing."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"
