"""Which stage of its life an exchange is in at a given time, by the hub's calendar. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sidestream_store.twin.hub import HubStream


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a day in the hub's zone, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def stage_at(stream: HubStream, at: datetime, zone: ZoneInfo) -> str:
    """The stage in force; `idea` before the first one."""
    past = [state for since, state in stream.stages if midnight(since, zone) <= at]
    return past[-1] if past else "idea"


def live_at(stream: HubStream, at_s: NDArray[np.float64], zone: ZoneInfo) -> NDArray[np.bool_]:
    """For each instant (seconds since 1970 UTC) whether the exchange is live, and so counts as flowing."""
    since = np.array([midnight(day, zone).timestamp() for day, _ in stream.stages])
    live = np.array([False, *(state == "live" for _, state in stream.stages)])
    return live[np.searchsorted(since, at_s, side="right")]
