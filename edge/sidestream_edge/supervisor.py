"""Runs every driver in a thread of its own under a watchdog; none can hold up or end another.

A driver that raises is started again after 0.5 s, then later, up to 30 s. One whose heart has not beaten for longer than
its patience is reported as hung, given up (its thread can't be killed, but nothing it does counts any more) and replaced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import structlog

from sidestream_contracts.edge import AnyDriver as DriverConfig
from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.messages import AnnouncedSensor, DriverStatus
from sidestream_edge.backoff import Backoff
from sidestream_edge.bus import Bus
from sidestream_edge.drivers.base import Driver, DriverContext, DriverDiedError, Health
from sidestream_edge.marks import Marks
from sidestream_edge.measurement import Mark
from sidestream_edge.wall import Outcome

log = structlog.get_logger()

LASTED_S = 60.0
MOST_HUNG = 5
"""Threads of one driver that may hang at once; no more are started until one of them ends."""


class _Run(threading.Thread):
    """One run of a driver; how it ended stands in `outcome` once the thread is over."""

    def __init__(self, driver: Driver, context: DriverContext) -> None:
        super().__init__(name=f"driver-{driver.id}", daemon=True)
        self.driver = driver
        self.context = context
        self.outcome = Outcome()
        self.beats_seen = -1
        self.beat_seen_s = time.monotonic()
        self.started_s = self.beat_seen_s

    def run(self) -> None:
        try:
            with self.outcome:
                self.driver.run(self.context)
        finally:
            self.context.close()

    def silent_s(self, now_s: float) -> float:
        """Seconds since the heartbeat was last seen to grow."""
        if self.context.beats != self.beats_seen:
            self.beats_seen, self.beat_seen_s = self.context.beats, now_s
        return now_s - self.beat_seen_s


class Supervised:
    """One driver of `edge.yaml` over all its runs."""

    def __init__(
        self,
        driver_id: str,
        driver_type: str,
        make: Callable[[], Driver],
        bus: Bus,
        *,
        cursor: str | None = None,
        marks: Iterable[Mark] = (),
    ) -> None:
        self.id = driver_id
        self._type = driver_type
        self._make = make
        self._bus = bus
        self._cursor = cursor
        self._marks = Marks(marks)
        self._stop = threading.Event()
        self._health = Health()
        self._backoff = Backoff(first_s=1.0, longest_s=30.0)
        self._start_s = 0.0
        self._run: _Run | None = None
        self._hung: list[_Run] = []

    @property
    def finished(self) -> bool:
        """Whether its source has ended."""
        return self._health.state == "finished"

    def tick(self, now_s: float) -> None:
        """Looks after the driver; never waits."""
        run = self._run
        if run is None:
            if not self.finished and now_s >= self._start_s:
                self._begin()
        elif not run.is_alive():
            self._ended(run, now_s)
        elif (silent_s := run.silent_s(now_s)) > run.driver.patience_s:
            self._give_up(run, silent_s, now_s)

    def _begin(self) -> None:
        self._hung = [run for run in self._hung if run.is_alive()]
        if len(self._hung) >= MOST_HUNG:
            return
        driver = self._make()
        context = DriverContext(driver, self._bus, self._health, self._stop, cursor=self._cursor, marks=self._marks)
        self._run = _Run(driver, context)
        if self._health.state != "hung":
            self._health.state = "starting"
        self._run.start()

    def _ended(self, run: _Run, now_s: float) -> None:
        self._cursor, self._run = run.context.cursor, None
        error = run.outcome.error
        if error is None:
            self._health.state = "finished"
            self._health.trouble = None
            log.info("driver finished", driver=self.id, **self._health.counters)
            return
        state, text = (
            (error.state, str(error))
            if isinstance(error, DriverDiedError)
            else ("failed", f"Driver {self.id} failed: {type(error).__name__}: {error}")
        )
        if self._health.trouble != text:
            log.error(text, exc_info=error if not str(error) else None)
        self._health.state, self._health.trouble = state, text
        self._again(run, now_s)

    def _give_up(self, run: _Run, silent_s: float, now_s: float) -> None:
        run.context.abandon()
        self._hung.append(run)
        self._cursor, self._run = run.context.cursor, None
        text = f"Driver {self.id} hangs: no sign of life for {silent_s:.0f} s. A new one is started in its place."
        log.error(text, hanging=len(self._hung))
        self._health.state, self._health.trouble = "hung", text
        self._again(run, now_s)

    def _again(self, run: _Run, now_s: float) -> None:
        if now_s - run.started_s > LASTED_S + run.driver.patience_s:
            self._backoff.reset()
        self._health.restarts += 1
        self._start_s = now_s + self._backoff.next_s()

    def stored(self, cursor: str) -> None:
        """The batch with this cursor, and all before it, are durable."""
        if self._run is not None:
            self._run.context.stored = cursor

    def announced(self) -> list[AnnouncedSensor]:
        """Sensors that are not named in `edge.yaml` and that the driver has met."""
        return list(self._health.announced.values())

    def counters(self) -> dict[str, int]:
        """What it has counted since the start."""
        return dict(self._health.counters)

    def status(self) -> DriverStatus:
        """Its part of the agent's status."""
        health = self._health
        return DriverStatus.model_validate(
            {
                "id": self.id,
                "type": self._type,
                "state": health.state,
                "restarts": health.restarts,
                "last_good_at": health.last_good_at,
                "error": health.error,
                "trouble": health.trouble,
                "counters": self.counters(),
                "notes": list(health.notes.values()),
                "rejected": health.rejected.told(),
            }
        )

    def stop(self) -> None:
        """Asks the driver to return."""
        self._stop.set()

    def join(self, deadline_s: float) -> bool:
        """Waits for the running thread until the monotonic `deadline_s`; False when one still runs or hangs."""
        if self._run is not None:
            self._run.join(max(0.0, deadline_s - time.monotonic()))
            if self._run.is_alive():
                self._run.context.abandon()
                return False
        return not any(run.is_alive() for run in self._hung)


def supervise(
    config: DriverConfig, base: Path, edge: EdgeFile, bus: Bus, *, cursor: str | None, marks: Iterable[Mark] = ()
) -> Supervised:
    """A driver of `edge` ready to be started; ConfigurationError if it can't be built at all.

    With `isolation: process` nothing of it is imported here; whether it can be built is told by its own process.
    """
    make: Callable[[], Driver]
    if config.isolation == "process":
        from sidestream_edge.isolation.isolated import Isolated

        make = partial(Isolated, config, base, edge)
    else:
        from sidestream_edge.drivers import build

        make = partial(build, config, base, edge)
        make()
    return Supervised(config.id, config.type, make, bus, cursor=cursor, marks=marks)
