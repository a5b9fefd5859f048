"""`isolation: process`: what crashes, stands still or eats memory there ends alone, and what was handed over is there once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_rig import AgentProcess, FakeHub, Mosquitto, edge_file, until
from plugin_rig import third_party

from sidestream_edge.bus import Bus
from sidestream_edge.measurement import Mark
from sidestream_edge.outbox import read_journal
from sidestream_edge.supervisor import Supervised, supervise

pytestmark = pytest.mark.server

DRIVER = '''
import ctypes, os, signal, sys, threading, time
from sidestream_contracts.edge_plugins import Plugin
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.measurement import Batch, Mark, Reading

class Odd:
    type, lane = "odd", "bulk"
    def __init__(self, section):
        self.id, self.do = section.id, section.plain()["do"]
        self.patience_s = section.plain().get("patience_s", 10.0)
        time.sleep(section.plain().get("build_s", 0.0))
    def run(self, context):
        context.good()
        getattr(self, self.do)(context)
    def count(self, context):
        """Hands over the numbers after its cursor, up to 300, ten at a time; in its first life it crashes on the way."""
        n = int(context.cursor or 0)
        if n == 0:
            threading.Timer(0.1, ctypes.string_at, [0]).start()
        while n < 300:
            ten = tuple(Reading("s", k, float(k)) for k in range(n + 1, n + 11))
            n += 10
            if not context.deliver(Batch(self.id, "bulk", readings=ten, cursor=str(n))):
                return
    def stand_still(self, context):
        os.kill(os.getpid(), signal.SIGSTOP)
    def turn_in_circles(self, context):
        while True:
            pass
    def eat(self, context):
        held = []
        while context.wait(0.01):
            held.append(bytearray(os.urandom(1) * 8_000_000))
    def tell(self, context):
        context.note("cable", "the cable is loose")
        context.announce(AnnouncedSensor(id="met", driver=self.id, unit="K"))
        context.reject("row 3", "bad_row", "row 3 is no number")
        context.count("polls_due", 7)
        marks = [mark for mark in context.marks.fresh([Reading("s", 1, 1.0), Reading("s", 2, 2.0)])[1]]
        context.deliver(Batch(self.id, "bulk", readings=(Reading("s", 2, 2.0),), cursor="c2", marks=tuple(marks)))
        while context.stored != "c2":
            context.wait(0.01)
        context.problem("now it is known that it is stored")
        while context.wait(0.05):
            pass
    def fail(self, context):
        raise RuntimeError("cable fell out")

def check(section):
    if section.plain().get("depth", 1) <= 0:
        yield "depth: must be above 0"

plugin = Plugin(lambda section, base, edge: Odd(section), check=check)
'''

Make = Callable[..., Supervised]


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = Bus()
    yield bus
    bus.close(all_lines_closed=False)


@pytest.fixture
def odd(site: Path, bus: Bus, tmp_path: Path) -> Iterator[Make]:
    """Makes a driver of somebody else's that runs in its own process and does as it is told."""
    third_party(site, "odd_driver", DRIVER)
    made: list[Supervised] = []

    def make(do: str, *, marks: tuple[Mark, ...] = (), cursor: str | None = None, **more: Any) -> Supervised:
        section = {"id": "d", "type": "odd", "isolation": "process", "do": do, **more}
        edge = edge_file(1, section)
        made.append(supervise(edge.drivers[0], tmp_path, edge, bus, cursor=cursor, marks=marks))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        assert one.join(time.monotonic() + 5)


def tick_until(driver: Supervised, condition: Callable[[], Any], what: str) -> None:
    def turn() -> Any:
        driver.tick(time.monotonic())
        if driver._run is None:
            driver._start_s = 0.0  # its back-off is another test's matter
        return condition()

    until(turn, what)


def pid_of(driver_parent: int) -> int | None:
    """The one process of a driver below the given process."""
    for task in Path(f"/proc/{driver_parent}/task").glob("*/children"):
        for child in task.read_text().split():
            if "isolation.child" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    return None


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_segmentation_fault_ends_only_it_and_what_it_handed_over_is_there_once(odd: Make, bus: Bus) -> None:
    driver, got, errors = odd("count"), [], set()

    def all_there() -> bool:
        while batches := list(bus.receive(["bulk"], 0.0)):
            got.extend(reading.val for batch in batches for reading in batch.readings)
        errors.add(driver.status().error)
        return driver.finished and len(got) >= 300

    tick_until(driver, all_there, "every number")
    assert got == [float(n) for n in range(1, 301)]
    assert driver.status().restarts == 1
    assert "Driver d: its process crashed in native code (SIGSEGV). A new one is started in its place." in errors


