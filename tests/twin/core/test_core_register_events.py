"""Rollover, reset and exchange of a meter as events: what was shown, what was taken for granted, what nobody saw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.counters import totals_from_counter
from sidestream_twin.core.rates import totals_from_rate
from sidestream_twin.core.register import CounterRules, EventKind, RegisterEvent, Swap, register_events
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import CounterEvent, GapRules

RULES = GapRules(max_gap_s=60)
OLD_AND_NEW = Series.of([0, 10, 30, 40], [100, 110, 3, 13])
"""The old meter until 10 s, the new one from 30 s on."""


def totals(series: Series, counter: CounterRules, bounds=(0, 20, 40)):
    return totals_from_counter(series, list(bounds), RULES, counter)


def test_a_swap_with_both_figures_loses_nothing():
    counter = CounterRules(swaps=(Swap(20, last=118, first=1),))
    found = totals(OLD_AND_NEW, counter)
    assert found.seen.tolist() == pytest.approx([18, 12])
    assert (found.completeness == 1).all()
    assert found.events[1] == CounterEvent.SWAP
    assert register_events(OLD_AND_NEW, counter) == (
        RegisterEvent(EventKind.SWAP, 20, 10, 30, 118, 1, pytest.approx(10)),
    )


@pytest.mark.parametrize(
    ("swap", "seen", "unseen"),
    [
        (Swap(20, last=118), [18, 10], (20, 30)),
        (Swap(20, first=1), [10, 12], (10, 20)),
        (Swap(20), [10, 10], (10, 30)),
    ],
)
def test_what_nobody_read_at_a_swap_is_unseen_and_said(swap: Swap, seen: list[float], unseen: tuple[float, float]):
    counter = CounterRules(swaps=(swap,))
    assert totals(OLD_AND_NEW, counter).seen.tolist() == pytest.approx(seen)
    (event,) = register_events(OLD_AND_NEW, counter)
    assert (event.kind, event.rise) == (EventKind.SWAP, None)
    assert (event.unseen_from_s, event.unseen_to_s) == unseen


def test_a_reading_at_the_moment_of_the_swap_is_the_new_meters():
    counter = CounterRules(swaps=(Swap(30, last=120, first=3),))
    assert totals(OLD_AND_NEW, counter, (0, 40)).seen.tolist() == pytest.approx([30])
    (event,) = register_events(OLD_AND_NEW, counter)
    assert (event.at_s, event.rise) == (30, pytest.approx(10))


def test_figures_of_a_swap_that_contradict_the_readings_are_told_and_not_used():
    counter = CounterRules(swaps=(Swap(20, last=90, first=1),))
    kinds = {event.kind for event in register_events(OLD_AND_NEW, counter)}
    assert kinds == {EventKind.SWAP, EventKind.RESET}
    assert totals(OLD_AND_NEW, counter).seen.tolist() == pytest.approx([10, 12])


def test_events_tell_what_was_assumed():
    series = Series.of([0, 10, 20, 30, 40], [9990, 3, 13, 5, 4005])
    rolled, reset, jump = register_events(series, CounterRules(modulus=10_000, max_rate=10))
    assert (rolled.kind, rolled.before, rolled.after, rolled.rise) == (EventKind.ROLLOVER, 9990, 3, 13)
    assert (reset.kind, reset.before, reset.after, reset.rise) == (EventKind.RESET, 13, 5, None)
    assert (reset.unseen_from_s, reset.unseen_to_s) == (20, 30)
    assert (jump.kind, jump.rise) == (EventKind.JUMP, None)


def test_a_gap_too_long_to_spread_a_rise_over_is_unseen():
    series = Series.of([0, 10, 1000, 1010], [0, 1, 100, 101])
    found = totals_from_counter(series, [0, 500, 1010], RULES, CounterRules(longest_s=600))
    assert found.seen.tolist() == [1, 1]
    assert register_events(series, CounterRules(longest_s=600)) == ()


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 9)), min_size=3, max_size=30),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 50)), max_size=3),
)
def test_swaps_with_both_figures_change_no_total(rows, exchanged):
    """One true course of a sum, read through one meter or through several in turn."""
    at, truth = np.cumsum([row[0] for row in rows]).astype(float), np.cumsum([row[1] for row in rows])
    times = sorted({float(at[0] + share * (at[-1] - at[0])) for share, _ in exchanged})
    shown, swaps, offset = truth.copy(), [], 0.0
    for time, (_, first) in zip(times, exchanged, strict=False):
        there = float(np.interp(time, at, truth))
        swaps.append(Swap(time, last=there - offset, first=first))
        offset = there - first
        shown[at >= time] = truth[at >= time] - offset
    bounds = [at[0], (at[0] + at[-1]) / 2, at[-1]]
    plain = totals_from_counter(Series.of(at, truth), bounds, RULES, CounterRules())
    series = Series.of(at, shown)
    found = totals_from_counter(series, bounds, RULES, CounterRules(resolution=1e-6, swaps=tuple(swaps)))
    np.testing.assert_allclose(found.seen, plain.seen, atol=1e-6)
    assert {event.kind for event in register_events(series, CounterRules(resolution=1e-6, swaps=tuple(swaps)))} <= {
        EventKind.SWAP
    }


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 5)), min_size=3, max_size=30),
    st.randoms(use_true_random=False),
    st.sampled_from([0.01, 0.1, 1.0]),
)
def test_rate_times_time_and_the_registers_rise_agree_within_its_resolution_in_whatever_order(rows, order, resolution):
    """A flow, and the register that counts it in whole steps of its resolution: two ways to one total."""
    at, rate = np.cumsum([row[0] for row in rows]).astype(float), np.array([row[1] for row in rows])
    counted = np.concatenate([[0.0], np.cumsum(np.diff(at) * (rate[:-1] + rate[1:]) / 2)])
    register = np.floor(counted / resolution) * resolution
    shuffled = list(range(at.size))
    order.shuffle(shuffled)
    bounds = [at[0], at[-1]]
    flowed = totals_from_rate(Series.of(at[shuffled], rate[shuffled]), bounds, RULES)
    rose = totals_from_counter(
        Series.of(at[shuffled], register[shuffled]), bounds, RULES, CounterRules(resolution=resolution)
    )
    assert flowed.value[0] == pytest.approx(rose.value[0], abs=resolution * (1 + 1e-6) + 1e-9)
