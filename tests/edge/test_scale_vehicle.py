"""A vehicle is weighed once: when it stood still above the threshold; then not before the bridge was empty."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_lines import Weighing
from sidestream_edge.drivers.scale.shown import Shown
from sidestream_edge.drivers.scale.vehicle import Bridge, Left, Weighed

CONFIG = Weighing(id="w", above=500, below=200, stable_s=2.0, within=20)


def pass_over(bridge: Bridge, *weights: float, still: bool = True, code: str | None = None, t: int = 0) -> list:
    """What is told while the scale shows these weights, one each 500 ms."""
    found = []
    for n, weight in enumerate(weights):
        shown = Shown("stable" if still else "unstable", weight, "kg", code=code)
        seen = bridge.see(shown, t + n * 500_000)
        found += [seen] if seen else []
    return found


def test_a_vehicle_is_told_once_with_its_code_and_the_time_of_the_weight() -> None:
    weighed, left = pass_over(Bridge(CONFIG), 0, *[12_340.0] * 20, 0, code="AB123")
    assert weighed == Weighed(2_500_000, 12_340.0, "AB123")
    assert left == Left(None)


def test_it_must_stand_still_for_two_seconds_within_twenty() -> None:
    rocking = [12_000.0, 12_030.0] * 10
    assert pass_over(Bridge(CONFIG), *rocking, 0) == [Left(12_030.0)]
    assert pass_over(Bridge(CONFIG), *[12_000.0] * 20, 0, still=False) == [Left(12_000.0)]
    assert pass_over(Bridge(CONFIG), *[12_000.0] * 4, 0) == [Left(12_000.0)]


def test_between_the_thresholds_nothing_happens() -> None:
    assert pass_over(Bridge(CONFIG), *[300.0] * 20, 0) == []
    bridge = Bridge(CONFIG)
    pass_over(bridge, *[9_000.0] * 9)
    assert pass_over(bridge, 300.0, *[9_500.0] * 9) == [], "a second one only after the bridge was below 200"
    assert pass_over(bridge, 100.0) == [Left(None)]


def test_an_overload_interrupts_standing_still() -> None:
    bridge = Bridge(CONFIG)
    assert pass_over(bridge, *[9_000.0] * 4) == []
    assert bridge.see(Shown("over"), 2_000_000) is None
    assert pass_over(bridge, *[9_000.0] * 4, t=2_500_000) == []
    assert pass_over(bridge, 9_000.0, t=4_500_000) == [Weighed(4_500_000, 9_000.0, None)]


def test_what_was_told_before_a_restart_is_not_told_again() -> None:
    bridge = Bridge(CONFIG, weighed=True)
    assert pass_over(bridge, *[9_000.0] * 9) == []
    assert pass_over(bridge, 0, *[8_000.0] * 9, t=10_000_000) == [Left(None), Weighed(12_500_000, 8_000.0, None)]


@given(st.lists(st.tuples(st.floats(-100, 60_000), st.sampled_from(["stable", "unstable", "over"])), max_size=60))
def test_weighings_and_departures_alternate(seen: list) -> None:
    bridge, told = Bridge(CONFIG), []
    for n, (weight, state) in enumerate(seen):
        if item := bridge.see(Shown(state, weight, "kg"), n * 1_000_000):
            told.append(item)
    for before, after in pairwise(told):
        if isinstance(before, Weighed):
            assert after == Left(None)
        if isinstance(after, Left) and after.unweighed is None:
            assert isinstance(before, Weighed)