@pytest.mark.parametrize("do", ["stand_still", "turn_in_circles"])
def test_a_process_without_sign_of_life_is_killed_and_replaced(odd: Make, do: str) -> None:
    driver = odd(do, patience_s=0.5)
    tick_until(driver, lambda: pid_of(os.getpid()), "a process")
    first = pid_of(os.getpid())
    tick_until(driver, lambda: driver.status().state == "hung", "found hanging")
    assert "no sign of life" in driver.status().error
    assert is_gone(first)
    tick_until(driver, lambda: pid_of(os.getpid()), "another process")


def test_a_start_that_takes_longer_than_its_patience_is_no_hang(odd: Make) -> None:
    """On a small gateway that starts several at once, the imports alone may take longer than a poll ever does."""
    driver = odd("tell", patience_s=1.5, build_s=1.7)
    tick_until(driver, lambda: driver.announced() or driver.status().restarts, "its first word")
    assert driver.status().restarts == 0, driver.status().error


def test_one_that_holds_too_much_memory_is_killed(odd: Make) -> None:
    driver = odd("eat", memory_mb=120)
    tick_until(driver, lambda: driver.status().state == "failed", "killed")
    assert "more than memory_mb: 120, and was killed" in driver.status().error


def test_all_that_it_says_of_itself_comes_over_and_it_hears_what_is_stored(odd: Make, bus: Bus) -> None:
    driver, got = odd("tell", marks=(Mark("s", 1, 1, 1.0),), cursor="c1"), []

    def stored() -> bool:
        for batch in bus.receive(["bulk"], 0.0):
            got.append(batch)
            driver.stored(batch.cursor)
        return "stored" in (driver.status().error or "")

    tick_until(driver, stored, "it knows what is stored")
    assert [batch.marks for batch in got] == [(Mark("s", 2, 2, 2.0),)], "what was marked before is not marked again"
    status = driver.status().model_dump()
    assert status["state"] == "running"
    assert status["last_good_at"] is not None
    assert status["counters"] == {"polls_due": 7, "rejected": 1}
    assert status["notes"] == ["the cable is loose"]
    assert [(one["where"], one["reason"], one["count"]) for one in status["rejected"]] == [("row 3", "bad_row", 1)]
    assert [sensor.id for sensor in driver.announced()] == ["met"]
    began_s = time.monotonic()
    driver.stop()
    assert driver.join(began_s + 5)


def test_what_it_raises_and_what_is_wrong_in_its_section_is_told(odd: Make) -> None:
    raising, wrong = odd("fail"), odd("fail", depth=-1)
    tick_until(wrong, lambda: wrong.status().state == "failed", "failed")
    assert wrong.status().error == "Driver d failed: ConfigurationError: Driver d: depth: must be above 0"
    tick_until(raising, lambda: raising.status().state == "failed", "failed")
    assert raising.status().error == "Driver d failed: RuntimeError: cable fell out"


def test_it_ends_with_an_agent_that_is_killed_and_its_successor_goes_on_where_it_was(
    mosquitto: Mosquitto, hub_on: Callable[..., FakeHub], tmp_path: Path
) -> None:
    """A built-in driver in its own process, the agent and that process killed in turn: each row is there once."""
    rows = 8_000
    (tmp_path / "r.csv").write_text("time,kwh\n" + "".join(f"{n},{n}\n" for n in range(rows)))
    mosquitto.start()
    hub = hub_on()
    section = {
        "id": "rec", "type": "recorded", "file": "r.csv", "time_column": "time", "time_format": "epoch_s",
        "isolation": "process", "sensors": [{"id": "energy", "column": "kwh"}],
    }  # fmt: skip
    edge = edge_file(mosquitto.port, section, outbox={"path": "outbox.sqlite", "journal": True, "max_mb": 0.5})
    config = tmp_path / "edge.yaml"
    config.write_text(edge.model_dump_json(by_alias=True, exclude_unset=True))
    agent = AgentProcess(config)
    pid = until(lambda: pid_of(agent.process.pid), "a process")
    until(lambda: hub.values("energy"), "readings")
    agent.kill()
    until(lambda: is_gone(pid), "its end")
    agent = AgentProcess(config)
    os.kill(until(lambda: pid_of(agent.process.pid), "a process"), signal.SIGKILL)
    until(lambda: len(hub.values("energy")) >= rows, "all rows", 40)
    assert agent.end() == 0, agent.log()
    assert Counter(hub.values("energy")) == Counter(map(float, range(rows)))
    assert Counter(read_journal(tmp_path / "outbox.sqlite")) == Counter(hub.frames.values())
