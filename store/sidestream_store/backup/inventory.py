"""What a backup takes, asked of the catalogue, so that a table of a later migration is in it without being named here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

import psycopg
from psycopg import sql

LEFT_OUT = {
    "worker": "tells which processes work on this database now; those of the restored one will say so themselves",
}
"""Tables of schema `sidestream` that no backup takes, each with its reason."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of schema `sidestream` with the columns that can be written."""

    name: str
    columns: tuple[str, ...]
    parted: bool
    """Its rows lie in partitions or chunks by `time`."""

    @property
    def identifier(self) -> sql.Identifier:
        """As it stands in a statement."""
        return sql.Identifier("sidestream", self.name)

    @property
    def column_list(self) -> sql.Composed:
        """Its columns as they stand in a statement."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))


def tables(connection: psycopg.Connection[Any]) -> list[Table]:
    """Every table that a backup takes; a table that others point to comes before them."""
    found = {
        row[0]: Table(row[0], tuple(row[1]), row[2])
        for row in connection.execute(_TABLES).fetchall()
        if row[0] not in LEFT_OUT
    }
    order: TopologicalSorter[str] = TopologicalSorter({name: set() for name in sorted(found)})
    for name, needs in connection.execute(_REFERENCES).fetchall():
        if name in found and needs in found and name != needs:
            order.add(name, needs)
    return [found[name] for name in order.static_order()]


def weeks(connection: psycopg.Connection[Any], table: Table) -> list[datetime]:
    """The weeks (Monday, UTC) in which a table of partitions or chunks has rows, so that they can be made ready again."""
    statement = sql.SQL("SELECT DISTINCT date_trunc('week', time, 'UTC') FROM {} ORDER BY 1").format(table.identifier)
    return [row[0] for row in connection.execute(statement).fetchall()]


def sequences(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How far each counter of the schema has come; one that was never used is left out."""
    rows = connection.execute(
        "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'sidestream' AND last_value IS NOT NULL"
        " ORDER BY 1"
    ).fetchall()
    return {name: int(value) for name, value in rows}


def migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """The migrations that made this schema, in their order."""
    rows = connection.execute("SELECT migration_id FROM public._yoyo_migration ORDER BY 1").fetchall()
    return [row[0] for row in rows]


_TABLES = """
SELECT c.relname,
       array_agg(a.attname::text ORDER BY a.attnum),
       c.relkind = 'p' OR EXISTS (
           SELECT FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid JOIN pg_namespace m ON m.oid = k.relnamespace
           WHERE i.inhparent = c.oid AND m.nspname LIKE '\\_timescaledb%')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname = 'sidestream' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
GROUP BY c.oid, c.relname, c.relkind
"""
_REFERENCES = """
SELECT a.relname, b.relname
FROM pg_constraint r
JOIN pg_class a ON a.oid = r.conrelid
JOIN pg_class b ON b.oid = r.confrelid
JOIN pg_namespace n ON n.oid = a.relnamespace
WHERE r.contype = 'f' AND n.nspname = 'sidestream'
"""
