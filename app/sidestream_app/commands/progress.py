"""Progress of long work on stderr: one line that is written over on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Self

_TERMINAL_S, _LOG_S = 0.2, 10.0


class Progress:
    """Shows how far work is; SIGTERM then ends it as Ctrl-C does, so that nothing half-made is left behind."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every_s = _TERMINAL_S if self._terminal else _LOG_S
        self._began_at = self._told_at = time.monotonic()
        self._ended_at: float | None = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended_at = time.monotonic()
        signal.signal(signal.SIGTERM, self._before)
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return round((self._ended_at or time.monotonic()) - self._began_at, 3)

    def table(self, name: str, size: int) -> None:
        """So many bytes of a table are done."""
        self.tell(f"{name}: {size / 1e6:.1f} MB")

    def rows(self, count: int) -> None:
        """So many rows are done."""
        self.tell(f"{count:,} rows, {count / max(self.seconds, 0.001):,.0f} a second")

    def tell(self, text: str) -> None:
        """Shows `text`, if it is time for it."""
        now = time.monotonic()
        if now - self._told_at < self._every_s:
            return
        self._told_at = now
        start, end = ("\r\x1b[K", "") if self._terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
