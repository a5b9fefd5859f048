"""What a hub's data take on disk, part by part, so that bytes per reading can be told honestly: everything counts."""

from __future__ import annotations

from collections import Counter

from sidestream_store.connect import Connection, transient_errors
from sidestream_store.migrate import profile

_PARTS = {
    "reading": "readings",
    "reading_recorded": "recorded",
    "scan": "scans",
    "frame": "ledger",
    "frame_mark": "ledger",
    "frame_fold": "ledger",
    "latest": "latest",
    "dirty": "dirty",
    "quarantine": "quarantine",
}
_PREFIXES = (("rollup_", "rollups"), ("twin_", "twin"), ("stock_", "twin"), ("lot", "twin"), ("agreement_", "twin"))

_PLAIN = """
WITH RECURSIVE part AS (
    SELECT c.oid, c.relname::text AS name FROM pg_class c
    WHERE c.relnamespace = 'sidestream'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND NOT c.relname = ANY (%s)
    UNION ALL
    SELECT i.inhrelid, p.name FROM part p JOIN pg_inherits i ON i.inhparent = p.oid
)
SELECT name, sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint FROM part GROUP BY name
"""
_HYPERTABLES = """
SELECT hypertable_name::text, (s.table_bytes + s.toast_bytes)::bigint, s.index_bytes::bigint
FROM timescaledb_information.hypertables h
CROSS JOIN LATERAL hypertable_detailed_size(format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass) s
WHERE h.hypertable_schema = 'sidestream'
"""


def sizes(connection: Connection) -> dict[str, int]:
    """Bytes on disk by part, free space and TOAST included: `readings` and `readings_index` apart, else with its indexes.

    Parts: readings, readings_index, recorded, scans, ledger, rollups, latest, dirty, twin, quarantine, other. The write-
    ahead log and PostgreSQL's own catalogue are not in it.
    """
    with transient_errors("measure the tables"):
        hyper = connection.execute(_HYPERTABLES).fetchall() if profile(connection) == "timescale" else []
        rows = connection.execute(_PLAIN, [[name for name, *_ in hyper]]).fetchall()
    found = Counter(dict.fromkeys((*_PARTS.values(), "readings_index", "rollups", "twin", "other"), 0))
    for name, table, index in (*rows, *hyper):
        found[part_of(name)] += table
        found["readings_index" if name == "reading" else part_of(name)] += index
    return dict(found)


def part_of(table: str) -> str:
    """The part under which a table of schema `sidestream` is counted."""
    by_prefix = next((part for prefix, part in _PREFIXES if table.startswith(prefix)), "other")
    return _PARTS.get(table, by_prefix)


def per_reading(found: dict[str, int], readings: int) -> dict[str, float]:
    """Bytes per reading of each part, and `total`; `readings` ≥ 1 is how many live readings the database holds."""
    each = {part: round(size / readings, 2) for part, size in found.items()}
    return {**each, "total": round(sum(found.values()) / readings, 2)}
