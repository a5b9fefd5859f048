"""A few places for questions that take long: who finds none free in time is told to come back, and holds no thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sidestream_contracts.errors import TransientError

WAIT_S = 5.0


class Places:
    """At most `count` questions are answered at a time; the next ones wait at most `wait_s` seconds for their turn."""

    def __init__(self, count: int, what: str, wait_s: float = WAIT_S) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._wait_s = wait_s
        self._full = f"{count} {what} are being answered already and none was done within {wait_s:g} s"

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for as long as the block lasts. TransientError, which is answered with 503, if none came free in time."""
        if not self._free.acquire(timeout=self._wait_s):
            raise TransientError(self._full)
        try:
            yield
        finally:
            self._free.release()
