"""Gathers what a check needs: from the agent that runs, or from one that is run for the check and ended with it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog

from sidestream_contracts.edge import BUILT_IN, EdgeFile
from sidestream_contracts.errors import SidestreamError, TransientError
from sidestream_edge.agent import run
from sidestream_edge.drivers.diagnosis import Finding, Ranges
from sidestream_edge.local.knock import Knock, NobodyError
from sidestream_edge.measurement import Batch, Reading, Scan

TURN_S = 0.25
_START_S = 10.0
_REMEMBERED = 50
NOT_PLAYED = ("recorded",)
"""Types that are left out of an agent that is run for a check: it would play whole files."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What passed of a sensor, and when."""

    what: Reading | Scan
    driver: str
    at: datetime


@dataclass(slots=True)
class Seen:
    """What was found out so far. `own`: the agent was run for this."""

    own: bool
    began_at: datetime
    passed: dict[str, Passed] = field(default_factory=dict)
    times: dict[str, deque[datetime]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    waited_s: float = 0.0
    ends_before: int = 0

    @property
    def ends(self) -> int:
        """Connections to the broker that stood and ended while looking on."""
        return int(self.state["broker"]["ends"]) - self.ends_before

    def take(self, batch: Batch) -> None:
        """Keeps the first of each sensor, or the first that has a value."""
        found: list[Reading | Scan] = [*batch.readings, *batch.scans]
        for one in found:
            kept = self.passed.get(one.sensor)
            self.times.setdefault(one.sensor, deque(maxlen=_REMEMBERED)).append(datetime.now(UTC))
            if kept is None or (isinstance(kept.what, Reading) and kept.what.val is None):
                self.passed[one.sensor] = Passed(one, batch.driver, datetime.now(UTC))

    def has_value(self, sensor: str) -> bool:
        """Whether a value or a code of the sensor passed."""
        passed = self.passed.get(sensor)
        return passed is not None and getattr(passed.what, "val", passed.what) is not None

    def committed(self, sensor: str) -> bool:
        """Whether the hub has acknowledged everything that had been measured when `sensor` passed."""
        passed = self.passed.get(sensor)
        return passed is not None and self._acknowledged(passed.at)

    def _acknowledged(self, at: datetime) -> bool:
        acknowledged = self.state["hub"]["acknowledged_at"]
        if acknowledged is None or datetime.fromisoformat(acknowledged) <= at:
            return False
        oldest = [lane["oldest_at"] for lane in self.state["status"]["outbox"] if lane["oldest_at"]]
        return all(datetime.fromisoformat(since) > at for since in oldest)

    def refusal(self, sensor: str) -> dict[str, Any] | None:
        """What the hub said against the sensor since this began, and has not taken back by using later readings of it."""
        told = [one for one in self.state["hub"]["refused"] if one["sensor"] in (sensor, None)]
        said = [(datetime.fromisoformat(one["at"]), one) for one in told]
        at, last = max(said, key=lambda one: one[0], default=(self.began_at, None))
        later = (passed_at for passed_at in self.times.get(sensor, ()) if passed_at > at)
        return None if at < self.began_at or any(map(self._acknowledged, later)) else last


def diagnose(edge: EdgeFile, ranges: Ranges) -> dict[str, list[Finding]]:
    """What each driver's own diagnosis finds at its device; to be asked only while no agent holds the devices."""
    found: dict[str, list[Finding]] = {}
    for driver in edge.drivers:
        module = f"sidestream_edge.drivers.{driver.type}.diagnose"
        if driver.type in BUILT_IN and driver.isolation == "thread" and find_spec(module) is not None:
            from importlib import import_module

            found[driver.id] = list(import_module(module).diagnose(driver, ranges))
    return found


def watch(edge: EdgeFile, base: Path, most_s: float, ranges: Ranges, is_enough: Callable[[Seen], bool]) -> Seen:
    """What could be seen within `most_s`, or until it is enough. Uses the agent that runs here, or runs one."""
    outbox = base / edge.outbox.path
    try:
        with Knock(outbox) as visitor:
            return _look_on(visitor, Seen(own=False, began_at=datetime.now(UTC)), most_s, is_enough)
    except NobodyError:
        findings = diagnose(edge, ranges)
    with _own_agent(edge, base) as knock:
        seen = Seen(own=True, began_at=datetime.now(UTC), findings=findings)
        return _look_on(knock, seen, most_s, is_enough)


def _look_on(visitor: Knock, seen: Seen, most_s: float, is_enough: Callable[[Seen], bool]) -> Seen:
    began_s = time.monotonic()
    seen.state = visitor.state()
    seen.ends_before = seen.state["broker"]["ends"] if not seen.own else 0
    visitor.watch()
    asked_s = began_s
    while not is_enough(seen) and seen.waited_s < most_s:
        for passed in visitor.passing(TURN_S):
            if not isinstance(passed, int):
                seen.take(passed)
        if time.monotonic() - asked_s >= 2 * TURN_S:
            asked_s = time.monotonic()
            seen.state = visitor.state()
            troubles = seen.state["status"].get("trouble") or []
            seen.troubles += [text for text in troubles if text not in seen.troubles]
        seen.waited_s = time.monotonic() - began_s
    return seen


@contextmanager
def _own_agent(edge: EdgeFile, base: Path) -> Iterator[Knock]:
    """An agent of this very file for as long as the context lasts; what it measures is kept and sent as by any other."""
    drivers = [driver for driver in edge.drivers if driver.type not in NOT_PLAYED]
    stop = threading.Event()
    agent = _Agent(edge.model_copy(update={"drivers": drivers}), base, stop)
    logging = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))  # the steps say it all
    agent.start()
    try:
        with _opened(base / edge.outbox.path, agent) as knock:
            yield knock
    finally:
        stop.set()
        agent.join()
        structlog.configure(**logging)


class _Agent(threading.Thread):
    def __init__(self, edge: EdgeFile, base: Path, stop: threading.Event) -> None:
        super().__init__(name="agent")
        self._edge, self._base, self._end = edge, base, stop
        self.error: SidestreamError | None = None

    def run(self) -> None:
        try:
            run(self._edge, self._base, self._end)
        except SidestreamError as error:
            self.error = error


def _opened(outbox: Path, agent: _Agent) -> Knock:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            return Knock(outbox)
        except (NobodyError, TransientError) as error:
            if agent.error is not None:
                raise agent.error from error
            if time.monotonic() > deadline_s:
                raise
            time.sleep(TURN_S / 5)
