"""Which bodies were taken, so that a logger that sends one again (it had no answer) is told yes and counts nothing twice. Pure.

The cursor of the driver: its number in this run, and hashes of the last bodies. It is stored with what was in them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict

KEPT = 64


class Receipts:
    """Begins with what the outbox remembers."""

    def __init__(self, cursor: str | None) -> None:
        self._run = secrets.token_hex(4)
        self._number = 0
        before = json.loads(cursor)["bodies"] if cursor is not None else []
        self._bodies: OrderedDict[str, None] = OrderedDict.fromkeys(before)

    def knows(self, body: str) -> bool:
        """Whether this body was taken before."""
        return body in self._bodies

    def cursor_with(self, body: str | None) -> tuple[int, str]:
        """Number and text of the cursor of a batch that holds `body`; it counts as taken from `took` on."""
        bodies = [*self._bodies, *([body] if body is not None and body not in self._bodies else [])][-KEPT:]
        number = self._number + 1
        return number, json.dumps({"run": self._run, "n": number, "bodies": bodies}, separators=(",", ":"))

    def took(self, body: str | None) -> None:
        """The batch of the last `cursor_with` was handed over."""
        self._number += 1
        if body is not None:
            self._bodies[body] = None
            while len(self._bodies) > KEPT:
                self._bodies.popitem(last=False)

    def stored(self, cursor: str | None) -> int:
        """Number of the last batch of this run that is on the disk."""
        if cursor is None:
            return 0
        told = json.loads(cursor)
        return int(told["n"]) if told["run"] == self._run else 0


def body_hash(path: str, payload: bytes) -> str:
    """Knows a body of a path again."""
    return hashlib.sha256(path.encode() + b"\0" + payload).hexdigest()[:24]
