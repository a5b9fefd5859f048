"""The edge agent: drivers → local bus → frames → outbox → publisher, in one process.

The main thread takes batches from the bus, makes frames, stores them and looks after the drivers; the publisher has a
thread of its own. When the disk is full, what could not be stored is kept (bounded by the bus's depth) and tried again,
and nothing more is taken from the bus, so that every driver feels it. What is stored goes on being sent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from sidestream_contracts import failpoint
from sidestream_contracts.edge import EdgeFile, load_edge
from sidestream_contracts.errors import ConfigurationError, SidestreamError
from sidestream_contracts.frame import LANES, Lane
from sidestream_contracts.messages import Status
from sidestream_contracts.metrics import Sample, Shown, show
from sidestream_edge import logs
from sidestream_edge.bus import Bus
from sidestream_edge.clocksync import ClockWatch
from sidestream_edge.framing import merged
from sidestream_edge.intake import Intake
from sidestream_edge.local.door import Door
from sidestream_edge.metrics import samples
from sidestream_edge.notify import ServiceManager
from sidestream_edge.outbox import Outbox, OutboxLock, Refusal
from sidestream_edge.publisher import Publisher
from sidestream_edge.supervisor import Supervised, supervise

log = structlog.get_logger()

TICK_S = 0.25
DAY_S = 86_400
DRIVERS_STOP_S = 0.6
PUBLISHER_STOP_S = 0.8


class Agent:
    """One run of the agent on an open outbox; `step` does one turn of the main loop."""

    def __init__(self, edge: EdgeFile, base: Path, outbox: Outbox) -> None:
        self._edge = edge
        self._outbox = outbox
        self._bus = Bus()
        self._drivers: list[Supervised] = [
            supervise(d, base, edge, self._bus, cursor=outbox.cursor(d.id), marks=outbox.marks(d.id))
            for d in edge.drivers
        ]
        self._clock_watch = ClockWatch()
        self._held: dict[Lane, Refusal] = {}
        self._shown: Shown | None = None
        self._sensors = [sensor for driver in edge.drivers for sensor in driver.announced()]
        self._name = f"sidestream-edge {version('sidestream')}"
        self._publisher = Publisher(edge, outbox, self.status)
        self._door = Door(base / edge.outbox.path, self.local_state)
        self._started_at = datetime.now(UTC)
        self._intake = Intake(edge.framing, outbox, self._stored, self._publisher.wake)

    def start(self) -> None:
        """Starts publisher and drivers."""
        if self._outbox.unwritable is not None:
            log.error(
                "started on a full disk: what is stored is sent, nothing new is taken", why=self._outbox.unwritable
            )
        if self._edge.metrics is not None:
            self._shown = show(self.samples, self._edge.metrics.port, self._edge.metrics.host)
        self._publisher.start()
        self._door.start()
        self._look_after()

    def step(self) -> None:
        """Takes what has come, stores what is due; waits at most a quarter of a second."""
        self._look_after()
        self._intake.look()
        if self._intake.is_stuck or self._outbox.unwritable is not None:
            self._bus.refusing = dict.fromkeys(LANES, "disk_full")
            self._intake.store()
            if self._intake.is_stuck or self._outbox.unwritable is not None:
                time.sleep(TICK_S)
            return
        self._hold({lane: why for lane in LANES if (why := self._outbox.refusal(lane)) is not None})
        lanes = [lane for lane in LANES if lane not in self._held]
        for batch in self._bus.receive(lanes, min(TICK_S, self._intake.due_in_s())):
            self._intake.add(batch)
            self._door.show(batch)
        self._intake.flush_due()

    @property
    def drained(self) -> bool:
        """Whether every driver has finished and the hub has acknowledged everything."""
        finished = all(driver.finished for driver in self._drivers)
        return finished and self._intake.is_empty and self._outbox.is_empty

    def stop(self) -> None:
        """Ends drivers and publisher within 2 s; everything the drivers handed over is stored first."""
        self._door.close()
        for driver in self._drivers:
            driver.stop()
        deadline_s = time.monotonic() + DRIVERS_STOP_S
        stopped = [driver.join(deadline_s) for driver in self._drivers]
        try:
            while batches := list(self._bus.receive(LANES, 0.0)):
                for batch in batches:
                    self._intake.add(batch)
            self._intake.finish()
        finally:
            self._publisher.stop(PUBLISHER_STOP_S)
            self._bus.close(all_lines_closed=all(stopped))
        if self._shown is not None:
            self._shown.close()

    def status(self) -> Status:
        """The agent's state as it is told to the hub; may be called from any thread."""
        clock = self._publisher.hub_word.trouble
        said = self._intake.trouble, self._publisher.trouble, self._held_text(), aside_text(self._outbox), clock
        trouble = [text for text in said if text]
        return Status.model_validate(
            {
                "state": "online",
                "epoch": self._outbox.epoch,
                "at": datetime.now(UTC),
                "agent": self._name,
                "sensors": [*self._sensors, *(sensor for driver in self._drivers for sensor in driver.announced())],
                "drivers": [driver.status() for driver in self._drivers],
                "outbox": self._outbox.lanes(),
                "sync": self._clock_watch.sync(),
                "parked": self._outbox.parked,
                "outbox_bytes": self._outbox.size_bytes,
                "outbox_limit_bytes": int(self._edge.outbox.max_mb * 1e6),
                "held": dict(self._bus.refusing),
                "prev": self._outbox.previous_epoch,
                "refused": self.refused(),
                "trouble": trouble,
            }
        )

    def local_state(self) -> dict[str, Any]:
        """The same for who asks on this machine, with what only this machine knows; may be called from any thread."""
        word, broker = self._publisher.hub_word, self._edge.broker
        return {
            "status": self.status().model_dump(mode="json"),
            "address": f"{self._edge.hub}/{self._edge.party}/{self._edge.device}",
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "broker": {
                "address": f"{broker.host}:{broker.port}",
                "connected": self._publisher.connected,
                "ends": self._publisher.ends,
            },
            "hub": {
                "acknowledged_at": word.acknowledged_at.isoformat() if word.acknowledged_at else None,
                "clock_off_s": word.clock_off_s,
                "refused": word.refused(),
            },
        }

    def samples(self) -> Iterator[Sample]:
        """The same for Prometheus; may be called from any thread."""
        return samples(self.status(), broker_connected=self._publisher.connected)

    def refused(self) -> dict[str, int]:
        """Readings that live drivers had to drop, by reason: `outbox_full`, `outbox_old`, `disk_low`, `disk_full`, `busy`."""
        found: dict[str, int] = {}
        for driver in self._drivers:
            for counter, count in driver.counters().items():
                if counter.startswith("dropped_"):
                    reason = counter.removeprefix("dropped_")
                    found[reason] = found.get(reason, 0) + count
        return found

    def _look_after(self) -> None:
        self._publisher.check()
        now_s = time.monotonic()
        for driver in self._drivers:
            driver.tick(now_s)

    def _stored(self, cursors: dict[str, str]) -> None:
        for driver in self._drivers:
            if driver.id in cursors:
                driver.stored(cursors[driver.id])

    def _hold(self, held: dict[Lane, Refusal]) -> None:
        self._bus.refusing = dict(held)
        if held == self._held:
            return
        self._held = held
        text = self._held_text()
        if text:
            log.error(text)
        else:
            log.info("the outbox has room again")

    def _held_text(self) -> str | None:
        held = self._held
        if not held:
            return None
        if "disk_low" in held.values():
            disk = self._outbox.fullness().disk
            return (
                f"The outbox's disk has {disk.free_bytes / 1e6:.1f} of {disk.total_bytes / 1e6:.0f} MB free: nothing of lane"
                f" {' and '.join(held)} is taken, the rest is kept for scans. Free space on it."
            )
        if "outbox_old" in held.values():
            return (
                f"The oldest frame in the outbox has waited {self._outbox.fullness().oldest_s / DAY_S:.1f} days for the hub, of"
                f" {self._edge.outbox.max_days:g}: nothing of lane {' and '.join(held)} is taken until the hub acknowledges."
                " Check the broker and the hub, or raise outbox.max_days in edge.yaml."
            )
        return (
            f"The outbox holds {self._outbox.size_bytes / 1e6:.1f} of {self._edge.outbox.max_mb:g} MB: nothing of lane"
            f" {' and '.join(held)} is taken until the hub acknowledges. Check the broker and the hub, or raise"
            " outbox.max_mb in edge.yaml."
        )


