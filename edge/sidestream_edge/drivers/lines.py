"""Bytes become lines of text, whatever ends a line, however the bytes were cut. Pure.

A line ends with CR, LF or both. Empty lines are left out. A line that is no UTF-8, holds NUL or has more than 512
characters is a fault and is named; the lines around it are not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sidestream_edge.drivers.base import MAX_CODE

MAX_LINE_BYTES = 4 * MAX_CODE
_END = re.compile(rb"[\r\n]")
_END_OR_ETX = re.compile(rb"[\r\n\x03]")


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that can't be used: a counter's name and a sentence."""

    counter: str
    text: str


@dataclass(slots=True)
class LineSplitter:
    """Takes bytes as they come; holds at most one unfinished line of bounded length. `etx`: ETX ends a line too."""

    etx: bool = False
    _rest: bytes = b""
    _skipping: bool = field(default=False)

    def feed(self, data: bytes) -> Iterator[str | Fault]:
        """The lines and faults that `data` completes."""
        *lines, self._rest = (_END_OR_ETX if self.etx else _END).split(self._rest + data)
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line:
                yield _text(line)
        if len(self._rest) > MAX_LINE_BYTES:
            if not self._skipping:
                yield _too_long(self._rest)
            self._skipping, self._rest = True, b""

    @property
    def is_half(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._rest) or self._skipping

    def cut(self, when: str = "when the line was cut") -> Fault | None:
        """Half a line that can't be finished any more; the splitter begins anew."""
        half, self._rest = self._rest, b""
        skipping, self._skipping = self._skipping, False
        if not half or skipping:
            return None
        return Fault(
            "half_lines",
            f"half a line of {len(half)} bytes {when}: {_shown(half)}; not taken",
        )


def _text(line: bytes) -> str | Fault:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Fault("bad_lines", f"a line is no UTF-8 ({error.reason} at byte {error.start}): {_shown(line)}")
    if "\x00" in text:
        return Fault("bad_lines", f"a line holds NUL: {_shown(line)}")
    return text if len(text) <= MAX_CODE else _too_long(line)


def _too_long(line: bytes) -> Fault:
    return Fault("bad_lines", f"a line is longer than {MAX_CODE} characters: {_shown(line)}")


def _shown(line: bytes) -> str:
    return repr(line[:40])[1:] + ("…" if len(line) > 40 else "")
