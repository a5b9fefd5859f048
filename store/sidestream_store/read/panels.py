"""Runs a dashboard panel's SQL as a viewer would, and tells what came back; it can change nothing.

Each query runs as role `sidestream_viewer`, read-only, with a time limit, in a transaction of its own that is rolled
back, so that what works here is what Grafana's login may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import psycopg
from psycopg import sql

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.migrate import profile

VIEWER = "sidestream_viewer"
MAX_ROWS = 100_000


class PanelSqlError(DomainError):
    """The database refused a panel's SQL, or did not finish it in time."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer; `type` is PostgreSQL's name of it, e.g. `timestamptz`, `float8`, `text`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a panel's SQL gave: its columns, at most MAX_ROWS rows, and how long it took with all rows fetched."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    elapsed_s: float


class PanelReader:
    """An open connection that answers as the viewer; made by `open_panel_reader`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.profile = profile(connection)
        """`plain` or `timescale`."""

    def run(self, text: str) -> Answer:
        """The answer to one finished SQL text; PanelSqlError says what the database says against it."""
        start = perf_counter()
        try:
            with self._connection.transaction(force_rollback=True), self._connection.cursor() as cursor:
                cursor.execute(text.encode())
                columns = tuple(self._column(found) for found in cursor.description or ())
                rows = tuple(cursor.fetchmany(MAX_ROWS)) if columns else ()
        except psycopg.errors.QueryCanceled as error:
            raise PanelSqlError("the time limit was reached; narrow the query or add an index") from error
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError, psycopg.InternalError) as error:
            raise PanelSqlError(_sentence(error)) from error
        return Answer(columns, rows, perf_counter() - start)

    def _column(self, found: psycopg.Column) -> Column:
        known = self._connection.adapters.types.get(found.type_code)
        return Column(found.name, known.name if known else f"oid {found.type_code}")


@contextmanager
def open_panel_reader(dsn: str, *, timeout_s: float = 10.0) -> Iterator[PanelReader]:
    """A reader whose queries end after `timeout_s`.

    TransientError when the database is away, ConfigurationError when it has no Sidestream schema or the login may not
    act as the viewer.
    """
    with open_connection(dsn, "dashboards check", autocommit=True) as connection, transient_errors("dashboards check"):
        reader = PanelReader(connection)
        connection.execute("SET default_transaction_read_only = on")
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(int(timeout_s * 1000))])
        try:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(VIEWER)))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
            raise ConfigurationError(
                f"This login can't act as {VIEWER} ({_sentence(error)}); use one that may, or GRANT {VIEWER} TO it."
            ) from error
        yield reader


def _sentence(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"{said}{hint}"
