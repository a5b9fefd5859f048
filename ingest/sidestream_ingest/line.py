"""One connection to the broker, from its first byte to its last: a socket, what waits to be written, and when it was alive.

Never waits: `read` and `write` do what can be done now. Used by one thread alone.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

from sidestream_contracts.errors import ConfigurationError
from sidestream_ingest import mqtt5
from sidestream_ingest.mqtt5 import Login, Packet, ProtocolError

_CONNECT_TIMEOUT_S = 5.0
_READ_BYTES = 262_144


class Line:
    """A connection that the broker has accepted; OSError or ProtocolError from any call when it is over."""

    def __init__(self, host: str, port: int, ca_file: str | None, login: Login) -> None:
        self._keepalive_s, self._most = login.keepalive_s, login.maximum_packet
        self._in, self._out = bytearray(), bytearray()
        self._heard_s = self._said_s = time.monotonic()
        self.socket = _connected(host, port, ca_file)
        try:
            self._introduce(login)
        except BaseException:
            self.socket.close()
            raise
        self.socket.setblocking(False)

    def _introduce(self, login: Login) -> None:
        self.socket.sendall(mqtt5.connect(login))
        while not (packets := list(mqtt5.split(self._in, self._most))):
            received = self.socket.recv(_READ_BYTES)
            if not received:
                raise ProtocolError("the broker hung up instead of answering")
            self._in += received
        if code := mqtt5.read_connack(packets[0]):
            raise ProtocolError(mqtt5.reason(code))

    def say(self, packets: bytes) -> None:
        """The packets will be written as soon as the broker takes them."""
        self._out += packets

    @property
    def has_more_to_say(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._out)

    def write(self) -> None:
        """Writes what the broker takes now."""
        try:
            while self._out:
                del self._out[: self.socket.send(self._out)]
                self._said_s = time.monotonic()
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return

    def read(self) -> Iterator[Packet]:
        """The packets that have come whole; ConnectionError when the broker hung up."""
        try:
            while True:
                received = self.socket.recv(_READ_BYTES)
                if not received:
                    raise ConnectionResetError("the line was cut")
                self._heard_s = time.monotonic()
                self._in += received
                yield from mqtt5.split(self._in, self._most)
                if not self.has_unread():
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def has_unread(self) -> bool:
        """Whether TLS holds bytes already, of which the socket shows nothing."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def keep_alive(self, *, listening: bool) -> None:
        """Asks the broker for a sign of life in time; TimeoutError when it gave none for one and a half keep-alives.

        While nobody is listening, its answers lie unread and say nothing.
        """
        now_s = time.monotonic()
        if not listening:
            self._heard_s = now_s
        if now_s - self._heard_s > 1.5 * self._keepalive_s:
            raise TimeoutError("no sign of life within the keep-alive")
        if now_s - min(self._said_s, self._heard_s) > self._keepalive_s / 2 and not self._out:
            self.say(mqtt5.PINGREQ_PACKET)

    def close(self, *, politely: bool) -> None:
        """Ends the connection; a broker that doesn't take the goodbye does without."""
        if politely:
            self.say(mqtt5.DISCONNECT_PACKET)
            with suppress(OSError):
                self.write()
        self.socket.close()


def _connected(host: str, port: int, ca_file: str | None) -> socket.socket:
    plain = socket.create_connection((host, port), _CONNECT_TIMEOUT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if ca_file is None:
        return plain
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        plain.close()
        raise ConfigurationError(f"The broker's CA file {ca_file} can't be read: {error}.") from error
    return context.wrap_socket(plain, server_hostname=host)
