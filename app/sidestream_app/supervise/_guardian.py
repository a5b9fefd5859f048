"""Ends process groups that a dead supervisor left: `python -I -S _guardian.py`, fed by lines on stdin.

`+N` puts group N under guard, `-N` releases it. The end of stdin means that the supervisor is gone, however it died.
Its direct children then get their parent-death signal from the kernel; this program sees to the rest of each group:
at once where the leader is gone, after GRACE_S where the leader is still ending in an orderly way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 3.0
POLL_S = 0.05


def read_groups(lines: Iterable[str]) -> set[int]:
    """The groups still under guard when the lines end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def _leader_lives(group: int) -> bool:
    try:
        os.kill(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_groups(groups: set[int], grace_s: float = GRACE_S) -> None:
    """When it returns every group was killed, leaders that were still ending after `grace_s` included."""
    deadline = time.monotonic() + grace_s
    left = set(groups)
    while left and time.monotonic() < deadline:
        for group in [group for group in left if not _leader_lives(group)]:
            _kill_group(group)
            left.discard(group)
        time.sleep(POLL_S)
    for group in left:
        _kill_group(group)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_groups(read_groups(sys.stdin))
