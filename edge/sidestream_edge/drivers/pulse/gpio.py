"""Edges of one GPIO line, timed and debounced by the kernel (character device, interface version 2, Linux 5.10 and newer).

Each event carries its number, so that edges the kernel had to drop are counted all the same; only their times are lost.
The structures are those of linux/gpio.h. libgpiod is not needed: its wheels are for two machines only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
from typing import NamedTuple

from sidestream_contracts.edge_pulse import PulseDriver
from sidestream_contracts.errors import TransientError
from sidestream_edge.drivers.base import BEAT_S

EVENT = struct.Struct("=QIIII24x")
"""Time in ns, id, line, number over all lines, number on this line."""

REQUEST = struct.Struct("=256s32s272sII20xi")
GET_LINE = 0xC250B407
_CONFIG = struct.Struct("=QI20x")
_ATTRIBUTE = struct.Struct("=I4xI4xQ")
_INPUT, _REALTIME, _DEBOUNCE = 1 << 2, 1 << 11, 3
_EDGES = {"rising": 1 << 4, "falling": 1 << 5}
_BIAS = {"up": 1 << 8, "down": 1 << 9, "none": 1 << 10}
_KEPT_EVENTS = 1024
"""Events that the kernel keeps for us: at 100 pulses a second for ten seconds."""


class Edges(NamedTuple):
    """Edges since the last look: how many, when the last one was (µs UTC), how many of them the kernel had no room for."""

    pulses: int
    last_us: int
    unseen: int


class GpioLine:
    """An open line; TransientError says why it can't be had, or that it is gone."""

    def __init__(self, path: str, line: int, config: PulseDriver) -> None:
        self._number: int | None = None
        self._rest = b""
        try:
            chip = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise TransientError(_why_not(path, error)) from error
        if not stat.S_ISCHR(os.fstat(chip).st_mode):
            self._handle = chip  # a pipe that carries the events themselves
            return
        try:
            self._handle = _request(chip, path, line, config)
        finally:
            os.close(chip)

    def read(self) -> Edges | None:
        """Edges that have come; None when none came within a heartbeat."""
        try:
            ready, _, _ = select.select([self._handle], [], [], BEAT_S)
            data = os.read(self._handle, 64 * EVENT.size) if ready else b""
        except BlockingIOError:
            return None
        except OSError as error:
            raise TransientError(f"can't be read any more: {error.strerror}") from error
        if not ready:
            return None
        if not data:
            raise TransientError("is gone")
        whole = self._rest + data
        n = len(whole) // EVENT.size * EVENT.size
        self._rest = whole[n:]
        return self._edges(list(EVENT.iter_unpack(whole[:n])))

    def close(self) -> None:
        """Gives the line back."""
        os.close(self._handle)

    def _edges(self, events: list[tuple[int, ...]]) -> Edges | None:
        if not events:
            return None
        last_ns, last = events[-1][0], events[-1][4]
        first = events[0][4] if self._number is None else (self._number + 1) & 0xFFFFFFFF
        self._number = last
        count = ((last - first) & 0xFFFFFFFF) + 1
        return Edges(count, last_ns // 1000, count - len(events))


def request(line: int, config: PulseDriver) -> bytes:
    """`struct gpio_v2_line_request` that asks for the edges of `line`."""
    flags = _INPUT | _REALTIME | _EDGES[config.edge] | _BIAS[config.bias]
    debounce_us = round(config.debounce_ms * 1000)
    attributes = _ATTRIBUTE.pack(_DEBOUNCE, debounce_us, 1) if debounce_us else b""
    asked = (_CONFIG.pack(flags, 1 if debounce_us else 0) + attributes).ljust(272, b"\0")
    return REQUEST.pack(struct.pack("=I", line), b"sidestream", asked, 1, _KEPT_EVENTS, -1)


def _request(chip: int, path: str, line: int, config: PulseDriver) -> int:
    asked = bytearray(request(line, config))
    try:
        fcntl.ioctl(chip, GET_LINE, asked)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise TransientError(f"line {line} of {path} is used by another program or driver of the kernel") from error
        if error.errno == errno.EINVAL:
            raise TransientError(
                f"{path} has no line {line}, or can't do edge {config.edge} with bias {config.bias}; see `gpioinfo`"
            ) from error
        raise TransientError(
            f"{path} gives no line: {error.strerror}; is it a GPIO chip, with Linux 5.10 or newer?"
        ) from error
    handle = int(REQUEST.unpack(asked)[-1])
    os.set_blocking(handle, False)
    return handle


def _why_not(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"is not there: no {path}; `gpiodetect` shows the chips of this machine"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"can't be opened: this user may not use {path}; add it to the group gpio, then log in again"
    return f"can't be opened: {error.strerror}"
