"""The truth, kept apart from every measurement: JSON lines, one fact each, flushed with each step.

Keys are those that the twin uses, so the two can be laid side by side:

| subject_kind | quantity | value, SI | over |
|---|---|---|---|
| `stream` | `heat_flow` (water), `power` (other), W; `mass_flow`, kg/s | mean | the step that begins at `time` |
| `node` | `stock_mass`, kg | at the END of | the step that begins at `time` |
| `node` | `heat_loss`, W | mean | the step that begins at `time` |
| `lot` | `lot_place`, kg of the lot, with `place` (node) | from `time` on | no step |
| `sensor` | `register`, SI | at the END of | the step that begins at `time` |
| `node`, `sensor` | `checkpoint` | when the simulator ended | no step |

Steps are `hub.step_s` long and aligned to the Unix epoch. Only steps that were simulated from beginning to end are
written. About 40 MB a day with steps of 10 s: for demos and tests.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.physics import Lot, Memory, Scan, Snapshot

TICK_MS = 100
"""Length of one step of the physics in ms; a step of the twin is a whole number of these."""


@dataclass(frozen=True, slots=True)
class TruthRecord:
    """One fact; see the table of this module. `step_s` is 0 where the fact is of an instant."""

    at: datetime
    subject_kind: str
    subject: str
    quantity: str
    value: float
    step_s: float = 0.0
    place: str | None = None


def read_truth(path: Path) -> Iterator[TruthRecord]:
    """Every fact in the file in the order of writing; a last line torn by a kill is left out.

    Raises ConfigurationError if the file can't be read or another line is no record.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigurationError(f"{path}: the truth can't be read: {error.strerror}.") from error
    for number, line in enumerate(lines[:-1], start=1):
        try:
            yield _record(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}:{number}: is no record of truth: {error!r}.") from error


def _record(found: Mapping[str, object]) -> TruthRecord:
    return TruthRecord(
        at=datetime.fromisoformat(str(found["time"])),
        subject_kind=str(found["subject_kind"]),
        subject=str(found["subject"]),
        quantity=str(found["quantity"]),
        value=float(str(found["value"])),
        step_s=float(str(found["step_s"])),
        place=str(found["place"]) if found.get("place") else None,
    )


def remember(path: Path) -> Memory:
    """What an earlier run left in `path`: stocks, lots and registers; empty if there was none."""
    if not path.exists():
        return Memory()
    stocks: dict[str, float] = {}
    lots: dict[str, Lot] = {}
    registers: dict[str, float] = {}
    for record in read_truth(path):
        if record.subject_kind == "lot" and record.place:
            lots[record.subject] = Lot(record.place, record.value)
        elif record.subject_kind == "node" and record.quantity in ("stock_mass", "checkpoint"):
            stocks[record.subject] = record.value
        elif record.subject_kind == "sensor":
            registers[record.subject] = record.value
    return Memory(stocks, lots, registers)


class TruthWriter:
    """Appends facts to a file; a torn last line of an earlier run is cut off first."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_end(path)
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path}: the truth can't be written: {error.strerror}.") from error

    def write(self, record: TruthRecord) -> None:
        """Append one fact; on disk with the next `flush`."""
        line = {
            "time": record.at.isoformat().replace("+00:00", "Z"),
            "subject_kind": record.subject_kind,
            "subject": record.subject,
            "quantity": record.quantity,
            "value": record.value,
            "step_s": record.step_s,
        }
        print(json.dumps(line | ({"place": record.place} if record.place else {})), file=self._file)

    def flush(self) -> None:
        """Hand everything to the operating system, so that a kill of this process loses none of it."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def _cut_torn_end(path: Path) -> None:
    if not path.exists():
        return
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end != len(whole):
        with path.open("rb+") as file:
            file.truncate(end)


class StepRecorder:
    """Turns ticks into the facts of whole steps."""

    def __init__(self, writer: TruthWriter, step_s: int) -> None:
        self._writer = writer
        self._step_ticks = step_s * 1000 // TICK_MS
        self._step_s = step_s
        self._step: int | None = None
        self._ticks = 0
        self._sums: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, tick: int, snapshot: Snapshot, registers: Mapping[str, float]) -> None:
        """The truth of the tick [tick, tick + 1)·100 ms since the epoch; the last tick of a whole step writes it."""
        step = tick // self._step_ticks
        if step != self._step:
            self._step, self._ticks = step, 0
            self._sums.clear()
        for key, value in _flows(snapshot):
            self._sums[key].append(value)
        self._ticks += 1
        self._write_scans(tick, snapshot.scans)
        if (tick + 1) % self._step_ticks == 0:
            if self._ticks == self._step_ticks:
                self._write_step(step, snapshot, registers)
            self._writer.flush()

    def checkpoint(self, tick: int, snapshot: Snapshot, registers: Mapping[str, float]) -> None:
        """Write what the next run must remember."""
        at = _at(tick * TICK_MS)
        for kind, values in (("node", snapshot.stock_kg), ("sensor", registers)):
            for subject, value in values.items():
                self._writer.write(TruthRecord(at, kind, subject, "checkpoint", value))
        self._writer.flush()

    def _write_step(self, step: int, snapshot: Snapshot, registers: Mapping[str, float]) -> None:
        at = _at(step * self._step_ticks * TICK_MS)
        facts = [(key, math.fsum(values) / self._step_ticks) for key, values in self._sums.items()]
        facts += [(("node", node, "stock_mass"), kg) for node, kg in snapshot.stock_kg.items()]
        facts += [(("sensor", sensor, "register"), value) for sensor, value in registers.items()]
        for (kind, subject, quantity), value in facts:
            self._writer.write(TruthRecord(at, kind, subject, quantity, value, self._step_s))

    def _write_scans(self, tick: int, scans: tuple[Scan, ...]) -> None:
        at = _at((tick + 1) * TICK_MS)
        for scan in scans:
            self._writer.write(TruthRecord(at, "lot", scan.code, "lot_place", scan.mass_kg, place=scan.node))
        if scans:
            self._writer.flush()


def _flows(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str, str], float]]:
    for stream, watts in snapshot.heat_flows_w().items():
        yield ("stream", stream, "heat_flow"), watts
    for stream, watts in snapshot.power_w.items():
        yield ("stream", stream, "power"), watts
    for stream, kg_s in snapshot.mass_flow_kg_s.items():
        yield ("stream", stream, "mass_flow"), kg_s
    for node, watts in snapshot.loss_w.items():
        yield ("node", node, "heat_loss"), watts


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, tz=UTC)
