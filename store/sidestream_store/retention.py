"""Drops what is older than `retention` in hub.yaml says, whole partitions at a time, and remembers what went.

Raw readings go by partition or chunk; before one goes, `dropped` says for each sensor which time is gone, so that no
late reading, correction or new hub.yaml ever has a roll-up or figure of that time computed again from what is left. All
of a run's drops happen while no pass of the twin runs, each part in a transaction of its own. Recorded readings stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql

from sidestream_contracts.hub import Retention
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.ledger import fold
from sidestream_store.migrate import profile

MARGIN = timedelta(days=1)
"""Readings stay so much longer than asked: a figure of the first day after a drop would rest on readings before it."""

_LOCK_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class Gone:
    """What went, or would go: `count` `things` of a `part` from before `before`; `size` in bytes where it is known."""

    part: str
    before: datetime
    count: int
    things: str
    size: int | None = None


def load_retention(connection: Connection) -> Retention:
    """The retention of the applied hub.yaml; the default where none is applied."""
    row = connection.execute(
        "SELECT content -> 'retention' FROM sidestream.hub_version ORDER BY version_id DESC LIMIT 1"
    ).fetchone()
    return Retention.model_validate((row[0] if row else None) or {})


def apply_retention(connection: Connection, now_at: datetime | None = None, *, dry_run: bool = False) -> list[Gone]:
    """Afterwards nothing is there that should be gone; tells what went, parts with nothing to drop left out.

    With `dry_run` it only tells. `connection` is in autocommit mode. TransientError where the database is away, or a
    reader holds a partition for more than five seconds: the next run drops it.
    """
    now_at = now_at or datetime.now(UTC)
    with transient_errors("apply the retention"):
        kept = load_retention(connection)
        found = [gone for step in _STEPS for gone in step(connection, kept, now_at, dry_run)]
    return [gone for gone in found if gone.count]


def _readings(connection: Connection, kept: Retention, now_at: datetime, dry_run: bool) -> Iterator[Gone]:
    if kept.readings_days is None:
        return
    limit = _midnight(now_at - timedelta(days=kept.readings_days) - MARGIN)
    hyper = profile(connection) == "timescale"
    parts = connection.execute(_CHUNKS if hyper else _PARTITIONS).fetchall()
    before = min([limit, *(from_at for _, from_at, to_at, _ in parts if to_at > limit)])
    parts = [part for part in parts if part[2] <= before]
    if not parts:
        return
    if not dry_run:
        with connection.transaction():
            _alone(connection)
            connection.execute(_REMEMBER, [before, before])
            if hyper:
                connection.execute("SELECT drop_chunks('sidestream.reading', older_than => %s::timestamptz)", [before])
            else:
                names = sql.SQL(", ").join(sql.Identifier("sidestream", part[0]) for part in parts)
                connection.execute(sql.SQL("DROP TABLE {}").format(names))
    yield Gone("readings", before, len(parts), "chunks" if hyper else "partitions", sum(part[3] for part in parts))


def _midnight(at: datetime) -> datetime:
    """The midnight (UTC) at or before `at`: a bound of every minute and hour."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _alone(connection: Connection) -> None:
    """No pass of the twin and no `hub apply` until the transaction ends; the order of the locks is that of a pass."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
    connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext('sidestream.hub_apply'))")
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('sidestream.twin'))")


_PARTITIONS = """
SELECT c.relname::text, x.bounds[1]::timestamptz, x.bounds[2]::timestamptz, pg_total_relation_size(c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL (
    SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \\(''(.*)''\\) TO \\(''(.*)''\\)') AS bounds
) x
WHERE i.inhparent = 'sidestream.reading'::regclass AND x.bounds IS NOT NULL
"""
_CHUNKS = """
SELECT k.chunk_name::text, k.range_start, k.range_end, COALESCE(z.total_bytes, 0)
FROM timescaledb_information.chunks k
LEFT JOIN chunks_detailed_size('sidestream.reading') z USING (chunk_schema, chunk_name)
WHERE k.hypertable_schema = 'sidestream' AND k.hypertable_name = 'reading'
"""
_REMEMBER = """
INSERT INTO sidestream.dropped AS d (sensor_id, from_at, before)
SELECT sensor_id, date_trunc('day', min(time), 'UTC') - interval '1 day', %s
FROM sidestream.reading WHERE time < %s GROUP BY sensor_id ORDER BY sensor_id
ON CONFLICT (sensor_id) DO UPDATE SET from_at = LEAST(d.from_at, excluded.from_at), before = GREATEST(d.before, excluded.before)
"""


def _rows(
    part: str, setting: str, table: str, condition: LiteralString
) -> Callable[[Connection, Retention, datetime, bool], Iterator[Gone]]:
    """A step that deletes the rows of `table` (as `t`) for which `condition` holds of `%(before)s`."""
    name = sql.Identifier("sidestream", table)

    def step(connection: Connection, kept: Retention, now_at: datetime, dry_run: bool) -> Iterator[Gone]:
        days = getattr(kept, setting)
        if days is None:
            return
        before = _midnight(now_at - timedelta(days=days))
        parameters: dict[str, Any] = {"before": before}
        if dry_run:
            query = sql.SQL("SELECT count(*) FROM {} t WHERE {}").format(name, sql.SQL(condition))
            row = connection.execute(query, parameters).fetchone()
            yield Gone(part, before, row[0] if row else 0, "rows")
            return
        with connection.transaction():
            _alone(connection)
            query = sql.SQL("DELETE FROM {} t WHERE {}").format(name, sql.SQL(condition))
            yield Gone(part, before, connection.execute(query, parameters).rowcount, "rows")

    return step


_LIVE_MINUTE = (
    "EXISTS (SELECT FROM sidestream.dropped d WHERE d.sensor_id = t.sensor_id AND t.bucket >= d.from_at"
    " AND t.bucket < LEAST(d.before, %(before)s) - interval '2 days')"
)
_LIVE_INTERVAL = (
    "t.time < LEAST(%(before)s, (SELECT min(before) FROM sidestream.dropped))"
    " AND t.time >= (SELECT min(from_at) FROM sidestream.dropped)"
)
# Stocks begin anew with each hub.yaml and add up every mass flow since their start, so mass flows stay.
_LIVE_STEP = (
    "t.time < LEAST(%(before)s, (SELECT min(before) FROM sidestream.dropped))"
    " AND t.time >= (SELECT min(from_at) FROM sidestream.dropped)"
    " AND NOT (t.subject_kind = 'stream' AND t.quantity = 'mass_flow')"
)
_SCAN_OF_A_LOT_LONG_GONE = (
    "t.time < %(before)s AND NOT t.recorded AND NOT EXISTS ("
    " SELECT FROM sidestream.lot l WHERE l.code = t.code AND l.last_seen_at >= %(before)s)"
)


def _ledger(connection: Connection, kept: Retention, now_at: datetime, dry_run: bool) -> Iterator[Gone]:
    """Old rows are folded into what is known to be applied, so that a frame sent again is still known."""
    if kept.ledger_days is None:
        return
    before = now_at - timedelta(days=kept.ledger_days)
    if dry_run:
        row = connection.execute(
            "SELECT count(*) FROM sidestream.frame WHERE received_at < %s AND extra IS NULL", [before]
        ).fetchone()
        yield Gone("ledger", before, row[0] if row else 0, "frames to fold")
        return
    yield Gone("ledger", before, fold(connection, before), "frames folded")


_STEPS = (
    _readings,
    _rows("minute roll-ups", "rollup_1m_days", "rollup_1m", _LIVE_MINUTE),
    _rows("minute roll-ups that were superseded", "rollup_1m_days", "rollup_1m_history", _LIVE_MINUTE),
    _rows("twin values", "twin_values_days", "twin_value", _LIVE_STEP),
    _rows("twin values that were superseded", "twin_values_days", "twin_value_history", _LIVE_STEP),
    _rows("marks of doubted values", "twin_values_days", "sensor_mark", _LIVE_INTERVAL),
    _rows("balances", "twin_values_days", "balance", _LIVE_INTERVAL),
    _rows("parts of balances", "twin_values_days", "balance_part", _LIVE_INTERVAL),
    _rows("places in balances", "twin_values_days", "balance_node", _LIVE_INTERVAL),
    _rows("forecasts of stocks", "twin_values_days", "stock_forecast", "t.issued_at < %(before)s"),
    _rows("scans", "scans_days", "scan", _SCAN_OF_A_LOT_LONG_GONE),
    _rows(
        "quarantine",
        "quarantine_days",
        "quarantine",
        "t.state <> 'open' AND COALESCE(t.closed_at, t.last_at) < %(before)s",
    ),
    _ledger,
)
