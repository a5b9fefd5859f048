"""Archive → empty database: the schema as it was, the rows, the counters, then forward to today's schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.backup import inventory
from sidestream_store.backup.archive import Manifest, Reader, SavedTable, opened
from sidestream_store.backup.save import TEXT_SETTINGS, Progress
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.migrate import known_migrations, migrate


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, into which profile, and which migrations were applied after it."""

    manifest: Manifest
    profile: str
    migrated: tuple[str, ...]


def load(dsn: str, path: Path, *, force: bool = False, progress: Progress = lambda *_: None) -> Restored:
    """The database holds exactly what the archive does, at today's schema.

    Every table of the archive is checked before the database is touched. ConfigurationError, and nothing is changed: the
    archive is damaged, or made by a newer version, a process works on the database, or it holds a hub already (unless
    `force`, which deletes it).
    """
    with opened(path) as archive:
        manifest = archive.manifest
        _check_age(path, manifest)
        with open_connection(dsn, "restore", autocommit=True) as connection, transient_errors("restore the database"):
            _check_idle(connection)
            if not force:
                _check_empty(connection)
            for table in manifest.tables:
                progress(f"checking {table.name}", table.size)
                archive.verify(table)
            _remove(connection)
        done = migrate(dsn, only=manifest.migrations)
        with open_connection(dsn, "restore", autocommit=True) as connection, transient_errors("restore the database"):
            with connection.transaction():
                _fill(connection, archive, progress)
            forward = migrate(dsn)
            connection.execute("ANALYZE")
    return Restored(manifest, done.profile, forward.applied)


def _check_age(path: Path, manifest: Manifest) -> None:
    unknown = [name for name in manifest.migrations if name not in known_migrations()]
    if unknown:
        raise ConfigurationError(
            f"{path} was made by a newer version of Sidestream ({manifest.product}; its schema has {', '.join(unknown)}); "
            "upgrade Sidestream and restore again."
        )


def _check_empty(connection: psycopg.Connection[Any]) -> None:
    """A schema without a hub, a device or a frame is as good as none."""
    there = connection.execute("SELECT to_regclass('sidestream.hub_version') IS NOT NULL").fetchone()
    if not there or not there[0]:
        return
    used = connection.execute(
        "SELECT EXISTS (SELECT FROM sidestream.hub_version) OR EXISTS (SELECT FROM sidestream.device)"
        " OR EXISTS (SELECT FROM sidestream.frame)"
    ).fetchone()
    if used and used[0]:
        raise ConfigurationError(
            "The database holds a hub already. Restore into an empty database (CREATE DATABASE …), or delete what is "
            "there with --force. Nothing was changed."
        )


def _check_idle(connection: psycopg.Connection[Any]) -> None:
    """Nobody said within three beats of the heart that it works on this database."""
    there = connection.execute("SELECT to_regclass('sidestream.worker') IS NOT NULL").fetchone()
    if not there or not there[0]:
        return
    busy = connection.execute(
        "SELECT kind, host, pid FROM sidestream.worker WHERE seen_at > now() - make_interval(secs => 3 * every_s + 5) ORDER BY 1, 2, 3"
    ).fetchall()
    if busy:
        names = ", ".join(f"{kind} (process {pid} on {host})" for kind, host, pid in busy)
        raise ConfigurationError(
            f"Somebody works on this database: {names}. What it still holds in memory would go into the restored hub. Stop it"
            " and restore again; one that was killed counts as there for 20 s more. Nothing was changed."
        )


def _remove(connection: psycopg.Connection[Any]) -> None:
    """Our schemas are gone, and the record of the migrations that made them. Roles belong to the server and stay."""
    with connection.transaction():
        connection.execute("DROP SCHEMA IF EXISTS sidestream, sidestream_v CASCADE")
        row = connection.execute("SELECT to_regclass('public._yoyo_migration') IS NOT NULL").fetchone()
        if row and row[0]:
            connection.execute("DELETE FROM public._yoyo_migration")


def _fill(connection: psycopg.Connection[Any], archive: Reader, progress: Progress) -> None:
    """Every table of the archive is full and every counter where it was, in one transaction."""
    connection.execute(TEXT_SETTINGS)
    here = {table.name: table for table in inventory.tables(connection)}
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(table.identifier for table in here.values())))
    watched = _with_triggers(connection)
    for table in watched:  # what they would do is in the archive already
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(here[table].identifier))
    for saved in archive.manifest.tables:
        if saved.name in here:
            _copy_in(connection, archive, saved, here[saved.name], progress)
        elif saved.rows:
            raise ConfigurationError(f"{archive.path}: this database has no place for the table {saved.name!r} in it.")
    for table in watched:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(here[table].identifier))
    for name, value in archive.manifest.sequences.items():
        connection.execute("SELECT setval(format('sidestream.%%I', %s::text)::regclass, %s)", [name, value])


def _with_triggers(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'sidestream' AND NOT t.tgisinternal AND t.tgname <> 'ts_insert_blocker' AND NOT c.relispartition"
    ).fetchall()
    return [row[0] for row in rows]


def _copy_in(
    connection: psycopg.Connection[Any],
    archive: Reader,
    saved: SavedTable,
    table: inventory.Table,
    progress: Progress,
) -> None:
    for week in saved.weeks:
        connection.execute("SELECT sidestream.ensure_partitions(%s, %s)", [week, week])
    columns = sql.SQL(", ").join(map(sql.Identifier, saved.columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table.identifier, columns)
    done = 0
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for part in archive.parts(saved):
                copy.write(part)
                done += len(part)
                progress(saved.name, done)
        if cursor.rowcount != saved.rows:
            raise ConfigurationError(
                f"{archive.path}: of the table {saved.name!r} {cursor.rowcount} rows came, {saved.rows} were saved."
            )
