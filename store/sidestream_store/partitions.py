"""Partitions of `reading` exist before rows need them; with Timescale the extension makes chunks and nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
from numpy.typing import NDArray

from sidestream_contracts.errors import TransientError
from sidestream_store.connect import transient_errors

_ATTEMPTS = 20
_WEEK_US = 7 * 86_400_000_000
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


class Partitions:
    """Remembers which weeks are there, so that a batch inside them costs nothing."""

    def __init__(self) -> None:
        self._weeks: set[int] = set()

    def ensure(self, connection: psycopg.Connection, times_us: Sequence[NDArray[np.int64] | int]) -> None:
        """Afterwards a row of each of these times has a partition; in a transaction of its own, since it locks."""
        if not times_us:
            return
        weeks = _weeks_of(np.hstack(times_us)) - self._weeks
        for week in sorted(weeks):
            start = _UNIX + timedelta(microseconds=week * _WEEK_US)
            ensure_range(connection, start, start + timedelta(days=7))
        self._weeks |= weeks


def _weeks_of(times_us: NDArray[np.int64]) -> set[int]:
    if not len(times_us):
        return set()
    first, last = int(times_us.min()) // _WEEK_US, int(times_us.max()) // _WEEK_US
    return {first} if first == last else set(np.unique(times_us // _WEEK_US).tolist())


def ensure_range(connection: psycopg.Connection, from_at: datetime, to_at: datetime) -> int:
    """Partitions cover the whole range; how many were made now. Any number of workers may ask at once."""
    for _ in range(_ATTEMPTS):
        try:
            return _ensure_range(connection, from_at, to_at)
        except psycopg.errors.DuplicateTable:
            # Another made it between the look and the CREATE. An advisory lock does not refresh what a session remembers
            # of the catalogue, so that looking again behind it did not help; a new transaction does.
            continue
    raise TransientError(
        f"Others make the partitions from {from_at} to {to_at} at the same moment, {_ATTEMPTS} times over."
    )


def _ensure_range(connection: psycopg.Connection, from_at: datetime, to_at: datetime) -> int:
    with transient_errors("make partitions"), connection.transaction():
        row = connection.execute("SELECT sidestream.ensure_partitions(%s, %s)", [from_at, to_at]).fetchone()
    return int(row[0]) if row else 0
