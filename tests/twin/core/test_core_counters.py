"""Totals from a register: what it rose, across rollover, reset and swap; never a negative or a giant flow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.counters import totals_from_counter
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.register import CounterRules
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import CounterEvent, GapRules

RULES = GapRules(max_gap_s=60)
ROWS = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 9)), min_size=2, max_size=30)


def register(rows, modulus=None):
    at, counted = np.cumsum([row[0] for row in rows]), np.cumsum([row[1] for row in rows])
    return Series.of(at, counted if modulus is None else counted % modulus)


@given(ROWS, st.lists(st.integers(0, 1000), max_size=5))
def test_the_steps_add_up_to_what_the_register_rose(rows, inner):
    series = register(rows)
    bounds = sorted({series.at_s[0], series.at_s[-1], *(b for b in inner if series.at_s[0] < b < series.at_s[-1])})
    totals = totals_from_counter(series, bounds, RULES, CounterRules())
    assert totals.value.sum() == pytest.approx(series.value[-1] - series.value[0], abs=1e-9)
    assert (totals.value >= 0).all()


@given(ROWS)
def test_a_rollover_changes_no_total(rows):
    bounds = [0, 1e3, 2e3]
    rules = CounterRules(modulus=20, max_rate=9)
    plain = totals_from_counter(register(rows), bounds, RULES, CounterRules())
    rolled = totals_from_counter(register(rows, modulus=20), bounds, RULES, rules)
    np.testing.assert_allclose(rolled.seen, plain.seen, atol=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=20))
def test_whatever_a_register_says_no_step_is_negative(values):
    series = Series.of(np.arange(len(values)), values)
    for rules in (CounterRules(), CounterRules(modulus=1e6), CounterRules(modulus=1e6, max_rate=10)):
        assert (totals_from_counter(series, [0, 3, 7, 50], RULES, rules).seen >= 0).all()


def test_a_reset_is_unseen_time_and_flagged():
    totals = totals_from_counter(Series.of([0, 10, 20, 30], [100, 110, 3, 13]), [0, 30], RULES, CounterRules())
    row = totals.rows()[0]
    assert row.event == CounterEvent.RESET
    assert row.completeness == pytest.approx(2 / 3)
    assert totals.seen[0] == pytest.approx(20)
    assert row.quantity.value == pytest.approx(30)
    assert row.origin is Origin.ESTIMATED


def test_a_swap_to_a_higher_register_is_no_giant_flow():
    series = Series.of([0, 10, 20, 30], [100, 110, 98_000, 98_010])
    row = totals_from_counter(series, [0, 30], RULES, CounterRules(max_rate=5)).rows()[0]
    assert row.event == CounterEvent.JUMP
    assert row.quantity.value == pytest.approx(30)


def test_a_swap_far_below_the_modulus_is_not_taken_for_a_rollover():
    series = Series.of([0, 10], [600_000, 5])
    assert totals_from_counter(series, [0, 10], RULES, CounterRules(modulus=1e6)).rows()[0].event == CounterEvent.RESET


def test_an_hourly_register_on_hourly_steps_is_as_sure_as_its_last_digit():
    at = np.arange(0, 4) * 3600.0
    series = Series.of(at, [0, 5, 9, 20])
    totals = totals_from_counter(series, at, GapRules(4000), CounterRules(resolution=0.1, limit_relative=0.03))
    np.testing.assert_allclose(totals.value, [5, 4, 11])
    np.testing.assert_allclose(totals.sd_random, 0.1 / np.sqrt(6))
    np.testing.assert_allclose(totals.sd_systematic, np.array([5, 4, 11]) * 0.03 / np.sqrt(3))
    assert {row.origin for row in totals.rows()} == {Origin.MEASURED}


def test_a_bound_inside_a_long_gap_shares_the_rise_with_doubt():
    totals = totals_from_counter(Series.of([0, 1000], [0, 12]), [0, 500, 1000], RULES, CounterRules())
    np.testing.assert_allclose(totals.value, [6, 6])
    np.testing.assert_allclose(totals.sd_random, 12 / np.sqrt(12))
    assert {row.origin for row in totals.rows()} == {Origin.ESTIMATED}
