"""What a worker has done and how it is: counted where it happens, read by its log line, its heartbeat and its metrics.

What frames bring is written by the thread that commits alone. Others read single numbers, which is safe, and copies.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidestream_store.delivery import Applied

COMMIT_BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(slots=True)
class Durations:
    """How long something took, in s: how many up to each bound, and the sum."""

    bounds_s: tuple[float, ...] = COMMIT_BOUNDS_S
    sum_s: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(COMMIT_BOUNDS_S) + 1))

    def add(self, duration_s: float) -> None:
        """Counts one."""
        self.counts[bisect_left(self.bounds_s, duration_s)] += 1
        self.sum_s += duration_s

    def cumulative(self) -> list[tuple[str, float]]:
        """(bound, how many took at most that long), the last bound `+Inf`."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.bounds_s), "+Inf"), list(self.counts), strict=True):
            total += count
            found.append((bound, float(total)))
        return found


@dataclass(slots=True)
class Stats:
    """One worker since its start."""

    new: int = 0
    seen: int = 0
    readings: int = 0
    acknowledgements: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    commits: Durations = field(default_factory=Durations)
    last_commit_at: datetime | None = None
    waiting_since_s: dict[str, float] = field(default_factory=dict)

    def applied(self, applied: Applied) -> None:
        """Takes in what one commit did."""
        self.new += applied.new
        self.seen += applied.seen
        self.readings += applied.readings
        self.quarantined.update(applied.reasons)

    def summary(self) -> dict[str, int]:
        """The sums, for a line in the log."""
        return {
            "new": self.new,
            "seen": self.seen,
            "readings": self.readings,
            "quarantined": self.quarantined.total(),
        }

    @contextmanager
    def commit(self) -> Iterator[None]:
        """Times the block as one commit, unless it raises."""
        began_s = time.monotonic()
        yield
        self.commits.add(time.monotonic() - began_s)
        self.last_commit_at = datetime.now(UTC)

    def waits(self, name: str) -> None:
        """The database is away for the connection of this name."""
        self.waiting_since_s.setdefault(name, time.monotonic())

    def works(self, name: str) -> None:
        """The database does what it is asked for on the connection of this name."""
        self.waiting_since_s.pop(name, None)

    @property
    def waiting_s(self) -> float:
        """For how long the database has been away; 0 while it is there."""
        now_s = time.monotonic()
        return max((now_s - since_s for since_s in list(self.waiting_since_s.values())), default=0.0)
