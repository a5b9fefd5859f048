"""A worker's heartbeat: every few seconds one row in the database says that it is there and how it does."""

from __future__ import annotations

import time

from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import Subscriber
from sidestream_store.connect import Connection
from sidestream_store.workers import BEAT_S, Figure, Identity, beat


class Heart:
    """Knows when the next beat is due and what it says; rates are those since the last one."""

    def __init__(self, who: Identity, stats: Stats, subscriber: Subscriber) -> None:
        self._who, self._stats, self._subscriber = who, stats, subscriber
        self._due_s = 0.0
        self._told_s = time.monotonic()
        self._told = (0, 0)

    def is_due(self) -> bool:
        """Whether it is time to beat."""
        return time.monotonic() >= self._due_s

    def beat(self, connection: Connection) -> None:
        """The row is up to date; TransientError when the database is away, and the beat is still due."""
        figures = self.figures()
        beat(connection, self._who, figures)
        self._told_s = time.monotonic()
        self._due_s = self._told_s + BEAT_S
        self._told = (self._stats.readings, self._subscriber.times_full)

    def figures(self) -> dict[str, Figure]:
        """What the row says."""
        stats, subscriber = self._stats, self._subscriber
        queue_messages, queue_bytes = subscriber.backlog()
        elapsed_s = max(time.monotonic() - self._told_s, 0.001)
        commits = sum(stats.commits.counts)
        return {
            "broker": subscriber.where(),
            "broker_connected": subscriber.is_connected(),
            "broker_connections": subscriber.connections,
            "queue_messages": queue_messages,
            "queue_bytes": queue_bytes,
            "frames_new": stats.new,
            "frames_seen": stats.seen,
            "readings": stats.readings,
            "readings_per_s": round((stats.readings - self._told[0]) / elapsed_s, 1),
            "quarantined": stats.quarantined.total(),
            "queue_full": subscriber.times_full,
            "queue_full_lately": subscriber.times_full - self._told[1],
            "last_commit_at": stats.last_commit_at.isoformat() if stats.last_commit_at else None,
            "commit_mean_ms": round(1000 * stats.commits.sum_s / commits, 1) if commits else None,
        }
