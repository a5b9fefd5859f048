"""One driver under its real supervisor and bus, without broker and outbox: what it hands over is kept and said to be stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_rig import edge_file, until

from sidestream_contracts.frame import LANES
from sidestream_contracts.messages import DriverStatus
from sidestream_edge.bus import Bus
from sidestream_edge.measurement import Batch, Mark, Reading, Scan
from sidestream_edge.supervisor import supervise


class DriverRig:
    """Runs the driver of one section of `edge.yaml`; `storing` False: the disk takes nothing."""

    def __init__(
        self, section: dict[str, Any], base: Path, *, cursor: str | None = None, marks: Iterable[Mark] = ()
    ) -> None:
        self.batches: list[Batch] = []
        self.storing = threading.Event()
        self.storing.set()
        self.cursor = cursor
        self._marks = list(marks)
        self._edge = edge_file(1, section)
        self._base = base
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._turns = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        bus = Bus()
        config = self._edge.drivers[0]
        self._driver = driver = supervise(config, self._base, self._edge, bus, cursor=self.cursor, marks=self._marks)
        self._ready.set()
        while not self._stop.is_set():
            driver.tick(time.monotonic())
            self._take(bus)
            self._turns += 1
        driver.stop()
        ended = driver.join(time.monotonic() + 10)
        self._take(bus)
        bus.close(all_lines_closed=ended)
        assert ended, "the driver did not end"

    def _take(self, bus: Bus) -> None:
        for batch in bus.receive(LANES if self.storing.is_set() else (), 0.01):
            self.batches.append(batch)
            self._marks += batch.marks
            if batch.cursor is not None:
                self.cursor = batch.cursor
                self._driver.stored(batch.cursor)

    def hold(self) -> None:
        """From now on nothing is taken, until `storing` is set again."""
        self.storing.clear()
        before = self._turns
        until(lambda: self._turns > before + 1, "what was under way is over")

    @property
    def marks(self) -> list[Mark]:
        """What a restart begins with."""
        return list(self._marks)

    def readings(self, sensor: str) -> list[Reading]:
        return [r for batch in list(self.batches) for r in batch.readings if r.sensor == sensor]

    def values(self, sensor: str) -> list[float | None]:
        return [r.val for r in self.readings(sensor)]

    def scans(self) -> list[Scan]:
        return [s for batch in list(self.batches) for s in batch.scans]

    def codes(self) -> list[str]:
        return [s.code for s in self.scans()]

    def status(self) -> DriverStatus:
        return self._driver.status()

    def said(self, text: str) -> str:
        """Waits until its status holds `text`, and returns what it says."""
        return str(until(lambda: (s := self.status().model_dump_json()) and text in s and s, f"it says {text!r}"))

    def stop(self) -> str | None:
        self._stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive()
        return self.cursor
