"""Whether this gateway's clock is kept right by NTP or PTP, as the kernel knows it.

Linux tells it through `ntp_adjtime` with nothing to adjust, which needs no privilege; elsewhere it is unknown.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache

from sidestream_contracts.frame import ClockSync

KEPT_S = 5.0
_TIME_ERROR = 5
_STRUCT_BYTES = 1024
"""Room for `struct timex` of any libc (208 bytes on 64-bit glibc); its first field `modes` is 0: read only."""


class ClockWatch:
    """Asks the kernel at most once in 5 s, so that it may be asked for every frame."""

    def __init__(self, ask: Callable[[], ClockSync] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask or kernel_sync
        self._clock = clock
        self._known: ClockSync = "unknown"
        self._until_s = float("-inf")

    def sync(self) -> ClockSync:
        """The state at most 5 s ago."""
        now_s = self._clock()
        if now_s >= self._until_s:
            self._known, self._until_s = self._ask(), now_s + KEPT_S
        return self._known


def kernel_sync() -> ClockSync:
    """What the kernel says now; `unknown` where it can't be asked (no Linux, or a sandbox forbids it)."""
    ask = _ntp_adjtime()
    if ask is None:
        return "unknown"
    state = ask(ctypes.create_string_buffer(_STRUCT_BYTES))
    if state < 0:
        return "unknown"
    return "unsynced" if state == _TIME_ERROR else "synced"


@cache
def _ntp_adjtime() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        found: Callable[..., int] = ctypes.CDLL(None, use_errno=True).ntp_adjtime
    except (OSError, AttributeError):
        return None
    return found
