"""A scanner that types like a keyboard, read from the kernel's input layer and from no console.

The device is grabbed, so that what it types reaches no login prompt and no other program. An event is 24 bytes on 64-bit
machines and 16 on 32-bit ones: two longs of time, then type, code and value.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
from pathlib import Path

from sidestream_contracts.errors import TransientError
from sidestream_edge.drivers.base import BEAT_S
from sidestream_edge.drivers.scanner.keys import Event

EVENT = struct.Struct("@llHHi")
_GRAB = 0x40044590
"""EVIOCGRAB of linux/input.h."""

_READ_EVENTS = 256


class HidLine:
    """An open input device; TransientError says why it can't be had, or that it is gone."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise TransientError(_why_not(path, error)) from error
        try:
            self._grab()
        except TransientError:
            self.close()
            raise

    def read(self) -> list[Event]:
        """Events that have come; none when nothing came within a heartbeat."""
        try:
            ready, _, _ = select.select([self._handle], [], [], BEAT_S)
            if not ready:
                return []
            data = os.read(self._handle, _READ_EVENTS * EVENT.size)
        except BlockingIOError:
            return []
        except OSError as error:
            raise TransientError(f"is gone: {error.strerror}; plug the scanner in again") from error
        if not data:
            raise TransientError("is gone; plug the scanner in again")
        whole = self._rest + data
        n = len(whole) // EVENT.size * EVENT.size
        self._rest = whole[n:]
        return [Event(s * 1_000_000 + us, *rest) for s, us, *rest in EVENT.iter_unpack(whole[:n])]

    def close(self) -> None:
        """Gives the device back, and with it its grab."""
        os.close(self._handle)

    def _grab(self) -> None:
        if not stat.S_ISCHR(os.fstat(self._handle).st_mode):
            return
        try:
            fcntl.ioctl(self._handle, _GRAB, 1)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise TransientError("is held by another program; stop that one") from error
            raise TransientError(f"is no keyboard-like input device: {error.strerror}; {_keyboards()}") from error


def _why_not(path: str, error: OSError) -> str:
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return f"is not there: no {path}; {_keyboards()}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"can't be opened: this user may not read {path}; add it to the group input, then log in again"
    return f"can't be opened: {error.strerror}"


def _keyboards() -> str:
    found = sorted(map(str, Path("/dev/input/by-id").glob("*-kbd")))
    return f"there are: {', '.join(found)}" if found else "no USB keyboard or scanner was found; is it plugged in?"
