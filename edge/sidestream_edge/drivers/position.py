"""Where a driver stands in a file, in a form that survives kill -9 and knows another file under the same name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import BinaryIO

_HEAD = 256


@dataclass(frozen=True, slots=True)
class Position:
    """`offset` bytes of the file are done, `line` lines of it; `head` is the SHA-256 of its first bytes."""

    offset: int
    line: int
    head: str

    @classmethod
    def of(cls, handle: BinaryIO, offset: int, line: int) -> Position:
        """The position in the open file; leaves the file's own pointer where it is."""
        return cls(offset, line, _head(handle, offset))

    @classmethod
    def parse(cls, cursor: str | None) -> Position | None:
        """The position that `text` made; None for None."""
        if cursor is None:
            return None
        body = json.loads(cursor)
        return cls(int(body["offset"]), int(body["line"]), str(body["head"]))

    def text(self) -> str:
        """The position as a cursor for the outbox."""
        return json.dumps({"offset": self.offset, "line": self.line, "head": self.head}, separators=(",", ":"))

    def fits(self, handle: BinaryIO) -> bool:
        """Whether `handle` is the file that this position was taken in: long enough, and it begins alike."""
        here = handle.tell()
        size = handle.seek(0, 2)
        handle.seek(here)
        return size >= self.offset and _head(handle, self.offset) == self.head


def _head(handle: BinaryIO, offset: int) -> str:
    here = handle.tell()
    handle.seek(0)
    head = handle.read(min(_HEAD, offset))
    handle.seek(here)
    return hashlib.sha256(head).hexdigest()
