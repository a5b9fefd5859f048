"""Plays a CSV into the chain with its own timestamps, as fast as the outbox takes it, each row once even across kill -9.

The cursor (how many bytes are done) is stored in the same transaction as the rows before it. A file that begins
differently under the same name is another file and is played from its start.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import structlog

from sidestream_contracts.edge import RecordedDriver
from sidestream_contracts.errors import ContractError, TransientError
from sidestream_contracts.frame import Lane
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.position import Position
from sidestream_edge.drivers.recorded.table import Rows, Table
from sidestream_edge.measurement import Batch

log = structlog.get_logger()

BATCH_READINGS = 1000


class Recorded:
    """One file; `lane` bulk, clock `recorded`."""

    type = "recorded"
    lane: Lane = "bulk"
    patience_s = 30.0

    def __init__(self, config: RecordedDriver, base: Path) -> None:
        self.id = config.id
        self._config = config
        self._path = base / config.file

    def run(self, context: DriverContext) -> None:
        """Reads to the end of the file."""
        try:
            with self._path.open("rb") as handle:
                self._play(handle, context)
        except OSError as error:
            raise TransientError(
                f"Recorded file {self._path} can't be read: {error}. Check `file` of driver {self.id} in edge.yaml."
            ) from error

    def _play(self, handle: BinaryIO, context: DriverContext) -> None:
        source = _Lines(handle)
        reader = csv.reader(source, delimiter=self._config.delimiter)
        header = next(reader, None)
        if header is None:
            raise TransientError(f"Recorded file {self._path} is empty. Driver {self.id} waits for its header line.")
        table = Table(self._config, header)
        position = Position.parse(context.cursor)
        if position is not None and position.fits(handle) and position.offset >= source.offset:
            source.go_on(position)
        elif position is not None:
            log.warning("another file under the same name; played from its start", driver=self.id, file=str(self._path))
        while not context.stopping:
            rows, more = self._rows(reader, source, table)
            if not self._deliver(rows, Position.of(handle, source.offset, source.line), context) or not more:
                return

    def _rows(self, reader: Iterator[list[str]], source: _Lines, table: Table) -> tuple[Rows, bool]:
        """Whole rows up to the size of a batch; False with the last ones."""
        rows = Rows()
        for _ in range(BATCH_READINGS):
            if len(rows.readings) + len(rows.scans) >= BATCH_READINGS:
                break
            try:
                row = next(reader)
            except StopIteration:
                return rows, False
            except csv.Error as error:
                rows.faults.append(("bad_rows", f"{self._config.file}:{source.line}: {error}; row left out"))
                continue
            table.read(row, source.line, rows)
        return rows, True

    def _deliver(self, rows: Rows, position: Position, context: DriverContext) -> bool:
        batch = Batch(
            self.id, "bulk", self._config.clock, tuple(rows.readings), tuple(rows.scans), cursor=position.text()
        )
        try:
            delivered = context.deliver(batch)
        except ContractError as error:
            raise ContractError(error.reason, f"{self._path} before line {position.line}: {error}") from error
        if delivered:
            for counter, text in rows.faults:
                context.fault(counter, text)
            context.good()
        return delivered


class _Lines:
    """Lines of a binary file as text, counting what has been handed out. Bytes that are no UTF-8 stay visible as such."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.offset = 0
        self.line = 0

    def go_on(self, position: Position) -> None:
        """Continues behind `position`."""
        self._handle.seek(position.offset)
        self.offset, self.line = position.offset, position.line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._handle.readline()
        if not raw:
            raise StopIteration
        first = self.offset == 0
        self.offset += len(raw)
        self.line += 1
        return raw.decode("utf-8-sig" if first else "utf-8", errors="surrogateescape")
