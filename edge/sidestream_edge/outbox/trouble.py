"""What SQLite's errors mean for an outbox: wait and try again, or stop using the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidestream_contracts.errors import SidestreamError, TransientError

_NOT_DURABLE = {sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC}


class OutboxCorruptError(SidestreamError):
    """The outbox file became unreadable while in use; at the next start it is moved aside and named."""


class OutboxNotDurableError(OutboxCorruptError):
    """The disk would not say that what was written is on it; what it really holds is known at the next start only."""


class Explained:
    """A context in which SQLite's errors become ours. After a failed fsync every further use fails alike.

    The kernel takes pages whose fsync failed for clean, so that asking again would be told that all is well.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over: OutboxNotDurableError | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """TransientError, OutboxNotDurableError or OutboxCorruptError for what goes wrong inside."""
        if self._over is not None:
            raise self._over
        try:
            yield
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) in _NOT_DURABLE:
                self._over = OutboxNotDurableError(
                    f"The disk of the outbox {self._path} did not make durable what was written to it: {error}. Nothing of"
                    " it counts as stored, and nothing more is taken. Start again; if it comes again, replace the disk."
                )
                raise self._over from error
            raise TransientError(
                f"The outbox {self._path} can't be used now: {error}. Readings are held in memory meanwhile;"
                " free space on its disk."
            ) from error
        except sqlite3.DatabaseError as error:
            raise OutboxCorruptError(
                f"The outbox {self._path} is damaged: {error}. It is moved aside at the next start."
            ) from error
