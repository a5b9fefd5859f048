"""The supervisor's side of the guardian: one small process that outlives a killed supervisor just long enough to clean up.

PR_SET_PDEATHSIG reaches direct children only. What they started themselves (workers, subprocesses) is reached through
the process group that each child leads.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

_SCRIPT = Path(__file__).with_name("_guardian.py")


class Guardian:
    """Guarantees that every group under guard is killed when this process dies without releasing it, SIGKILL included."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stdin:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._writing = writing

    def guard(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Ends the guardian; groups still under guard are killed."""
        with self._lock:
            if self._writing >= 0:
                os.close(self._writing)
                self._writing = -1
        self._process.wait()

    def _tell(self, line: str) -> None:
        # A guardian that was itself killed can't be told; the kernel's parent-death signal still holds for the children.
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._writing >= 0:
                os.write(self._writing, line.encode())
