"""SMURF's adaptive window: the paper's formulas, and what holds for any sequence of epochs."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidestream_edge.rfid.window import LONGEST_WINDOW, Window, is_transition, least_window, required_window

RATES = st.floats(0.02, 0.95)
DELTAS = st.floats(1e-6, 0.2)


@pytest.mark.parametrize(
    ("rate", "delta", "window"),
    [(0.6, 0.05, 5), (0.65, 0.01, 8), (0.1, 0.05, 30), (1.0, 0.05, 3)],
)
def test_the_required_window_is_the_papers(rate: float, delta: float, window: int) -> None:
    assert required_window(rate, delta) == window


def test_a_transition_is_two_standard_deviations_of_a_binomial_away() -> None:
    # w = 20, p = 0.6: 12 ± 2·2.19
    assert not is_transition(8, 20, 0.6)
    assert is_transition(7, 20, 0.6)
    assert is_transition(17, 20, 0.6)


@given(RATES, DELTAS)
def test_the_least_window_keeps_the_error_and_is_never_above_the_papers(rate: float, delta: float) -> None:
    least = least_window(rate, delta)
    assert (1 - rate) ** least <= delta * (1 + 1e-9)
    assert least == 1 or (1 - rate) ** (least - 1) > delta * (1 - 1e-9)
    assert least <= required_window(rate, delta)


@given(st.lists(st.booleans(), max_size=300), DELTAS)
def test_a_window_ends_only_in_a_silence_that_its_own_rate_makes_improbable(epochs: list[bool], delta: float) -> None:
    window = Window(0.5, delta)
    window.close(read=True)
    for read in epochs:
        window.close(read=read)
        assert 1 <= window.size <= LONGEST_WINDOW
        assert 0 < window.rate <= 0.95
        if window.is_over:
            assert window.confidence >= 1 - delta * (1 + 1e-6) or window.size == LONGEST_WINDOW


@given(st.lists(st.booleans(), max_size=100))
@settings(max_examples=20)
def test_whatever_was_read_a_silence_ends_the_window_at_last(epochs: list[bool]) -> None:
    window = Window(0.5, 1e-4)
    for read in [True, *epochs]:
        window.close(read=read)
    for _ in range(LONGEST_WINDOW):
        window.close(read=False)
    assert window.is_over


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.65, 0.9])
def test_the_rate_is_learnt_from_the_reads_and_drawn_a_little_towards_what_is_usual(rate: float) -> None:
    rng, usual, other = random.Random(4), Window(rate, 1e-4), Window(0.5, 1e-4)
    found = []
    for _ in range(3000):
        read = rng.random() < rate
        usual.close(read=read)
        other.close(read=read)
        found.append((usual.rate, other.rate))
    at_home, elsewhere = (math.fsum(column[500:]) / 2500 for column in zip(*found, strict=True))
    assert at_home == pytest.approx(rate, abs=0.04)
    assert min(rate, 0.5) - 0.04 <= elsewhere <= max(rate, 0.5) + 0.04
    assert abs(elsewhere - rate) < abs(0.5 - rate) * 0.6


def test_a_tag_that_is_read_seldom_is_waited_for_longer_than_one_that_is_read_well() -> None:
    seldom, well = Window(0.5, 1e-4), Window(0.5, 1e-4)
    for n in range(200):
        seldom.close(read=n % 5 == 0)
        well.close(read=n % 5 != 0)
    assert seldom.size > 2 * well.size
