"""What a driver is, and the only way in which it speaks to the rest of the agent."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

import structlog

from sidestream_contracts.errors import ContractError, TransientError
from sidestream_contracts.frame import Lane
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.drivers.rejected import Rejected
from sidestream_edge.marks import Marks
from sidestream_edge.measurement import Batch

log = structlog.get_logger()

BEAT_S = 0.25
MAX_CODE = 512
MOST_ANNOUNCED = 1000
MOST_NOTES = 50

_DROPPED = {
    "outbox_full": "it holds as much as outbox.max_mb allows",
    "outbox_old": "what it holds has waited as long as outbox.max_days allows",
    "disk_low": "the last of its disk is kept for scans",
    "disk_full": "its disk is full",
    "busy": "the agent does not keep up",
}

State = Literal["starting", "running", "failed", "hung", "finished"]


class Driver(Protocol):
    """Reads one device or file. `run` returns when its source has ended or the context says stop; it may raise."""

    @property
    def id(self) -> str:
        """Its id in `edge.yaml`."""

    @property
    def type(self) -> str:
        """Its type in `edge.yaml`."""

    @property
    def lane(self) -> Lane:
        """The lane of its batches, as a rule; all that carry a cursor go by one lane."""

    @property
    def patience_s(self) -> float:
        """Longest time without a heartbeat before it counts as hung, in s."""

    def run(self, context: DriverContext) -> None:
        """Reads until the source ends (then it is finished) or `context.stopping`."""


@dataclass(slots=True)
class Health:
    """How a driver is doing; written by its thread, read by others."""

    state: State = "starting"
    restarts: int = 0
    last_good_at: datetime | None = None
    trouble: str | None = None
    last_fault: str | None = None
    counters: dict[str, int] = field(default_factory=dict)
    announced: dict[str, AnnouncedSensor] = field(default_factory=dict)
    rejected: Rejected = field(default_factory=Rejected)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str | None:
        """What is wrong now, or else the last thing that was wrong with the data."""
        return self.trouble or self.last_fault


class LineToAgent(Protocol):
    """A driver's end of its lane."""

    def offer(self, batch: Batch) -> bool:
        """True when the agent's side has taken the batch; False when nothing was sent."""

    def close(self) -> None:
        """Ends this line; what it has handed over stays with the agent."""


class Lines(Protocol):
    """Where a context gets its line from: the bus in the agent's process, or the way to it from a driver's own."""

    refusing: dict[Lane, str]
    """Lanes from which the agent takes nothing now, with the reason."""

    def line(self, lane: Lane) -> LineToAgent:
        """A line for `lane`, used by one thread only."""


class DriverDiedError(TransientError):
    """A driver's own process ended as it should not; `str()` is all that is to be told, `state` what it counts as."""

    def __init__(self, text: str, state: State = "failed") -> None:
        super().__init__(text)
        self.state = state


