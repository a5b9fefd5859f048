"""A bounded pool of read-only connections, and the one way in which a question becomes rows.

Connections are read-only by session setting, speak UTC and give up after a time, so that a reader can neither change
anything nor hold the database for long. A record's field names are its view's column names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, LiteralString, TypeAlias, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_store.connect import transient_errors

Row = TypeVar("Row")
Pool: TypeAlias = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
"""What every question is asked through; callers hold it and need not know psycopg."""

_STATEMENT_TIMEOUT_S = 20
_WAIT_S = 5.0


@asynccontextmanager
async def open_pool(dsn: str, application: str, *, size: int = 6) -> AsyncIterator[Pool]:
    """A pool of at most `size` read-only connections; opening does not wait, so a database that is away delays nothing.

    ConfigurationError when the address can't be understood.
    """
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"The database address can't be understood: {error}") from error
    pool = AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        timeout=_WAIT_S,
        max_waiting=200,
        reconnect_timeout=float("inf"),
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs=_connection_settings(application),
    )
    await pool.open(wait=False)
    try:
        yield pool
    finally:
        await pool.close(timeout=1.0)


def _connection_settings(application: str) -> dict[str, Any]:
    return {
        "autocommit": True,
        "application_name": f"sidestream {application}",
        "connect_timeout": 3,
        "options": "-c timezone=UTC -c default_transaction_read_only=on"
        f" -c statement_timeout={_STATEMENT_TIMEOUT_S * 1000}",
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }


async def query(pool: Pool, record: type[Row], text: LiteralString | sql.Composed, **values: Any) -> list[Row]:
    """The rows of one question as `record`s, field by column name.

    TransientError when the database is away, busy or slower than 20 s; ConfigurationError when it has no Sidestream views;
    DomainError when a value of the question is nothing that a database can hold.
    """
    statement = sql.SQL(text) if isinstance(text, str) else text
    try:
        with transient_errors("Reading"):
            async with _taken(pool) as connection, connection.cursor(row_factory=class_row(record)) as cursor:
                await cursor.execute(statement, values)
                return await cursor.fetchall()
    except (psycopg.DataError, UnicodeEncodeError) as error:
        raise DomainError(f"A value of the question is nothing that the database can hold: {error}.") from error


@asynccontextmanager
async def _taken(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of the pool. Where none comes in time, one is opened beside it, whose error tells why."""
    try:
        connection = await pool.getconn()
    except PoolTimeout as error:
        await _ask_why(pool)
        raise PoolTimeout(f"all {pool.max_size} connections were busy for {_WAIT_S:g} s; try again") from error
    try:
        async with connection:
            yield connection
    finally:
        await pool.putconn(connection)


async def _ask_why(pool: Pool) -> None:
    beside = await psycopg.AsyncConnection.connect(str(pool.conninfo), **_connection_settings("asks why"))
    await beside.close()


def select(record: type[Any], view: LiteralString, tail: LiteralString = "") -> sql.Composed:
    """`SELECT` of exactly the fields of `record` from one view, with `tail` (WHERE, ORDER BY, LIMIT) after it."""
    columns = sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(record))
    return sql.SQL("SELECT {} FROM sidestream_v.{} {}").format(columns, sql.Identifier(view), sql.SQL(tail))


async def read_view(
    pool: Pool, record: type[Row], view: LiteralString, tail: LiteralString = "", **values: Any
) -> list[Row]:
    """The rows of one view as `record`s; errors as of `query`."""
    return await query(pool, record, select(record, view, tail), **values)
