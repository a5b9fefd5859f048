"""The edge agent: drivers → local bus → frames → outbox → publisher, in one process.

The main thread takes batches from the bus, makes frames, stores them and looks after the drivers; the publisher has a
thread of its own. When the disk is full, what could not be stored is kept (bounded by the bus's depth) and tried again,
and nothing more is taken from the bus, so that every driver feels it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import structlog

from sidestream_contracts import failpoint
from sidestream_contracts.edge import EdgeFile, load_edge
from sidestream_contracts.errors import ConfigurationError, SidestreamError, TransientError
from sidestream_contracts.frame import LANES, Lane
from sidestream_contracts.messages import Status
from sidestream_edge import logs
from sidestream_edge.bus import Bus
from sidestream_edge.clocksync import ClockWatch
from sidestream_edge.framing import Coalescer, Flush
from sidestream_edge.outbox import Outbox, OutboxLock
from sidestream_edge.publisher import Publisher
from sidestream_edge.status import announced
from sidestream_edge.supervisor import Supervised, supervise

log = structlog.get_logger()

TICK_S = 0.25
RETRY_STORE_S = 0.5
DRIVERS_STOP_S = 0.6
PUBLISHER_STOP_S = 0.8
MAX_PAYLOAD_BYTES = 1 << 18
PACKET_OVERHEAD_BYTES = 600
"""Topic, user properties and headers of a frame on the wire, generously."""


class Agent:
    """One run of the agent on an open outbox; `step` does one turn of the main loop."""

    def __init__(self, edge: EdgeFile, base: Path, outbox: Outbox) -> None:
        self._edge = edge
        self._outbox = outbox
        self._bus = Bus()
        self._drivers: list[Supervised] = [supervise(d, base, self._bus, outbox.cursor(d.id)) for d in edge.drivers]
        self._coalescer = Coalescer(edge.framing)
        self._clock_watch = ClockWatch()
        self._unstored: list[Flush] = []
        self._retry_s = 0.0
        self._trouble: str | None = None
        self._held: tuple[Lane, ...] = ()
        self._sensors = list(announced(edge.drivers))
        self._name = f"sidestream-edge {version('sidestream')}"
        self._publisher = Publisher(edge, outbox, self.status)

    def start(self) -> None:
        """Starts publisher and drivers."""
        self._publisher.start()
        self._look_after()

    def step(self) -> None:
        """Takes what has come, stores what is due; waits at most a quarter of a second."""
        self._look_after()
        if self._unstored:
            self._store_again()
            if self._unstored:
                time.sleep(min(TICK_S, RETRY_STORE_S))
            return
        lanes = [lane for lane in LANES if self._outbox.accepts(lane)]
        self._say_held(tuple(lane for lane in LANES if lane not in lanes))
        for batch in self._bus.receive(lanes, min(TICK_S, self._coalescer.due_in_s())):
            self._coalescer.add(batch)
            if self._coalescer.full(batch.lane):
                self._flush(batch.lane)
        for lane in self._coalescer.due():
            self._flush(lane)

    @property
    def drained(self) -> bool:
        """Whether every driver has finished and the hub has acknowledged everything."""
        return (
            all(driver.finished for driver in self._drivers)
            and not self._unstored
            and self._coalescer.due_in_s() == float("inf")
            and self._outbox.is_empty
        )

    def stop(self) -> None:
        """Ends drivers and publisher within 2 s; everything the drivers handed over is stored first."""
        for driver in self._drivers:
            driver.stop()
        deadline_s = time.monotonic() + DRIVERS_STOP_S
        stopped = [driver.join(deadline_s) for driver in self._drivers]
        while batches := list(self._bus.receive(LANES, 0.0)):
            for batch in batches:
                self._coalescer.add(batch)
        for lane in LANES:
            self._flush(lane)
        self._retry_s = 0.0
        self._store_again()
        lost = sum(flush.readings for flush in self._unstored)
        if lost:
            log.error("readings lost: they could not be stored before the end", readings=lost, why=self._trouble)
        self._publisher.stop(PUBLISHER_STOP_S)
        self._bus.close(all_lines_closed=all(stopped))

    def status(self) -> Status:
        """The agent's state as it is told to the hub; may be called from any thread."""
        trouble = [t for t in (self._trouble, self._publisher.trouble, self._held_text()) if t]
        return Status.model_validate(
            {
                "state": "online",
                "epoch": self._outbox.epoch,
                "at": datetime.now(UTC),
                "agent": self._name,
                "sensors": self._sensors,
                "drivers": [driver.status() for driver in self._drivers],
                "outbox": self._outbox.lanes(),
                "sync": self._clock_watch.sync(),
                "parked": self._outbox.parked,
                "prev": self._outbox.previous_epoch,
                "trouble": trouble,
            }
        )

    def _look_after(self) -> None:
        self._publisher.check()
        now_s = time.monotonic()
        for driver in self._drivers:
            driver.tick(now_s)

    def _flush(self, lane: Lane) -> None:
        limit = self._outbox.packet_limit
        max_bytes = min(MAX_PAYLOAD_BYTES, (limit or MAX_PAYLOAD_BYTES) - PACKET_OVERHEAD_BYTES)
        flush = self._coalescer.flush(lane, max_bytes)
        if flush is not None:
            self._unstored.append(flush)
            self._store_again()

    def _store_again(self) -> None:
        """Stores what waits in memory, oldest first, until the disk refuses."""
        while self._unstored and time.monotonic() >= self._retry_s:
            flush = self._unstored[0]
            try:
                self._outbox.append(flush.drafts, flush.cursors)
            except TransientError as error:
                self._cannot_store(str(error))
                return
            if self._trouble is not None:
                log.info("the outbox takes readings again")
                self._trouble = None
            self._unstored.pop(0)
            self._publisher.wake()

    def _cannot_store(self, why: str) -> None:
        self._retry_s = time.monotonic() + RETRY_STORE_S
        if self._trouble is None:
            log.error(why)
        self._trouble = why

    def _say_held(self, held: tuple[Lane, ...]) -> None:
        if held != self._held:
            self._held = held
            text = self._held_text()
            if text:
                log.error(text)
            else:
                log.info("the outbox has room again")

    def _held_text(self) -> str | None:
        if not self._held:
            return None
        return (
            f"The outbox holds {self._outbox.size_bytes / 1e6:.1f} of {self._edge.outbox.max_mb:g} MB: nothing of lane"
            f" {' and '.join(self._held)} is taken until the hub acknowledges. Check the broker and the hub, or raise"
            " outbox.max_mb in edge.yaml."
        )


def run(edge: EdgeFile, base: Path, stop: threading.Event, *, until_drained: bool = False) -> None:
    """Runs the agent until `stop` is set; with `until_drained` also ends when all files are played and acknowledged.

    `base` is the folder that paths in `edge` are relative to. Raises ConfigurationError if it can't start as asked (for
    instance when another agent holds the outbox), OutboxCorruptError when the outbox file breaks in use.
    """
    path = base / edge.outbox.path
    with OutboxLock(path):
        outbox = Outbox(path, max_bytes=int(edge.outbox.max_mb * 1e6), journal=edge.outbox.journal)
        if outbox.set_aside is not None:
            log.error(
                "the outbox could not be read and was moved aside; what it held is not sent. Try `sqlite3 FILE .recover`",
                outbox=str(path), moved_to=str(outbox.set_aside),
            )  # fmt: skip
        try:
            _run(Agent(edge, base, outbox), stop, until_drained=until_drained)
        finally:
            outbox.close()


def _run(agent: Agent, stop: threading.Event, *, until_drained: bool) -> None:
    try:
        agent.start()
        while not stop.is_set() and not (until_drained and agent.drained):
            agent.step()
    finally:
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
