"""Planned stops as times in which a stream stands still: its own, and those of the nodes it joins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sidestream_store.stops import Stop
from sidestream_store.twin.hub import HubStream
from sidestream_twin.core.calendar_period import Period
from sidestream_twin.lifecycle import midnight


def stops_of(stream: HubStream, stops: Iterable[Stop]) -> list[Stop]:
    """Those stops that stop the stream."""
    return [stop for stop in stops if stop.stream == stream.id or stop.node in (stream.source, stream.target)]


def running_parts(stream: HubStream, stops: Sequence[Stop], period: Period, zone: ZoneInfo) -> list[Period]:
    """The parts of a period in which the exchange is live and not stopped, in order of time."""
    parts = _live_parts(stream, period, zone)
    for stop in stops_of(stream, stops):
        parts = [piece for part in parts for piece in _without(part, stop.from_at, stop.to_at)]
    return parts


def length_s(parts: Iterable[Period]) -> float:
    """Seconds of all the parts together."""
    return sum(part.length_s for part in parts)


def until(parts: Iterable[Period], at: datetime) -> list[Period]:
    """What of the parts lies before `at`."""
    return [Period(part.from_at, min(part.to_at, at)) for part in parts if part.from_at < at]


def _live_parts(stream: HubStream, period: Period, zone: ZoneInfo) -> list[Period]:
    changes = [(midnight(day, zone), state == "live") for day, state in stream.stages]
    bounds = [at for at, _ in changes[1:]] + [period.to_at + timedelta(days=1)]
    parts = []
    for (from_at, live), to_at in zip(changes, bounds, strict=True):
        first, last = max(from_at, period.from_at), min(to_at, period.to_at)
        if live and first < last:
            parts.append(Period(first, last))
    return parts


def _without(part: Period, from_at: datetime, to_at: datetime | None) -> list[Period]:
    pieces = []
    if part.from_at < from_at:
        pieces.append(Period(part.from_at, min(part.to_at, from_at)))
    if to_at is not None and to_at < part.to_at:
        pieces.append(Period(max(part.from_at, to_at), part.to_at))
    return pieces