class DriverContext:
    """One run of a driver: stop signal, heartbeat, health and its line to the agent.

    After `abandon` (the watchdog has given this run up) nothing that it still does has any effect.
    """

    def __init__(
        self, driver: Driver, bus: Lines, health: Health, stop: threading.Event, *, cursor: str | None, marks: Marks
    ) -> None:
        self._driver = driver
        self._bus = bus
        self._health = health
        self._stop = stop
        self._lock = threading.Lock()
        self._abandoned = False
        self._lines: dict[Lane, LineToAgent] = {}
        self._beats = 0
        self.cursor = cursor
        self.marks = marks
        """What this driver has taken before, where it marks that."""
        self.stored: str | None = None
        """Cursor of the last batch of this run that is durable, with all before it."""

    @property
    def beats(self) -> int:
        """Number of heartbeats so far; the watchdog sees whether it grows."""
        return self._beats

    @property
    def health(self) -> Health:
        """How the driver is doing, over all its runs."""
        return self._health

    @property
    def refusing(self) -> dict[Lane, str]:
        """Lanes from which the agent takes nothing now, with the reason."""
        return dict(self._bus.refusing)

    @property
    def stopping(self) -> bool:
        """Whether the driver is to return soon."""
        return self._stop.is_set() or self._abandoned

    def beat(self) -> None:
        """Says that the driver is alive; to be called more often than `patience_s`."""
        self._beats += 1

    def wait(self, seconds: float) -> bool:
        """Waits with a beating heart; False when the driver is to return instead."""
        remaining_s = seconds
        while remaining_s > 0 and not self.stopping:
            self.beat()
            self._stop.wait(min(BEAT_S, remaining_s))
            remaining_s -= BEAT_S
        self.beat()
        return not self.stopping

    def good(self) -> None:
        """The device gave a good answer now."""
        if self._abandoned:
            return
        if self._health.trouble is not None:
            log.info("driver is well again", driver=self._driver.id)
        self._health.trouble = None
        self._health.state = "running"
        self.partly_good()

    def partly_good(self) -> None:
        """The device gave some good values now; what is wrong with others still stands."""
        if not self._abandoned:
            self._health.last_good_at = datetime.now(UTC)

    def problem(self, text: str) -> None:
        """The device can't be read now; stands in the status until `good`."""
        if not self._abandoned:
            if self._health.trouble != text:
                log.warning(text, driver=self._driver.id)
            self._health.trouble = text
            self._health.state = "running"

    def fault(self, counter: str, text: str) -> None:
        """Something in the data was wrong: counted, logged, and the last one stands in the status."""
        if not self._abandoned:
            self.count(counter)
            log.warning(text, driver=self._driver.id)
            self._health.last_fault = text

    def reject(self, where: str, reason: str, text: str) -> None:
        """Something that came from `where` can't be used: counted by place and reason, told in the status."""
        if self._abandoned:
            return
        self.count("rejected")
        if self._health.rejected.add(where, reason, text):
            log.warning(text, driver=self._driver.id)
        self._health.last_fault = text

    def note(self, about: str, text: str) -> None:
        """Something that somebody may want to act on; the newest text about each thing stands in the status."""
        if self._abandoned or self._health.notes.get(about) == text or len(self._health.notes) >= MOST_NOTES:
            return
        log.warning(text, driver=self._driver.id)
        self._health.notes[about] = text

    def announce(self, sensor: AnnouncedSensor) -> None:
        """The device has a sensor that `edge.yaml` does not name one by one; at most 1000 are told."""
        if not self._abandoned and len(self._health.announced) < MOST_ANNOUNCED:
            self._health.announced[sensor.id] = sensor

    def count(self, counter: str, by: int = 1) -> None:
        """Adds to a counter in the status."""
        if not self._abandoned and by:
            self._health.counters[counter] = self._health.counters.get(counter, 0) + by

    def offer(self, batch: Batch) -> bool:
        """Hands over what can't wait; False (and counted as dropped) when the agent takes nothing now."""
        if self.hand_over(batch):
            return True
        if not self._abandoned:
            why = self._bus.refusing.get(batch.lane, "busy")
            self.count("dropped", len(batch))
            self.count(f"dropped_{why}", len(batch))
            self._health.last_fault = (
                f"{self._health.counters['dropped']} readings of {self._driver.id} dropped: the outbox takes nothing now"
                f" ({_DROPPED[why]}). Last one at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}."
            )
        return False

    def deliver(self, batch: Batch) -> bool:
        """Hands over what can wait, however long that takes; False when the driver is to return, with nothing sent."""
        while not self.hand_over(batch):
            if not self.wait(BEAT_S / 5):
                return False
        return True

    def abandon(self) -> None:
        """From now on this run has no effect; its successor goes on at `cursor`."""
        with self._lock:
            self._abandoned = True

    def close(self) -> None:
        """Gives the lines back; called by the thread that used them."""
        while self._lines:
            self._lines.popitem()[1].close()

    def hand_over(self, batch: Batch) -> bool:
        """Whether the agent has taken the batch now; nothing is counted if not. Drivers `offer` or `deliver`."""
        self.beat()
        _check(batch)
        with self._lock:
            if self._abandoned:
                return False
            line = self._lines.get(batch.lane)
            if line is None:
                line = self._lines[batch.lane] = self._bus.line(batch.lane)
            if not line.offer(batch):
                return False
            if batch.cursor is not None:
                self.cursor = batch.cursor
            return True


def _check(batch: Batch) -> None:
    """What can't become a frame is the driver's mistake and stays in its own thread."""
    for reading in batch.readings:
        if reading.val is not None and not math.isfinite(reading.val):
            raise ContractError(
                "not_finite", f"{reading.sensor}: {reading.val} is no number; send None with quality bad."
            )
    for scan in batch.scans:
        if not 0 < len(scan.code) <= MAX_CODE:
            raise ContractError(
                "bad_code", f"{scan.sensor}: a code has 1 to {MAX_CODE} characters, not {len(scan.code)}."
            )
