"""Scanners as TCP servers: one line of text per code read, ended by CR LF, to every client that is connected.

Like the memory of a real hand scanner: while nobody is connected the last `MEMORY_LINES` lines are kept and handed to
the first client that comes; older ones are lost, and that is logged. A client that does not read is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from pathlib import Path

from sidestream_contracts.edge_lines import ScannerDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.ports import port_in_use

MEMORY_LINES = 1000
_MAX_UNREAD_BYTES = 1 << 20

_log = logging.getLogger(__name__)


def tcp_address(driver: ScannerDriver) -> tuple[str, int] | None:
    """Host and port of a `tcp://host:port` source; None for a file. ConfigurationError for a malformed one."""
    if not driver.source.startswith("tcp://"):
        return None
    host, _, port = driver.source.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(f"driver {driver.id!r}: source {driver.source!r} is not tcp://host:port.")
    return host.strip("[]"), int(port)


class ScanServer:
    """The reader behind one scanner driver."""

    def __init__(self, sensor: str, host: str, port: int, edge_path: Path) -> None:
        self.sensor = sensor
        self._host, self._port, self._edge_path = host, port, edge_path
        self._memory: deque[str] = deque(maxlen=MEMORY_LINES)
        self._clients: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def connected(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    async def start(self, bind_host: str | None = None) -> None:
        """Listen; ConfigurationError naming port and variable if the port is taken."""
        host = bind_host or self._host
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Client(self), host, self._port)
        except OSError as error:
            raise port_in_use(self._edge_path, host, self._port, "scan line") from error

    def send(self, code: str) -> None:
        """Hand `code` to every client, or remember it until one comes."""
        if self._clients:
            for client in list(self._clients):
                self._write(client, code)
            return
        if len(self._memory) == MEMORY_LINES:
            _log.warning(
                "scanner %s: memory of %d lines is full, %s is lost", self.sensor, MEMORY_LINES, self._memory[0]
            )
        self._memory.append(code)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server:
            self._server.close()
        for client in list(self._clients):
            client.abort()
        while self._clients:  # noqa: ASYNC110  the event loop tells each of them in its next round
            await asyncio.sleep(0)

    def joined(self, client: asyncio.Transport) -> None:
        """A client has connected: it is given what was remembered."""
        self._clients.add(client)
        while self._memory:
            self._write(client, self._memory.popleft())

    def left(self, client: asyncio.Transport) -> None:
        """A client has gone."""
        self._clients.discard(client)

    def _write(self, client: asyncio.Transport, code: str) -> None:
        client.write(f"{code}\r\n".encode())
        if client.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            _log.warning("scanner %s: a client does not read and is cut off", self.sensor)
            client.abort()


class _Client(asyncio.Protocol):
    """One connection; what a client says is not heard, as with a real scanner."""

    def __init__(self, scanner: ScanServer) -> None:
        self._scanner = scanner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._scanner.joined(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc:
            _log.info("scanner %s: connection lost: %s", self._scanner.sensor, exc)
        if self._transport:
            self._scanner.left(self._transport)
