"""Starts a driver's process, watches what it holds, and ends it with all that it has started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from sidestream_edge.isolation.channel import Channel

_SEND_S = 20.0
_LOOK_S = 0.01
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


class Process:
    """One process in a session of its own; to be made, used and ended by one thread, for it dies with that thread."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "sidestream_edge.isolation.child", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.channel = Channel(ours, _SEND_S)
        self.pid = self._popen.pid

    def held_bytes(self) -> int | None:
        """Memory that it holds now (resident set); None where the system does not tell."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self, grace_s: float) -> str:
        """It is gone, with its children, killed if it has not ended within `grace_s`; how it ended, in words."""
        if self._popen.returncode is None:
            deadline_s = time.monotonic() + grace_s
            while not self._is_over() and time.monotonic() < deadline_s:
                time.sleep(_LOOK_S)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # before it is reaped, while the number is still its own
            self._popen.wait()
            self.channel.close()
        return _words(self._popen.returncode)

    def _is_over(self) -> bool:
        """Whether it has ended; it stays to be reaped."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _words(code: int) -> str:
    if code >= 0:
        return f"ended by itself with exit code {code}"
    number = signal.Signals(-code)
    if number in _CRASHES:
        return f"crashed in native code ({number.name})"
    if number == signal.SIGKILL:
        return "was killed (SIGKILL), by the kernel for want of memory or by somebody"
    return f"was ended by {number.name}"
