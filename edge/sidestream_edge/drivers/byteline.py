"""A line of bytes to a device: a serial port, or the TCP port of a serial device server. The same to read, write and lose.

`read` never waits for longer than a heartbeat. Whatever goes wrong with the line is a TransientError whose sentence says
what to look at; drivers close the line and open it again.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from sidestream_contracts.edge_lines import SerialPort
from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_edge.drivers.base import BEAT_S

READ_BYTES = 65_536
_PARITY = {"none": "N", "even": "E", "odd": "O"}


class ByteLine(Protocol):
    """An open line; of no use any more once it has raised TransientError."""

    def read(self) -> bytes:
        """What has come; empty when nothing came within a heartbeat."""

    def write(self, data: bytes) -> None:
        """Sends all of `data`."""

    def close(self) -> None:
        """Gives the line back; may be called twice."""


@dataclass(frozen=True, slots=True)
class TcpSource:
    """A device, or a serial device server, that listens on a TCP port."""

    host: str
    port: int
    timeout_s: float

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    def open(self) -> ByteLine:
        """A connection; TransientError when there is none to be had."""
        return _TcpLine(self)


@dataclass(frozen=True, slots=True)
class SerialSource:
    """A serial port of this machine, also one behind USB."""

    path: str
    settings: SerialPort
    timeout_s: float

    def __str__(self) -> str:
        s = self.settings
        return f"{self.path} at {s.baud} baud {s.data_bits}{_PARITY[s.parity]}{s.stop_bits}"

    def open(self) -> ByteLine:
        """The port, held by nobody else; TransientError that says why it can't be had."""
        return _SerialLine(self)


Source = TcpSource | SerialSource


def parse_source(source: str, settings: SerialPort, timeout_s: float, who: str) -> Source:
    """Where `tcp://host:port` or `serial:///dev/…` leads; ConfigurationError for anything else."""
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme == "serial" and not parts.netloc and parts.path.startswith("/"):
        return SerialSource(parts.path, settings, timeout_s)
    if parts.scheme == "tcp" and host and port:
        return TcpSource(host, port, timeout_s)
    raise ConfigurationError(
        f"{who}: source {source!r} is not usable; write tcp://host:port, or serial:///dev/serial/by-id/… for a serial port."
    )


class _TcpLine:
    """TCP keep-alive finds a dead line in 25 s."""

    def __init__(self, source: TcpSource) -> None:
        self._source = source
        try:
            self._socket = socket.create_connection((source.host, source.port), source.timeout_s)
        except OSError as error:
            raise TransientError(f"is not connected: {error}; check host, port and power") from error
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def read(self) -> bytes:
        self._socket.settimeout(BEAT_S)
        try:
            data = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            raise TransientError(f"is not connected: {error}; check power and network") from error
        if not data:
            raise TransientError("is not connected: it closed the connection; does another client hold it?")
        return data

    def write(self, data: bytes) -> None:
        self._socket.settimeout(self._source.timeout_s)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise TransientError(f"is not connected: {error}; check power and network") from error

    def close(self) -> None:
        self._socket.close()


class _SerialLine:
    """A port opened for this process alone."""

    def __init__(self, source: SerialSource) -> None:
        import serial

        self._errors = (serial.SerialException, OSError)
        self._path = source.path
        s = source.settings
        try:
            self._port = serial.Serial(
                source.path, s.baud, bytesize=s.data_bits, parity=_PARITY[s.parity], stopbits=s.stop_bits,
                timeout=BEAT_S, write_timeout=source.timeout_s, exclusive=True,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigurationError(f"{source} can't be set up: {error}; change `serial` in edge.yaml.") from error
        except self._errors as error:
            raise TransientError(_why_not(source.path, error)) from error

    def read(self) -> bytes:
        try:
            first = self._port.read(1)
            return bytes(first + self._port.read(self._port.in_waiting)) if first else b""
        except self._errors as error:
            raise TransientError(self._lost(error)) from error

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except self._errors as error:
            raise TransientError(self._lost(error)) from error

    def close(self) -> None:
        self._port.close()

    def _lost(self, error: OSError) -> str:
        if not Path(self._path).exists():
            return f"is gone: {self._path} was unplugged; plug it in again"
        return f"can't be read any more: {error}; was it unplugged, or has another program opened it?"


def _why_not(path: str, error: OSError) -> str:
    """Why a port can't be opened, and what to do."""
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return f"can't be opened: there is no {path}; {_ports()}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"can't be opened: this user may not use {path}; add it to the port's group (dialout), then log in again"
    if error.errno in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in str(error):
        return f"can't be opened: another program holds {path}; stop it, or another driver of edge.yaml reads the same port"
    return f"can't be opened: {error}"


def _ports() -> str:
    """What serial ports there are, by their lasting names where they have one."""
    found = sorted(Path("/dev/serial/by-id").glob("*")) or sorted(
        [*Path("/dev").glob("ttyUSB*"), *Path("/dev").glob("ttyACM*"), *Path("/dev").glob("ttyAMA*")]
    )
    return f"there are: {', '.join(map(str, found))}" if found else "no serial port was found; is it plugged in?"
