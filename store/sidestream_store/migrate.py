"""Brings a database to the newest schema: forward-only SQL files under yoyo, one migrator at a time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql
from yoyo import get_backend, read_migrations

from sidestream_contracts.errors import ConfigurationError, TransientError

MIGRATIONS = str(files("sidestream_store") / "migrations")
_LOCK = 0x5D57_0001


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration run did: names applied now, and the profile the database has."""

    applied: tuple[str, ...]
    profile: str


def yoyo_uri(dsn: str) -> str:
    """The same database as a yoyo address, which names the driver in the scheme."""
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    from urllib.parse import quote

    user = quote(str(parts.get("user", "")), safe="")
    password = quote(str(parts.get("password", "")), safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    return (
        f"postgresql+psycopg://{login}{parts.get('host', '127.0.0.1')}:{parts.get('port', 5432)}"
        f"/{quote(str(parts.get('dbname', '')), safe='')}"
        # or a role named like our schema would have yoyo keep its tables there, where it looks for them no more
        "?options=-csearch_path%3Dpublic"
    )


def known_migrations() -> list[str]:
    """Every migration that this version has, in their order."""
    return [migration.id for migration in read_migrations(MIGRATIONS)]


def migrate(dsn: str, only: Collection[str] | None = None) -> Migrated:
    """Every migration (of those in `only`) is applied once, even if several processes ask at the same moment."""
    try:
        with psycopg.connect(dsn, autocommit=True) as gate:
            gate.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            backend = get_backend(yoyo_uri(dsn))
            wanted = read_migrations(MIGRATIONS).filter(lambda m: only is None or m.id in only)
            todo = backend.to_apply(wanted)
            backend.break_lock()  # we hold the gate, so whoever left this mark was killed
            with backend.lock():
                backend.apply_migrations(todo)
            backend.connection.close()
            return Migrated(tuple(m.id for m in todo), profile(gate))
    except psycopg.OperationalError as error:
        raise TransientError(f"The database can't be reached to migrate it: {error}") from error


def profile(connection: psycopg.Connection) -> str:
    """`timescale` where readings are in a hypertable, else `plain`."""
    row = connection.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass('sidestream.reading')").fetchone()
    if row is None:
        raise ConfigurationError("The database has no Sidestream schema; run `sidestream db migrate` first.")
    return "plain" if row[0] in ("p", b"p") else "timescale"


def create_database(admin_dsn: str, name: str) -> None:
    """The database `name` exists afterwards."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not found:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def drop_database(admin_dsn: str, name: str) -> None:
    """The database `name` is gone afterwards, whoever is connected to it."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def on_database(dsn: str, name: str) -> str:
    """The same server and login, for the database `name`."""
    return psycopg.conninfo.make_conninfo(dsn, dbname=name)
