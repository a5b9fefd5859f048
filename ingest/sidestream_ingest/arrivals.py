"""What has come and is not yet taken: bounded in messages and in bytes. Filled by one thread, emptied by another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

MOST_MESSAGES = 4_000
MOST_BYTES = 8 * 1024 * 1024
BATCH_BYTES = 2 * 1024 * 1024
"""Most payload bytes of one batch, unless a single message has more."""


class Arrival(NamedTuple):
    """One PUBLISH as it came."""

    generation: int
    mid: int
    qos: int
    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    received_at: datetime


class Arrivals:
    """A queue that says when it is full instead of refusing: whoever fills it then stops reading."""

    def __init__(self, has_room: Callable[[], None]) -> None:
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._has_room = has_room
        self._was_full = False
        self.times_full = 0

    def put(self, arrivals: Iterable[Arrival]) -> None:
        """Adds them, whether there is room or not."""
        with self._changed:
            for arrival in arrivals:
                self._waiting.append(arrival)
                self._bytes += len(arrival.payload)
            self._changed.notify()

    def is_full(self) -> bool:
        """Whether nothing more should be read now; then `has_room` is called as soon as that changes."""
        with self._changed:
            full = self._full()
            self.times_full += full and not self._was_full
            self._was_full = self._was_full or full
            return full

    def _full(self) -> bool:
        return len(self._waiting) >= MOST_MESSAGES or self._bytes >= MOST_BYTES

    def backlog(self) -> tuple[int, int]:
        """Messages that wait, and the bytes of their payloads."""
        with self._changed:
            return len(self._waiting), self._bytes

    def take(self, most: int, flush_s: float, wait_s: float) -> list[Arrival]:
        """Waits up to `wait_s` for a first arrival, then up to `flush_s` for a full batch: `most` messages or BATCH_BYTES."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, wait_s):
                return []
            self._changed.wait_for(lambda: len(self._waiting) >= most or self._bytes >= BATCH_BYTES, flush_s)
            batch: list[Arrival] = []
            size = 0
            while self._waiting and len(batch) < most and size < BATCH_BYTES:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].payload)
            self._bytes -= size
            freed, self._was_full = self._was_full and not self._full(), self._was_full and self._full()
        if freed:
            self._has_room()
        return batch