def aside_text(outbox: Outbox) -> str | None:
    """What became of an outbox file that could not be read at the start; None where there was none."""
    if outbox.set_aside is None:
        return None
    return (
        f"The outbox could not be read at the start and was moved aside to {outbox.set_aside}; what it held is not sent. Try"
        f" `sqlite3 {outbox.set_aside.name} .recover`."
    )


def run(edge: EdgeFile, base: Path, stop: threading.Event, *, until_drained: bool = False) -> None:
    """Runs the agent until `stop` is set; with `until_drained` also ends when all files are played and acknowledged.

    `base` is the folder that paths in `edge` are relative to. Raises ConfigurationError if it can't start as asked (for
    instance when another agent holds the outbox), OutboxCorruptError when the outbox file breaks in use.
    """
    path = base / edge.outbox.path
    with OutboxLock(path):
        outbox = Outbox(
            path,
            max_bytes=int(edge.outbox.max_mb * 1e6),
            max_age_s=(edge.outbox.max_days or float("inf")) * DAY_S,
            journal=edge.outbox.journal,
            merge=merged,
        )
        if aside := aside_text(outbox):
            log.error(aside)
        try:
            _run(Agent(edge, base, outbox), stop, until_drained=until_drained)
        finally:
            outbox.close()


def _run(agent: Agent, stop: threading.Event, *, until_drained: bool) -> None:
    manager = ServiceManager()
    try:
        agent.start()
        manager.ready()
        while not stop.is_set() and not (until_drained and agent.drained):
            agent.step()
            manager.alive()
    finally:
        manager.stopping()
        agent.stop()


def serve(config_path: Path, *, until_drained: bool = False) -> int:
    """Runs the agent of `config_path` as a process: 0 after SIGTERM or SIGINT, 2 for a wrong file, 1 for a broken outbox."""
    if not structlog.is_configured():
        logs.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        failpoint.arm()
        edge = load_edge(config_path)
        log.info("edge agent starts", device=edge.device, hub=edge.hub, broker=f"{edge.broker.host}:{edge.broker.port}")
        run(edge, config_path.resolve().parent, stop, until_drained=until_drained)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except SidestreamError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    log.info("edge agent ended")
    return 0
