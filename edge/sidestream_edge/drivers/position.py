"""Where a driver stands in a file, in a form that survives kill -9 and knows another file under the same name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import BinaryIO

_END = 256


@dataclass(frozen=True, slots=True)
class Position:
    """`offset` bytes of the file are done, `line` lines of it; `head` is the SHA-256 of its first bytes.

    `tail` is that of the last bytes before `offset` (empty in cursors of earlier versions). `header` is where the line begins
    that names the columns.
    """

    offset: int
    line: int
    head: str
    tail: str = ""
    header: int = 0

    @classmethod
    def of(cls, handle: BinaryIO, offset: int, line: int, header: int = 0) -> Position:
        """The position in the open file; leaves the file's own pointer where it is."""
        return cls(offset, line, _head(handle, offset), _tail(handle, offset), header)

    @classmethod
    def parse(cls, cursor: str | None) -> Position | None:
        """The position that `text` made; None for None."""
        if cursor is None:
            return None
        body = json.loads(cursor)
        return cls(
            int(body["offset"]), int(body["line"]), str(body["head"]), str(body.get("tail", "")),
            int(body.get("header", 0)),
        )  # fmt: skip

    def text(self) -> str:
        """The position as a cursor for the outbox."""
        body = {"offset": self.offset, "line": self.line, "head": self.head, "tail": self.tail, "header": self.header}
        return json.dumps(body, separators=(",", ":"))

    def fits(self, handle: BinaryIO) -> bool:
        """Whether `handle` is the file that this position was taken in: long enough, and alike at its begin and up to here."""
        here = handle.tell()
        size = handle.seek(0, 2)
        handle.seek(here)
        if size < self.offset or _head(handle, self.offset) != self.head:
            return False
        return not self.tail or _tail(handle, self.offset) == self.tail


def _head(handle: BinaryIO, offset: int) -> str:
    return _hash(handle, 0, min(_END, offset))


def _tail(handle: BinaryIO, offset: int) -> str:
    begin = max(0, offset - _END)
    return _hash(handle, begin, offset - begin)


def _hash(handle: BinaryIO, begin: int, size: int) -> str:
    here = handle.tell()
    handle.seek(begin)
    part = handle.read(size)
    handle.seek(here)
    return hashlib.sha256(part).hexdigest()
