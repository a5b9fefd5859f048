"""Follows a CSV that a logger writes: what is appended, through rotation, truncation and a change of its columns.

A row counts when its line end is there; half a line waits for its rest. A file that was renamed is read to its end before the
new one under its name, also when that happened while the agent was off and the old one still lies beside it. Where `rotated` names
the earlier files, all that came meanwhile are read in their order.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO

import structlog

from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.position import Position
from sidestream_edge.drivers.recorded.playing import BATCH_READINGS, Recorded
from sidestream_edge.drivers.recorded.records import MOST_BYTES, whole_records
from sidestream_edge.drivers.recorded.table import Rows, Table

log = structlog.get_logger()

LOOK_S = 0.25
"""How often the file is looked at for new rows."""

_LAST_LOOKS = 3
"""Looks at a renamed file after its end was reached: its writer may still hold it."""

_READ_BYTES = 2 * MOST_BYTES


class Followed(Recorded):
    """One name of a file, for ever."""

    def run(self, context: DriverContext) -> None:
        """Follows until stopped; a file that is not there is waited for."""
        position = Position.parse(context.cursor)
        path = self._place(position, context)
        while not context.stopping:
            try:
                with path.open("rb") as handle:
                    path = self._follow(_Reading(handle, path), position, context)
                    position = None
            except FileNotFoundError:
                path = self._path
                context.problem(f"Driver {self.id}: there is no file {path} yet. Waiting for it.")
                context.wait(LOOK_S)
            except OSError as error:
                position = Position.parse(context.cursor)
                context.problem(f"Driver {self.id}: {path} can't be read: {error.strerror}. Trying again.")
                context.wait(LOOK_S)

    def _place(self, position: Position | None, context: DriverContext) -> Path:
        """The file in which `position` was taken: this one, or one beside it that was this one once; at first the oldest."""
        if position is None:
            return next(iter(self._earlier()), self._path)
        if self._path.exists() and _fits(position, self._path):
            return self._path
        beside = [*self._earlier(), *sorted(self._path.parent.glob(f"{self._path.stem}*"))]
        for path in beside:
            if path != self._path and path.is_file() and _fits(position, path):
                log.info("goes on in the file that was renamed meanwhile", driver=self.id, file=str(path))
                return path
        if self._path.exists():
            context.fault(
                "other_files", f"Driver {self.id}: {self._path} is another file than before; read from its start."
            )
        return self._path

    def _earlier(self) -> list[Path]:
        """Files that had this name once, oldest first, where `rotated` says how they are called."""
        if self._config.rotated is None:
            return []
        found = [path for path in self._path.parent.glob(self._config.rotated) if path.is_file() and path != self._path]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def _after(self, now: _Reading) -> Path:
        """The file that came after one that is finished."""
        earlier = self._earlier()
        places = [n for n, path in enumerate(earlier) if now.is_at(path)]
        return next(iter(earlier[places[0] + 1 :]), self._path) if places else self._path

    def _follow(self, now: _Reading, position: Position | None, context: DriverContext) -> Path:
        """Reads `now` until another file is to be read; that one."""
        if position is not None and position.fits(now.handle):
            now.go_on(position)
        table: Table | None = None
        looks = 0
        while not context.stopping:
            if now.was_rewritten():
                context.fault(
                    "other_files", f"Driver {self.id}: {self._path} was emptied or rewritten; read from its start."
                )
                return self._path
            left = not now.is_at(self._path)
            rows = Rows()
            table = self._rows_of(now, table, rows)
            if now.moved:
                self._deliver(rows, now.position(), context)
                looks = 0
                continue
            if table is None:
                context.problem(f"Driver {self.id}: {self._path} has no header line yet. Waiting for it.")
            else:
                context.good()
            looks = looks + 1 if left else 0
            if looks > _LAST_LOOKS or (left and now.untouched_s() > _LAST_LOOKS):
                self._half(now, context)
                return self._after(now)
            context.wait(LOOK_S)
        return self._path

    def _rows_of(self, now: _Reading, table: Table | None, rows: Rows) -> Table | None:
        """Adds whole rows up to the size of a batch; returns the table of the header that is in force."""
        now.moved = False
        if table is None and now.header is not None:
            table = Table(self._config, now.header_cells(self._config.delimiter))
        for record in whole_records(now.ahead()):
            if len(rows.readings) + len(rows.scans) >= BATCH_READINGS:
                break
            begin, line = now.pass_by(record.raw, record.lines)
            try:
                cells = record.cells(self._config.delimiter)
            except ContractError as error:
                rows.faults.append(("bad_rows", f"{self._config.file}:{line}: {error}"))
                continue
            if self._is_header(cells):
                now.header = begin
                table = Table(self._config, cells)
            elif table is not None:
                table.read(cells, line, rows)
            elif any(cell.strip() for cell in cells):
                table = Table(self._config, cells)  # says which columns are missing
        return table

    def _is_header(self, cells: list[str]) -> bool:
        """Whether the row names the columns: at the begin, or again when the logger was started anew."""
        return self._config.time_column in (cell.strip() for cell in cells)

    def _half(self, now: _Reading, context: DriverContext) -> None:
        rest = now.ahead()
        if rest.strip():
            where = f"{now.path.name}:{now.line + 1}"
            context.fault("half_lines", f"Driver {self.id}: {where} ends without a line end: {rest[:60]!r}; not taken.")


class _Reading:
    """One open file: how far it is read, and where the header in force begins."""

    def __init__(self, handle: BinaryIO, path: Path) -> None:
        self.handle = handle
        self.path = path
        self.offset = 0
        self.line = 0
        self.header: int | None = None
        self.moved = False
        """Whether anything was passed since it was last set to False."""
        self._last: Position | None = None

    def go_on(self, position: Position) -> None:
        """Continues behind `position`."""
        self.offset, self.line, self.header, self._last = position.offset, position.line, position.header, position

    def ahead(self) -> bytes:
        """What has been written and not been read."""
        self.handle.seek(self.offset)
        return self.handle.read(_READ_BYTES)

    def pass_by(self, raw: bytes, lines: int) -> tuple[int, int]:
        """These bytes are done; where they began, and the number of their first line."""
        began = self.offset, self.line + 1
        self.offset, self.line, self.moved = self.offset + len(raw), self.line + lines, True
        return began

    def header_cells(self, delimiter: str) -> list[str]:
        """The cells of the header in force."""
        self.handle.seek(self.header or 0)
        records = whole_records(self.handle.read(_READ_BYTES))
        return records[0].cells(delimiter) if records else []

    def position(self) -> Position:
        """How far it is read."""
        self._last = Position.of(self.handle, self.offset, self.line, self.header or 0)
        return self._last

    def was_rewritten(self) -> bool:
        """Whether what was read is not what stands there now."""
        return self._last is not None and not self._last.fits(self.handle)

    def untouched_s(self) -> float:
        """How long ago it was written to, in s."""
        return time.time() - os.fstat(self.handle.fileno()).st_mtime

    def is_at(self, path: Path) -> bool:
        """Whether `path` still names this file."""
        try:
            there = path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self.handle.fileno())
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _fits(position: Position, path: Path) -> bool:
    with path.open("rb") as handle:
        return position.fits(handle)
