"""Which messages of the server are not yet confirmed to it: only those whose batch is on the disk may be."""

from __future__ import annotations

import secrets
from collections import deque


class Unconfirmed:
    """Of one run of the driver. A cursor also says until when the server was heard, for the run after this one."""

    def __init__(self, before: str | None) -> None:
        self.heard_us: int | None = _heard(before)
        """When the server was last heard, µs UTC; by an earlier run where this one has not heard it yet."""
        self._token = secrets.token_hex(4)
        self._count = 0
        self._open: deque[tuple[int, int]] = deque()

    def cursor(self, number: int | None) -> str:
        """The cursor of the next batch, which holds message `number`."""
        self._count += 1
        if number is not None:
            self._open.append((self._count, number))
        return f"{self._token}:{self._count}:{self.heard_us or 0}"

    def durable(self, stored: str | None) -> list[int]:
        """Numbers of messages to be confirmed now, each told once."""
        token, _, rest = (stored or "").partition(":")
        found: list[int] = []
        while self._open and token == self._token and self._open[0][0] <= int(rest.partition(":")[0]):
            found.append(self._open.popleft()[1])
        return found

    def forget(self) -> None:
        """The subscription is gone, and the numbers of its messages with it."""
        self._open.clear()


def _heard(cursor: str | None) -> int | None:
    last = (cursor or "").rpartition(":")[2]
    return int(last) or None if last.isdigit() else None
