"""A driver's health as it crosses from its own process to the agent: all of it each time, so that none need be repeated."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.drivers.base import Health
from sidestream_edge.drivers.rejected import Rejected


def told(health: Health) -> dict[str, Any]:
    """`health` without state and restarts, which the agent knows better, as JSON."""
    return {
        "ran": health.state == "running",
        "last_good_at": health.last_good_at.isoformat() if health.last_good_at else None,
        "trouble": health.trouble,
        "last_fault": health.last_fault,
        "counters": dict(health.counters),
        "announced": [sensor.model_dump() for sensor in list(health.announced.values())],
        "rejected": health.rejected.told(),
        "notes": dict(health.notes),
    }


def taken(health: Health, body: dict[str, Any]) -> None:
    """`health` says from now on what `body` says; ValueError, KeyError or TypeError for what `told` never makes."""
    good_at = body["last_good_at"]
    health.last_good_at = datetime.fromisoformat(good_at) if good_at else None
    health.trouble, health.last_fault = body["trouble"], body["last_fault"]
    health.counters = {str(name): int(count) for name, count in body["counters"].items()}
    health.announced = {one.id: one for one in map(AnnouncedSensor.model_validate, body["announced"])}
    health.rejected = Rejected.of(body["rejected"])
    health.notes = {str(about): str(text) for about, text in body["notes"].items()}
    if body["ran"]:
        health.state = "running"
