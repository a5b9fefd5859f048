"""Drivers that raise or hang: reported, replaced, and never in another's way. With drivers made for the purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from sidestream_contracts.errors import ContractError
from sidestream_edge.bus import DEPTH, Bus
from sidestream_edge.drivers import DriverContext
from sidestream_edge.measurement import Batch, Reading
from sidestream_edge.supervisor import MOST_HUNG, Supervised


class Made:
    """A driver whose run is a function of the test."""

    id, type, lane = "d", "made", "live"

    def __init__(self, run: Callable[[DriverContext], None], patience_s: float = 0.3) -> None:
        self.run, self.patience_s = run, patience_s


def one(n: float, cursor: str | None = None) -> Batch:
    return Batch("d", "live", readings=(Reading("a", int(n), float(n)),), cursor=cursor)


def tick_until(driver: Supervised, condition: Callable[[], bool], patience_s: float = 10.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        driver.tick(time.monotonic())
        time.sleep(0.01)


@pytest.fixture
def bus():
    bus = Bus()
    yield bus
    bus.close(all_lines_closed=False)


def test_a_driver_that_raises_is_started_again_where_it_had_got_to(bus):
    seen = []

    def run(context: DriverContext) -> None:
        seen.append(context.cursor)
        context.deliver(one(1, cursor=str(len(seen))))
        if len(seen) < 3:
            raise RuntimeError("cable fell out")

    driver = Supervised("d", "made", lambda: Made(run), bus, cursor="0")
    tick_until(driver, lambda: driver.status().restarts == 1)
    assert driver.status().state == "failed"
    assert driver.status().error == "Driver d failed: RuntimeError: cable fell out"
    tick_until(driver, lambda: driver.finished)
    assert seen == ["0", "1", "2"]
    assert driver.status().restarts == 2
    assert sum(len(batch) for batch in bus.receive(["live"], 0.1)) == 3


def test_a_driver_that_hangs_is_reported_replaced_and_has_no_say_any_more(bus):
    release, woke = threading.Event(), threading.Event()
    runs = []

    def run(context: DriverContext) -> None:
        runs.append(context)
        if len(runs) == 1:
            release.wait(20)
            context.good()
            assert not context.offer(one(666))
            woke.set()
            return
        context.good()
        context.offer(one(2))
        while context.wait(0.05):
            pass

    driver = Supervised("d", "made", lambda: Made(run), bus)
    tick_until(driver, lambda: driver.status().state == "hung")
    assert "no sign of life" in driver.status().error
    tick_until(driver, lambda: driver.status().state == "running")
    release.set()
    assert woke.wait(5)
    assert [batch.readings[0].val for batch in bus.receive(["live"], 0.2)] == [2.0]
    assert driver.status().restarts == 1
    driver.stop()
    assert driver.join(time.monotonic() + 2)


def test_hung_threads_are_bounded(bus):
    release, started = threading.Event(), []

    def run(_context: DriverContext) -> None:
        started.append(1)
        release.wait(20)

    driver = Supervised("d", "made", lambda: Made(run, patience_s=0.0), bus)
    for n in range(200):
        driver.tick(time.monotonic() + 100 * n)
    assert len(started) == MOST_HUNG
    release.set()
    driver.stop()


def test_a_live_driver_counts_what_it_must_drop_and_a_patient_one_waits(bus):
    results = []

    def run(context: DriverContext) -> None:
        results.extend(context.offer(one(n)) for n in range(2 * DEPTH["live"] + 5))
        results.append(context.deliver(one(999)))

    driver = Supervised("d", "made", lambda: Made(run, 20.0), bus)
    tick_until(driver, lambda: False in results)
    time.sleep(0.3)
    assert driver.status().model_dump()["counters"]["dropped"] == results.count(False) == 5
    assert "5 readings of d dropped" in driver.status().error
    got = [batch.readings[0].val for batch in bus.receive(["live"], 0.2)]
    tick_until(driver, lambda: driver.finished)
    for _ in range(5):
        got += [batch.readings[0].val for batch in bus.receive(["live"], 0.1)]
    assert got == [*map(float, range(2 * DEPTH["live"])), 999.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_cannot_become_a_frame_fails_in_the_driver_that_made_it(bus, value):
    def run(context: DriverContext) -> None:
        context.offer(one(1) if not value else Batch("d", "live", readings=(Reading("a", 1, value),)))

    driver = Supervised("d", "made", lambda: Made(run), bus)
    tick_until(driver, lambda: driver.status().state == "failed")
    assert ContractError.__name__ in driver.status().error
