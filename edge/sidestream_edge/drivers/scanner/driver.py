"""Takes codes of a scanner: over TCP, a serial port or USB, connecting again for ever, or from a file that grows.

The time of a scan is the arrival of its line, or of its last key by the kernel's clock. Lines that a file already held
when it was opened were written earlier than they are read; their quality says so (uncertain).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_lines import ScannerDriver
from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.byteline import Source, parse_source
from sidestream_edge.drivers.lines import Fault, LineSplitter
from sidestream_edge.drivers.position import Position
from sidestream_edge.drivers.scanner.codes import Affixes
from sidestream_edge.drivers.scanner.hid import HidLine
from sidestream_edge.drivers.scanner.keys import Keyboard, Typed
from sidestream_edge.drivers.sentence import sentence
from sidestream_edge.measurement import Batch, Scan, now_us

READ_BYTES = 65_536
LOOK_S = 0.1
"""How often a file is looked at for new lines."""

_HID = "hid://"


def build(config: ScannerDriver, base: Path, _edge: EdgeFile) -> LineScanner | FileScanner:
    """The scanner driver for `config.source`; ConfigurationError if that is nothing that a scanner can be read from."""
    if config.source.startswith(_HID):
        path = config.source.removeprefix(_HID)
        if not path.startswith("/"):
            raise ConfigurationError(f"Scanner {config.id}: write hid:///dev/input/by-id/…, not {config.source!r}.")
        return LineScanner(config, lambda: _Keys(config, path))
    if "://" not in config.source:
        return FileScanner(config, base / config.source)
    source = parse_source(config.source, config.serial, config.timeout_s, f"Scanner {config.id}")
    return LineScanner(config, lambda: _Lines(source))


class _Scanner:
    """What all sources share; `lane` scan."""

    type = "scanner"
    lane: Lane = "scan"

    def __init__(self, config: ScannerDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 3 * config.timeout_s)
        self._config = config
        self._where = f"Scanner {config.id} ({config.source})"
        self._affixes = Affixes(config.prefix, config.suffix)

    def _batch(
        self, found: Iterable[Typed], context: DriverContext, quality: Quality, cursor: str | None = None
    ) -> Batch:
        scans = []
        for t, line in found:
            code = self._affixes.code_of(line)
            if isinstance(code, Fault):
                self._faulty(code, context)
            else:
                scans.append(Scan(self._config.sensor, t, code, q=quality))
        return Batch(self.id, "scan", scans=tuple(scans), cursor=cursor)

    @staticmethod
    def _hand_over(batch: Batch, context: DriverContext) -> None:
        if (len(batch) or batch.cursor is not None) and context.deliver(batch):
            context.good()

    def _faulty(self, fault: Fault | None, context: DriverContext) -> None:
        if fault is not None:
            context.fault(fault.counter, sentence(f"{self._where}: {fault.text}"))


class _Open(Protocol):
    """An open line to a scanner that sends by itself."""

    heard_s: float
    """Monotonic time at which something came last."""

    def read(self) -> list[Typed]:
        """Codes and faults that have come, within a heartbeat; TransientError when the scanner is gone."""

    @property
    def is_half(self) -> bool:
        """Whether a code has begun and not ended."""

    def cut(self, when: str) -> Fault | None:
        """Gives the half code up."""

    def close(self) -> None:
        """Gives the line back."""


class _Lines:
    """Lines of text, over TCP or a serial port."""

    def __init__(self, source: Source) -> None:
        self._line = source.open()
        self._splitter = LineSplitter()
        self.heard_s = time.monotonic()
        self.close = self._line.close

    @property
    def is_half(self) -> bool:
        return self._splitter.is_half

    def read(self) -> list[Typed]:
        data = self._line.read()
        t = now_us()
        self.heard_s = time.monotonic() if data else self.heard_s
        return [Typed(t, item) for item in self._splitter.feed(data)]

    def cut(self, when: str) -> Fault | None:
        return self._splitter.cut(when)


class _Keys:
    """Keys of a USB keyboard."""

    def __init__(self, config: ScannerDriver, path: str) -> None:
        self._line = HidLine(path)
        self._keyboard = Keyboard(config.keyboard, config.terminator)
        self.heard_s = time.monotonic()
        self.close = self._line.close

    @property
    def is_half(self) -> bool:
        return self._keyboard.is_half

    def read(self) -> list[Typed]:
        events = self._line.read()
        self.heard_s = time.monotonic() if events else self.heard_s
        return list(self._keyboard.feed(events))

    def cut(self, when: str) -> Fault | None:  # noqa: ARG002  a keyboard's fault says it itself
        return self._keyboard.cut()


class LineScanner(_Scanner):
    """A scanner that sends each code as it reads it; `connect` opens the way to it."""

    def __init__(self, config: ScannerDriver, connect: Callable[[], _Open]) -> None:
        super().__init__(config)
        self._connect = connect

    def run(self, context: DriverContext) -> None:
        """Connects, takes codes until the scanner goes away, connects again."""
        backoff = Backoff(first_s=0.25, longest_s=5.0)
        while not context.stopping:
            try:
                line = self._connect()
                backoff.reset()
                self._take(line, context)
            except TransientError as error:
                context.problem(f"{sentence(f'{self._where} {error}')} Trying again.")
            context.wait(backoff.next_s())

    def _take(self, line: _Open, context: DriverContext) -> None:
        context.good()
        try:
            while not context.stopping:
                context.beat()
                found = line.read()
                if line.is_half and time.monotonic() - line.heard_s > self._config.idle_s:
                    self._faulty(line.cut(f"that was not finished within {self._config.idle_s:g} s"), context)
                self._hand_over(self._batch(found, context, Quality.GOOD), context)
        finally:
            self._faulty(line.cut("when the scanner went away"), context)
            line.close()


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
                found, t = list(splitter.feed(data)), now_us()
                done = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
                cursor = Position.of(handle, begin + done, 0).text() if done else None
                self._hand_over(self._batch([Typed(t, item) for item in found], context, quality, cursor), context)
                continue
            quality = Quality.GOOD
            if replaced:
                self._faulty(splitter.cut("when the file was replaced"), context)
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
