"""Takes lines of a scanner: over TCP, connecting again for ever, or from a file that grows, surviving its rotation.

The time of a scan is the arrival of its line. Lines that a file already held when it was opened were written earlier than
they are read; their quality says so (uncertain).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from sidestream_contracts.edge import EdgeFile, ScannerDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import BEAT_S, DriverContext
from sidestream_edge.drivers.position import Position
from sidestream_edge.drivers.scanner.lines import Fault, LineSplitter
from sidestream_edge.measurement import Batch, Scan, now_us

READ_BYTES = 65_536
LOOK_S = 0.1
"""How often a file is looked at for new lines."""


def build(config: ScannerDriver, base: Path, _edge: EdgeFile) -> TcpScanner | FileScanner:
    """The scanner driver for `config.source`; ConfigurationError if that is neither tcp://host:port nor a path."""
    if "://" not in config.source:
        return FileScanner(config, base / config.source)
    try:
        parts = urlsplit(config.source)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not config.source.startswith("tcp://") or not host or not port:
        raise ConfigurationError(
            f"Scanner {config.id}: source {config.source!r} is not usable; write tcp://host:port, or the path of a file."
        )
    return TcpScanner(config, host, port)


class _Scanner:
    """What both sources share; `lane` scan."""

    type = "scanner"
    lane: Lane = "scan"

    def __init__(self, config: ScannerDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 3 * config.timeout_s)
        self._config = config

    def _batch(
        self, found: Iterable[str | Fault], context: DriverContext, quality: Quality, cursor: str | None = None
    ) -> Batch:
        scans, t = [], now_us()
        for item in found:
            if isinstance(item, Fault):
                context.fault(item.counter, f"Scanner {self.id} ({self._config.source}): {item.text}.")
            else:
                scans.append(Scan(self._config.sensor, t, item, q=quality))
        return Batch(self.id, "scan", scans=tuple(scans), cursor=cursor)

    @staticmethod
    def _hand_over(batch: Batch, context: DriverContext) -> None:
        if (len(batch) or batch.cursor is not None) and context.deliver(batch):
            context.good()

    def _cut(self, splitter: LineSplitter, context: DriverContext) -> None:
        half = splitter.cut()
        if half is not None:
            context.fault(half.counter, f"Scanner {self.id} ({self._config.source}): {half.text}.")


class TcpScanner(_Scanner):
    """A scanner that is a TCP server."""

    def __init__(self, config: ScannerDriver, host: str, port: int) -> None:
        super().__init__(config)
        self._address = (host, port)

    def run(self, context: DriverContext) -> None:
        """Connects, takes lines until the scanner goes away, connects again."""
        backoff = Backoff(first_s=0.25, longest_s=5.0)
        while not context.stopping:
            why = "it closed the connection"
            try:
                with socket.create_connection(self._address, self._config.timeout_s) as line:
                    backoff.reset()
                    self._take_lines(line, context)
            except OSError as error:
                why = str(error)
            context.problem(
                f"Scanner {self.id} ({self._config.source}) is not connected: {why}. Trying again; check host, port and power."
            )
            context.wait(backoff.next_s())

    def _take_lines(self, line: socket.socket, context: DriverContext) -> None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        line.settimeout(BEAT_S)
        splitter = LineSplitter()
        context.good()
        try:
            while not context.stopping:
                context.beat()
                try:
                    data = line.recv(READ_BYTES)
                except TimeoutError:
                    continue
                if not data:
                    return
                self._hand_over(self._batch(splitter.feed(data), context, Quality.GOOD), context)
        finally:
            self._cut(splitter, context)


class FileScanner(_Scanner):
    """A scanner whose software writes lines into a file."""

    def __init__(self, config: ScannerDriver, path: Path) -> None:
        super().__init__(config)
        self._path = path

    def run(self, context: DriverContext) -> None:
        """Follows the file from where the outbox says that it was left; begins anew with a file put in its place."""
        position = Position.parse(context.cursor)
        quality = Quality.UNCERTAIN
        while not context.stopping:
            try:
                with self._path.open("rb") as handle:
                    if position is not None and position.fits(handle):
                        handle.seek(position.offset)
                    self._follow(handle, context, quality)
                    position, quality = None, Quality.GOOD
            except FileNotFoundError:
                quality = Quality.GOOD
                context.problem(f"Scanner {self.id}: there is no file {self._path} yet. Waiting for it.")
                context.wait(LOOK_S)

    def _follow(self, handle: BinaryIO, context: DriverContext, quality: Quality) -> None:
        splitter = LineSplitter()
        context.good()
        while not context.stopping:
            replaced = not self._is_still(handle)
            begin = handle.tell()
            data = handle.read(READ_BYTES)
            if data:
                found = splitter.feed(data)
                done = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
                cursor = Position.of(handle, begin + done, 0).text() if done else None
                self._hand_over(self._batch(found, context, quality, cursor), context)
                continue
            quality = Quality.GOOD
            if replaced:
                self._cut(splitter, context)
                return
            context.wait(LOOK_S)

    def _is_still(self, handle: BinaryIO) -> bool:
        """Whether the path still names the open file, and the file was not emptied under us."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(handle.fileno())
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) and there.st_size >= handle.tell()
