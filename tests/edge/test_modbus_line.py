"""A shared line: turns in the order of asking, and bounds on what silent devices may cost the others."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from itertools import pairwise

import pytest
from edge_rig import until
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_modbus import ModbusDriver, SerialLine
from sidestream_edge.drivers.modbus.line import Line, Turns, line_of
from sidestream_edge.drivers.modbus.link import Link, UnreachableError

SENSORS = [{"id": "a", "register": 0}]


def config(name: str, **how: object) -> ModbusDriver:
    return ModbusDriver.model_validate({"id": name, "type": "modbus", "sensors": SENSORS, **how})


def on_line(name: str, period_s: float = 1.0, port: str = "/dev/ttyS0") -> ModbusDriver:
    return config(name, serial={"port": port}, period_s=period_s)


def empty_line() -> Line:
    return Line(Link(SerialLine(port="/dev/nothing"), 0.5))


def test_turns_come_in_the_order_of_asking_and_one_who_leaves_loses_only_his_own():
    turns, order = Turns(), []
    assert turns.take(lambda: True)
    stay = {n: threading.Event() for n in range(4)}

    def wait(n: int) -> None:
        if turns.take(lambda: not stay[n].is_set()):
            order.append(n)
            turns.give_back()

    threads = []
    for n in range(4):
        threads.append(threading.Thread(target=wait, args=(n,)))
        threads[-1].start()
        until(lambda n=n: len(turns._waiting) == n + 1, "it waits")
    stay[1].set()
    threads[1].join(10)
    turns.give_back()
    for thread in threads:
        thread.join(10)
    assert order == [0, 2, 3]
    assert turns.take(lambda: True)


@given(st.lists(st.floats(0.1, 60), min_size=2, max_size=20), st.floats(0.05, 10))
def test_on_a_shared_line_no_time_out_is_longer_than_half_the_shortest_period(periods, wanted):
    line = empty_line()
    runs = [line.join(period) for period in periods]
    assert line.timeout_s(wanted) == min(wanted, min(periods) / 2)
    for run in runs[1:]:
        assert not line.leave(run)
    assert line.timeout_s(wanted) == wanted
    assert line.leave(runs[0])


@given(st.lists(st.floats(0, 0.4), min_size=30, max_size=60))
def test_of_all_silent_devices_one_is_tried_in_each_shortest_period(steps):
    line = empty_line()
    line.join(1.0)
    line.join(5.0)
    now_s, tried = 100.0, []
    for step in steps:
        now_s += step
        if line.admits(now_s):
            tried.append(now_s)
    assert all(later - before >= 1.0 - 1e-9 for before, later in pairwise(tried))
    line.answered()
    assert line.admits(now_s)


def test_drivers_of_one_port_share_a_line_until_the_last_one_ends_and_those_by_tcp_have_their_own():
    with ExitStack() as running:
        first, second, other = (
            running.enter_context(line_of(one))
            for one in (on_line("a"), on_line("b", 0.2), on_line("c", port="/dev/ttyS1"))
        )
        assert first is second
        assert first is not other
        assert first.timeout_s(3.0) == 0.1
        assert running.enter_context(line_of(config("d", host="h"))) is not running.enter_context(
            line_of(config("e", host="h"))
        )
    with line_of(on_line("a")) as line:
        assert line is not first


def test_a_line_that_can_not_be_opened_is_not_tried_at_every_turn():
    line = empty_line()
    texts = set()
    for _ in range(3):
        with pytest.raises(UnreachableError) as told, line.turn(lambda: True):
            pass
        texts.add(str(told.value))
    assert len(texts) == 1
    assert "there is no /dev/nothing" in texts.pop()
