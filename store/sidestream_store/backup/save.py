"""Database → archive, as of one instant, while everything goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.aside import written_aside
from sidestream_store.backup import inventory
from sidestream_store.backup.archive import Manifest, SavedTable, Writer
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.migrate import profile

Progress = Callable[[str, int], None]
"""Called with a table's name and how many bytes of it are done."""
TEXT_SETTINGS = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1"
"""COPY's text then says every value exactly, floats to the last bit."""
_PART_BYTES = 1 << 20


def save(dsn: str, path: Path, *, force: bool = False, progress: Progress = lambda *_: None) -> Manifest:
    """The whole hub as of now is in `path`, which is there whole or not at all.

    Writers are not held up, but retention is, so that no partition goes that the instant still had; rows deleted meanwhile are cleaned away only afterwards. ConfigurationError when the file is
    there already (unless `force`) or the database has no hub; TransientError when the database goes away.
    """
    with (
        written_aside(path, force=force) as file,
        Writer(file) as writer,
        open_connection(dsn, "backup", autocommit=True) as connection,
        transient_errors("back up the database"),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Before the snapshot is taken: what is dropped later would be gone from it all the same, and unknown to `dropped`.
        connection.execute("LOCK TABLE sidestream.reading IN ACCESS SHARE MODE")
        connection.execute(TEXT_SETTINGS)
        hub = _hub(connection)
        saved = tuple(_save(connection, writer, table, progress) for table in inventory.tables(connection))
        manifest = Manifest(
            hub=hub[0],
            hub_version=hub[1],
            made_at=hub[2].astimezone(UTC),
            product=version("sidestream"),
            server=_server(connection),
            profile=profile(connection),
            migrations=tuple(inventory.migrations(connection)),
            tables=saved,
            sequences=inventory.sequences(connection),  # not part of the snapshot: as far as the tables or further
            left_out=inventory.LEFT_OUT,
        )
        writer.finish(manifest)
    return manifest


def _hub(connection: psycopg.Connection[Any]) -> tuple[str, int, datetime]:
    profile(connection)  # says what to do where there is no schema
    row = connection.execute("SELECT id, version_id, now() FROM sidestream.hub").fetchone()
    if row is None:
        raise ConfigurationError("No hub is applied to the database, so there is nothing to back up.")
    return row[0], row[1], row[2]


def _server(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        "SELECT 'PostgreSQL ' || current_setting('server_version')"
        " || COALESCE((SELECT ', TimescaleDB ' || extversion FROM pg_extension WHERE extname = 'timescaledb'), '')"
    ).fetchone()
    return str(row[0]) if row else ""


def _save(
    connection: psycopg.Connection[Any], writer: Writer, table: inventory.Table, progress: Progress
) -> SavedTable:
    weeks = tuple(inventory.weeks(connection, table)) if table.parted else ()
    return writer.add(table.name, table.columns, weeks, _parts(connection, table, progress))


def _parts(connection: psycopg.Connection[Any], table: inventory.Table, progress: Progress) -> Iterator[bytes]:
    """The table's text in parts of about a megabyte. A query, because COPY of a hypertable by name gives nothing."""
    statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(table.column_list, table.identifier)
    gathered: list[bytes] = []
    size = done = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            gathered.append(bytes(row))
            size += len(row)
            if size >= _PART_BYTES:
                yield b"".join(gathered)
                done += size
                progress(table.name, done)
                gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)
    progress(table.name, done + size)
