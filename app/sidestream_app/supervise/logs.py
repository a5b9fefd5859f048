"""The log file of a child: bounded on disk, its end quoted when the child fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

MAX_LOG_BYTES = 10_000_000
_TAIL_BYTES = 8_192


def open_log(path: Path) -> IO[bytes]:
    """Opens the log for appending, its folder made; one above 10 MB is first put aside as `<name>.1`.

    The size is looked at when a child starts, so a log holds at most one life beyond the limit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def log_tail(path: Path, offset: int = 0, lines: int = 20) -> str:
    """The last `lines` lines written after byte `offset`, or a word that there are none."""
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(offset, end - _TAIL_BYTES, 0))
        text = log.read().decode(errors="replace")
    tail = text.strip().splitlines()[-lines:]
    return "\n".join(tail) if tail else "(it logged nothing)"
