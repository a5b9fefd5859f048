"""What a database needs from day to day, done in one go or only told: partitions ahead, retention, statistics, hints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidestream_store.connect import Connection, transient_errors
from sidestream_store.migrate import profile
from sidestream_store.partitions import ensure_range
from sidestream_store.retention import Gone, apply_retention
from sidestream_store.sizes import sizes

AHEAD = timedelta(weeks=2)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What a run did: partitions made, what retention dropped, bytes by part, and sentences on what needs someone."""

    profile: str
    partitions: int
    gone: tuple[Gone, ...]
    sizes: dict[str, int]
    hints: tuple[str, ...]

    def remarks(self) -> list[str]:
        """What is worth a line in a log."""
        return [
            f"{self.partitions} partitions made ahead",
            *(f"{g.part}: {g.count} {g.things} from before {g.before:%Y-%m-%d} dropped" for g in self.gone),
            *self.hints,
        ]


def maintain(
    connection: Connection, now_at: datetime | None = None, *, dry_run: bool = False, vacuum: bool = False
) -> Maintained:
    """The database is in order afterwards; with `dry_run` nothing is changed and the report says what would be.

    `vacuum`: also gives freed space back to the tables and, on TimescaleDB, compresses every chunk that is over.
    `connection` is in autocommit mode. TransientError when the database is away or busy: run it again.
    """
    now_at = now_at or datetime.now(UTC)
    made = 0 if dry_run else ensure_range(connection, now_at, now_at + AHEAD)
    gone = tuple(apply_retention(connection, now_at, dry_run=dry_run))
    with transient_errors("maintain the database"):
        found = profile(connection)
        if vacuum and not dry_run:
            compact(connection, now_at)
        hints = _hints(connection, found)
    return Maintained(found, made, gone, sizes(connection), tuple(hints))


def compact(connection: Connection, until: datetime) -> None:
    """Chunks that end before `until` are compressed, dead rows are gone, statistics are right."""
    if profile(connection) == "timescale":
        connection.execute(
            "SELECT compress_chunk(format('%%I.%%I', chunk_schema, chunk_name)::regclass, if_not_compressed => true)"
            " FROM timescaledb_information.chunks"
            " WHERE hypertable_schema = 'sidestream' AND hypertable_name = 'reading' AND range_end <= %s",
            [until],
        )
    connection.execute("VACUUM (ANALYZE)")


def _hints(connection: Connection, found: str) -> list[str]:
    hints = [
        f"table {table} has {dead} dead rows beside {live} live ones: run `sidestream db maintain --vacuum`"
        for table, dead, live in connection.execute(_DEAD).fetchall()
    ]
    row = connection.execute("SELECT current_setting('autovacuum') = 'on'").fetchone()
    if not (row and row[0]):
        hints.append("autovacuum is off in this server's settings: switch it on, or tables grow without end")
    if found == "timescale":
        hints += [
            f"TimescaleDB's job {name} failed the last time it ran ({failures} of {runs} runs): see its log, "
            "timescaledb_information.job_errors"
            for name, failures, runs in connection.execute(_FAILED_JOBS).fetchall()
        ]
    return hints


_DEAD = """
SELECT relname::text, n_dead_tup, n_live_tup FROM pg_stat_user_tables
WHERE schemaname = 'sidestream' AND n_dead_tup > 100000 AND n_dead_tup > n_live_tup / 2 ORDER BY relname
"""
_FAILED_JOBS = """
SELECT j.application_name::text, s.total_failures, s.total_runs
FROM timescaledb_information.jobs j JOIN timescaledb_information.job_stats s USING (job_id)
WHERE j.hypertable_schema = 'sidestream' AND s.last_run_status = 'Failed' ORDER BY 1
"""
