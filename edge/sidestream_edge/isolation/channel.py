"""One end of a socket pair between the agent and a driver's process: messages are JSON lists, whole or not at all.

No name in the file system that others could connect to, and the end of either process is seen by the other at once.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from typing import Any

from sidestream_contracts.errors import TransientError

Message = list[Any]
_LENGTH = struct.Struct(">I")
_READ_BYTES = 1 << 16
_MOST_BYTES = 1 << 24
"""Longest message that is believed; a bulk batch of a thousand readings takes about 60 kB."""


class GoneError(TransientError):
    """The other end was closed, and everything that it had sent was received."""


class Channel:
    """`send` from any thread; `receive` from one."""

    def __init__(self, end: socket.socket, send_s: float | None = None) -> None:
        self._end = end
        self._end.settimeout(send_s)
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._over = False

    def send(self, kind: str, *content: Any) -> None:
        """Hands one message to the kernel; GoneError if the other end is closed, or takes nothing for the time given."""
        body = json.dumps([kind, *content], separators=(",", ":")).encode()
        with self._lock:
            try:
                self._end.sendall(_LENGTH.pack(len(body)) + body)
            except OSError as error:
                raise GoneError(f"it takes no message any more ({error.strerror or 'time-out'})") from error

    def receive(self, timeout_s: float | None) -> list[Message]:
        """Whole messages that are there, waiting up to `timeout_s` for the first; GoneError after the last of all.

        ValueError for what is no message.
        """
        if not self._over and select.select([self._end], [], [], timeout_s)[0]:
            self._read()
        messages = self._whole()
        if self._over and not messages:
            raise GoneError("it has closed its end")
        return messages

    def close(self) -> None:
        """Ends this side."""
        self._end.close()

    def _read(self) -> None:
        try:
            data = self._end.recv(_READ_BYTES)
        except ConnectionError:
            data = b""
        self._over = not data
        self._buffer += data

    def _whole(self) -> list[Message]:
        found: list[Message] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > _MOST_BYTES:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            message = json.loads(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            if not isinstance(message, list) or not message or not isinstance(message[0], str):
                raise ValueError(f"no message: {str(message)[:80]}")
            found.append(message)
        return found
