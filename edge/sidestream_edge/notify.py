"""Tells the service manager that the agent is ready, and that its main loop still turns (sd_notify(3)).

Without one (no NOTIFY_SOCKET in the environment) nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


class ServiceManager:
    """The one that started this process; what it is told may be lost without harm."""

    def __init__(self, every_s: float = 5.0) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", None)  # not for the processes of drivers
        self._every_s = every_s
        self._told_s = float("-inf")

    def ready(self) -> None:
        """What was asked for runs."""
        self._say(f"READY=1\nMAINPID={os.getpid()}")

    def alive(self) -> None:
        """To be called in every turn; says so every few seconds."""
        now_s = time.monotonic()
        if self._address is not None and now_s - self._told_s >= self._every_s:
            self._told_s = now_s
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(text.encode(), address)
