"""Connections whose failures come as our own errors, with the connection settings every writer relies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg

from sidestream_contracts.errors import ConfigurationError, TransientError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
"""A connection as this package hands it out; others pass it on and never look inside."""

_NOT_MIGRATED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
)


@contextmanager
def transient_errors(doing: str) -> Iterator[None]:
    """A lost, refused or restarted database inside the block comes out as TransientError that says `doing` what.

    ConfigurationError where the login may not do it, and where the schema is missing or older than this version.
    """
    try:
        yield
    except _NOT_MIGRATED as error:
        raise ConfigurationError(
            f"{doing}: the database does not have what this version of Sidestream needs ({error.diag.message_primary}); "
            "run `sidestream db migrate` first."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(f"{doing}: this database login may not do that: {str(error).strip()}") from error
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
        raise TransientError(f"{doing}: the database is away or refuses: {str(error).strip()}") from error


def open_connection(dsn: str, application: str, *, autocommit: bool = False) -> Connection:
    """An open connection in UTC that commits durably; TransientError when the server is away.

    `synchronous_commit` is forced on, because an acknowledgement tells the edge to delete its only other copy.
    """
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"The database address can't be understood: {error}") from error
    options = "-c timezone=UTC -c synchronous_commit=on"
    with transient_errors(f"{application} connects"):
        return psycopg.connect(
            dsn,
            autocommit=autocommit,
            application_name=f"sidestream {application}",
            connect_timeout=5,
            options=options,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=15_000,  # ms; keepalives say nothing of data that is sent and not confirmed
        )
