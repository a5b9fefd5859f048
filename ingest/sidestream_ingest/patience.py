"""Work on the database that is done in the end, however long the database is away: one connection, opened again when lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from sidestream_contracts.errors import TransientError
from sidestream_ingest.stats import Stats
from sidestream_store.connect import Connection, open_connection

_log = structlog.get_logger("ingest")
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0
Result = TypeVar("Result")


class Patience:
    """One connection to the database, used by one thread alone; `name` tells it apart from the worker's others."""

    def __init__(self, name: str, dsn: str, stop: threading.Event, stats: Stats) -> None:
        self._name, self._dsn, self._stop, self._stats = name, dsn, stop, stats
        self._connection: Connection | None = None

    def persist(self, work: Callable[[Connection], Result]) -> Result | None:
        """The result of `work` on a good connection, however long the database is away; None when told to stop."""
        delay_s = _FIRST_DELAY_S
        while not self._stop.is_set():
            try:
                if self._connection is None:
                    self._connection = open_connection(self._dsn, "ingest", autocommit=True)
                result = work(self._connection)
            except TransientError as error:
                _log.warning("waiting for the database", error=str(error), again_in_s=delay_s)
                self._stats.waits(self._name)
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                self._stop.wait(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            else:
                self._stats.works(self._name)
                return result
        return None

    def close(self, goodbye: Callable[[Connection], None] | None = None) -> None:
        """Ends the connection, after `goodbye` where there still is one; to be called when its thread is done."""
        if self._connection is None:
            return
        if goodbye is not None:
            with suppress(TransientError):
                goodbye(self._connection)
        self._connection.close()
        self._connection = None
