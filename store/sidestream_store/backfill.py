"""Where rows of a commit go on TimescaleDB: few per sensor into the row store, many straight into the column store.

A compressed batch holds the rows of one sensor. With one row per sensor it is a batch of one, five times the size of the
row and slow to write; with hundreds it is a tenth of the size and faster than the row store. See docs/adr/0009.
"""

from __future__ import annotations

from sidestream_store.connect import Connection, transient_errors

ROWS_PER_SENSOR = 100
"""From so many rows per sensor in one commit on, compressing while writing is the smaller and faster way."""

_SETTING = "timescaledb.enable_direct_compress_copy"
_ABLE = f"""
SELECT EXISTS (SELECT FROM pg_settings WHERE name = '{_SETTING}')
    AND (SELECT c.relkind <> 'p' FROM pg_class c WHERE c.oid = to_regclass('sidestream.reading'))
"""  # noqa: S608  two constants


def is_backfill(rows: int, sensors: int) -> bool:
    """Whether a commit of so many rows of so many sensors belongs into the column store."""
    return sensors > 0 and rows >= ROWS_PER_SENSOR * sensors


class Backfill:
    """Remembers what this database can do; one for each connection, since it is asked once."""

    def __init__(self) -> None:
        self._able: bool | None = None

    def choose(self, connection: Connection, rows: int, sensors: int) -> bool:
        """The COPY into `reading` that follows in this transaction goes where it belongs; True if to the column store.

        The setting ends with the transaction. Plain PostgreSQL, and a TimescaleDB that can't do it, are left alone.
        """
        if not is_backfill(rows, sensors) or not self._can(connection):
            return False
        with transient_errors("choose the column store"):
            connection.execute("SELECT set_config(%s, 'on', true)", [_SETTING])
        return True

    def _can(self, connection: Connection) -> bool:
        if self._able is None:
            with transient_errors("ask what the database can do"):
                row = connection.execute(_ABLE).fetchone()
            self._able = bool(row and row[0])
        return self._able
