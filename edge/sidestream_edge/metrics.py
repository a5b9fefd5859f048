"""The agent's figures for Prometheus: its own status, as numbers."""

from __future__ import annotations

from collections.abc import Iterator

from sidestream_contracts.messages import Status
from sidestream_contracts.metrics import Sample

_PREFIX = "sidestream_edge_"
_WELL = ("running", "finished")


def samples(status: Status, *, broker_connected: bool) -> Iterator[Sample]:
    """Everything that `docs/metrics.md` lists for the edge."""
    for lane in status.outbox:
        age_s = (status.at - lane.oldest_at).total_seconds() if lane.oldest_at else 0.0
        yield Sample(f"{_PREFIX}outbox_frames", lane.frames, (lane.lane,))
        yield Sample(f"{_PREFIX}outbox_oldest_age_seconds", max(age_s, 0.0), (lane.lane,))
    yield Sample(f"{_PREFIX}outbox_bytes", status.outbox_bytes or 0)
    yield Sample(f"{_PREFIX}outbox_limit_bytes", status.outbox_limit_bytes or 0)
    yield Sample(f"{_PREFIX}parked_frames", status.parked)
    for held, reason in status.held.items():
        yield Sample(f"{_PREFIX}held", 1, (held, reason))
    for reason, count in status.refused.items():
        yield Sample(f"{_PREFIX}refused_readings_total", count, (reason,))
    yield Sample(f"{_PREFIX}broker_connected", float(broker_connected))
    for driver in status.drivers:
        yield Sample(f"{_PREFIX}driver_running", float(driver.state in _WELL), (driver.id,))
        yield Sample(f"{_PREFIX}driver_restarts_total", driver.restarts, (driver.id,))
        for event, count in driver.counters.items():
            yield Sample(f"{_PREFIX}driver_events_total", count, (driver.id, event))
