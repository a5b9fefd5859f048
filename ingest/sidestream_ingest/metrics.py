"""A worker's figures for Prometheus, read from its statistics at the moment somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from sidestream_contracts.metrics import Sample
from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import Subscriber

_PREFIX = "sidestream_ingest_"


def samples(stats: Stats, subscriber: Subscriber) -> Iterator[Sample]:
    """Everything that `docs/metrics.md` lists for ingest; may be called from any thread."""
    queue_messages, queue_bytes = subscriber.backlog()
    yield Sample(f"{_PREFIX}frames_total", stats.new, ("new",))
    yield Sample(f"{_PREFIX}frames_total", stats.seen, ("seen",))
    yield Sample(f"{_PREFIX}readings_total", stats.readings)
    for reason, count in sorted(dict(stats.quarantined).items()):
        yield Sample(f"{_PREFIX}quarantined_total", count, (reason,))
    yield Sample(f"{_PREFIX}queue_full_total", subscriber.times_full)
    yield Sample(f"{_PREFIX}acknowledgements_total", stats.acknowledgements)
    yield Sample(f"{_PREFIX}queue_messages", queue_messages)
    yield Sample(f"{_PREFIX}queue_bytes", queue_bytes)
    yield Sample(f"{_PREFIX}commit_seconds", stats.commits.sum_s, buckets=stats.commits.cumulative())
    committed_at = stats.last_commit_at
    yield Sample(f"{_PREFIX}last_commit_timestamp_seconds", committed_at.timestamp() if committed_at else 0.0)
    yield Sample(f"{_PREFIX}database_waiting_seconds", stats.waiting_s)
    yield Sample(f"{_PREFIX}broker_connected", float(subscriber.is_connected()))
    yield Sample(f"{_PREFIX}broker_connections_total", subscriber.connections)
