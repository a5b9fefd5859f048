"""Fault 31: a biased and a drifting meter are found at a stated power, an honest plant is accused at a stated rate.

Each run draws every meter's place in its class, which it keeps, and new noise for each interval. A meter that stands still
is found by itself (tests/twin/core/test_core_plausible.py) and, where its neighbours move, here.
"""

from __future__ import annotations

import numpy as np
import pytest

from sidestream_twin.core.reconcile import LinearSystem, Rules, Stream, accuse, analyse, network
from sidestream_twin.core.uncertain import Uncertain

PIPES = (("in", None, "a"), ("mid", "a", "b"), ("side", "a", "b"), ("out", "b", None), ("check", None, "a"))
TRUTH = np.array([80.0, 60.0, 40.0, 100.0, 20.0])
RANDOM, SYSTEMATIC = 0.3, 0.5
OUT = [pipe[0] for pipe in PIPES].index("out")
WINDOW = 3
RUNS, POWER = 10, 0.9
SEED = 20261122


def course(random: np.random.Generator, shift: np.ndarray, load: np.ndarray | None = None) -> list[LinearSystem]:
    """Intervals in which the meter of `out` is wrong by `shift`, in a plant whose flows go up and down by `load`."""
    place = random.uniform(-1, 1, len(PIPES)) * SYSTEMATIC * np.sqrt(3.0)
    swing = np.ones_like(shift) if load is None else load
    shown = TRUTH * swing[:, None] + place + random.normal(0, RANDOM, (shift.size, len(PIPES)))
    shown[:, OUT] += shift
    return [
        network(Stream(*pipe, Uncertain(float(v), RANDOM, SYSTEMATIC)) for pipe, v in zip(PIPES, row, strict=True))
        for row in shown
    ]


def named_at(intervals: list[LinearSystem]) -> tuple[int, list[tuple[str, ...]]] | None:
    structure = analyse(intervals[0])
    for end in range(WINDOW, len(intervals) + 1):
        if found := accuse((), intervals[end - WINDOW : end], Rules(), structure):
            return end, [tuple(each.suspect.meters) for each in found]
    return None


def test_of_two_hundred_honest_intervals_none_accuses_anybody():
    random = np.random.default_rng(SEED)
    assert [named_at(course(random, np.zeros(42))) for _ in range(5)] == [None] * 5


@pytest.mark.parametrize(("rate", "within"), [(0.5 * SYSTEMATIC, 26), (1.0 * SYSTEMATIC, 13), (2.0 * SYSTEMATIC, 8)])
def test_a_meter_that_drifts_is_named_before_it_is_a_dozen_deviations_off(rate: float, within: int):
    """From within its class on; a drift of half a deviation an interval is known within 26 of them, of two within 8."""
    random = np.random.default_rng(SEED)
    found = [named_at(course(random, rate * np.arange(1.0, within + 1))) for _ in range(RUNS)]
    assert sum(one is not None and one[1] == [("out",)] for one in found) >= POWER * RUNS


def test_a_meter_that_is_biased_by_ten_deviations_is_named_after_three_intervals():
    random = np.random.default_rng(SEED)
    found = [named_at(course(random, np.full(WINDOW, 10 * SYSTEMATIC))) for _ in range(20)]
    assert sum(one == (WINDOW, [("out",)]) for one in found) >= 19


def test_a_meter_that_stands_still_while_its_neighbours_move_is_named():
    random = np.random.default_rng(SEED)
    load = 1 + 0.2 * np.sin(np.arange(12) / 2)
    stands = TRUTH[OUT] - TRUTH[OUT] * load
    found = [named_at(course(random, stands, load)) for _ in range(6)]
    assert all(one is not None and one[1] == [("out",)] for one in found)
