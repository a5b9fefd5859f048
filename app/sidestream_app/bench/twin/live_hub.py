"""A made-up hub to update: a feed into busbars, each with its lines, every stream metered once a minute, all balanced."""

from __future__ import annotations

from typing import Any

import numpy as np

from sidestream_contracts.hub import HubFile
from sidestream_twin.core.arrays import FloatArray

LINES = 24
"""Lines of a busbar, beside its own feed: 25 streams."""
_LIVE = [{"state": "live", "since": "2020-01-01"}]


def live_hub(busbars: int) -> HubFile:
    """The hub with `busbars` × 25 streams, one power meter each; balances are closed every quarter of an hour."""
    nodes: list[dict[str, Any]] = [{"id": "grid", "party": "a", "kind": "border", "name": "Grid"}]
    streams: list[dict[str, Any]] = []
    for n in range(busbars):
        nodes.append({"id": f"bus-{n}", "party": "a", "kind": "junction", "name": f"Busbar {n}"})
        streams.append(_stream(f"feed-{n}", "grid", f"bus-{n}"))
        for k in range(LINES):
            nodes.append({"id": f"user-{n}-{k}", "party": "a", "kind": "process", "name": f"User {n}/{k}"})
            streams.append(_stream(f"line-{n}-{k}", f"bus-{n}", f"user-{n}-{k}"))
    return HubFile.model_validate({
        "version": 1,
        "hub": {"id": "bench", "name": "Bench", "timezone": "Europe/Oslo", "synthetic": True, "step_s": 60},
        "parties": [{"id": "a", "name": "A"}],
        "materials": [{"id": "electricity", "name": "Electricity", "phase": "electricity"}],
        "devices": [{"id": "gw", "party": "a", "name": "Gateway"}],
        "nodes": nodes,
        "streams": streams,
        "sensors": [_sensor(stream["id"]) for stream in streams],
    })  # fmt: skip


def readings(hub: HubFile, minutes: int, seed: int) -> FloatArray:
    """What every meter reads in each of so many minutes, kW: minutes × streams, in the hub's order of sensors."""
    rng = np.random.default_rng(seed)
    streams = len(hub.streams)
    swing = 1.0 + 0.2 * np.sin(np.arange(minutes)[:, None] / 300.0 + np.arange(streams)[None, :])
    true = 100.0 * swing
    feeds = np.arange(0, streams, LINES + 1)
    for feed in feeds.tolist():
        true[:, feed] = true[:, feed + 1 : feed + 1 + LINES].sum(axis=1)
    return np.asarray(true * (1.0 + 0.003 * rng.standard_normal(true.shape)))


def _stream(name: str, source: str, target: str) -> dict[str, Any]:
    return {"id": name, "name": name, "source": source, "target": target, "material": "electricity", "lifecycle": _LIVE}


def _sensor(stream: str) -> dict[str, Any]:
    return {
        "id": f"m-{stream}", "device": "gw", "name": stream, "quantity": "power", "unit": "kW", "role": "power", "stream": stream,
        "accuracy": {"limit_pct": 0.5, "random_pct": 0.3}, "range": [0, 5000], "period_s": 60,
    }  # fmt: skip
