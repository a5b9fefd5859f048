"""Totals from a rate: exact on straight runs, additive, honest about what was not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.rates import totals_from_rate
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import GapRules

RULES = GapRules(max_gap_s=30)
rates = st.lists(st.tuples(st.floats(0, 200), st.floats(-50, 50)), min_size=2, max_size=40)
bound_lists = st.lists(st.integers(0, 200), min_size=2, max_size=8, unique=True).map(sorted)


def series_of(rows, **more):
    return Series.of([row[0] for row in rows], [row[1] for row in rows], **more)


def test_a_straight_run_is_integrated_exactly_with_irregular_readings():
    at = np.array([0, 3, 10, 11, 30, 47, 60])
    totals = totals_from_rate(Series.of(at, 2 + 0.5 * at), [0, 20, 60], RULES)
    np.testing.assert_allclose(totals.value, [2 * 20 + 0.25 * 400, 2 * 40 + 0.25 * (3600 - 400)])
    assert totals.completeness.tolist() == [1, 1]


@given(rates, bound_lists)
def test_the_seen_total_of_a_union_is_the_sum_of_its_steps(rows, bounds):
    series = series_of(rows)
    parts = totals_from_rate(series, bounds, RULES)
    whole = totals_from_rate(series, [bounds[0], bounds[-1]], RULES)
    assert parts.seen.sum() == pytest.approx(whole.seen[0], abs=1e-7)
    length = np.diff(bounds)
    assert (parts.completeness * length).sum() == pytest.approx(whole.completeness[0] * length.sum(), abs=1e-6)


@given(rates, bound_lists)
def test_a_step_comes_out_bit_equal_in_whichever_window_it_is_computed(rows, bounds):
    series = series_of(rows, sd_random=1.0)
    together = totals_from_rate(series, bounds, RULES)
    alone = [totals_from_rate(series, bounds[i : i + 2], RULES) for i in range(len(bounds) - 1)]
    np.testing.assert_array_equal(together.value, [float(one.value[0]) for one in alone])
    np.testing.assert_array_equal(together.sd_random, [float(one.sd_random[0]) for one in alone])


@given(rates, bound_lists, st.floats(1e-3, 1e3))
def test_another_unit_scales_value_and_deviations_alike(rows, bounds, factor):
    plain = totals_from_rate(series_of(rows, sd_random=1, sd_systematic=2), bounds, RULES)
    scaled_rows = [(at, value * factor) for at, value in rows]
    scaled = totals_from_rate(series_of(scaled_rows, sd_random=factor, sd_systematic=2 * factor), bounds, RULES)
    for column in ("value", "sd_random", "sd_systematic"):
        expected = getattr(plain, column) * factor
        np.testing.assert_allclose(getattr(scaled, column), expected, rtol=1e-9, atol=1e-6 * factor)


@given(rates, bound_lists)
def test_the_deviation_is_that_of_the_weights_put_on_each_reading(rows, bounds):
    """Independent check: move one reading by one deviation at a time and see what the total does."""
    series = series_of(rows)
    assume(len(series) >= 2)
    noisy = Series.of(series.at_s, series.value, sd_random=3.0)
    expected = np.zeros(len(bounds) - 1)
    for index in range(len(series)):
        moved = series.value + np.where(np.arange(len(series)) == index, 3.0, 0.0)
        shift = totals_from_rate(Series.of(series.at_s, moved), bounds, RULES).seen
        expected += (shift - totals_from_rate(series, bounds, RULES).seen) ** 2
    totals = totals_from_rate(noisy, bounds, GapRules(30, unseen_sd=0.0))
    seen = totals.completeness > 0
    np.testing.assert_allclose(
        (totals.sd_random * totals.completeness)[seen], np.sqrt(expected)[seen], rtol=1e-6, atol=1e-6
    )


def test_more_readings_shrink_the_random_part_and_leave_the_systematic():
    def total(period):
        at = np.arange(0, 3600 + period, period)
        return totals_from_rate(Series.of(at, np.full(at.shape, 5.0), 1.0, 0.2), [0, 3600], GapRules(100)).rows()[0]

    coarse, fine = total(36.0), total(9.0)
    assert coarse.quantity.sd_random / fine.quantity.sd_random == pytest.approx(2.0, rel=0.02)
    assert coarse.quantity.sd_systematic == pytest.approx(fine.quantity.sd_systematic) == pytest.approx(720)


def test_a_step_with_a_gap_is_carried_on_estimated_and_less_sure():
    at = np.concatenate([np.arange(0, 31, 10), np.arange(90, 121, 10)])
    row = totals_from_rate(Series.of(at, np.full(at.shape, 2.0)), [0, 120], RULES).rows()[0]
    assert row.completeness == pytest.approx(0.5)
    assert row.quantity.value == pytest.approx(240)
    assert row.quantity.sd_random == pytest.approx(60 * 2 / np.sqrt(3))
    assert row.origin is Origin.ESTIMATED


def test_a_step_that_nobody_saw_has_no_value():
    empty, outside = Series.of([], []), Series.of([0, 10], [1, 1])
    for series in (empty, outside, Series.of([105], [1])):
        row = totals_from_rate(series, [100, 110], RULES).rows()[0]
        assert (row.quantity, row.origin, row.completeness) == (None, None, 0.0)


def test_a_glimpse_shorter_than_rounding_is_not_carried_over_a_step():
    row = totals_from_rate(Series.of([0, 5e-324], [3, 3]), [0, 1], RULES).rows()[0]
    assert (row.quantity, row.completeness) == (None, 0.0)


def test_a_fully_seen_step_is_measured_and_one_between_two_readings_is_not():
    series = Series.of(np.arange(0, 61, 20), np.ones(4))
    assert totals_from_rate(series, [0, 60], RULES).rows()[0].origin is Origin.MEASURED
    assert totals_from_rate(series, [1, 2], RULES).rows()[0].origin is Origin.ESTIMATED
    manual = Series.of([0, 20, 40], [1, 1, 1], origin=Origin.MANUAL)
    assert totals_from_rate(manual, [0, 40], RULES).rows()[0].origin is Origin.MANUAL


def test_mean_rates_give_the_rate_back():
    totals = totals_from_rate(Series.of(np.arange(0, 101, 10), np.full(11, 7.0), 0, 0.1), [0, 40, 100], RULES)
    np.testing.assert_allclose(totals.mean_rates().value, [7, 7])
    np.testing.assert_allclose(totals.mean_rates().sd_systematic, [0.1, 0.1])


@pytest.mark.parametrize("bounds", [[0], [0, 0], [1, 0], [0, np.nan]])
def test_bounds_that_are_no_steps_are_refused(bounds):
    with pytest.raises(ModelError, match="bounds"):
        totals_from_rate(Series.of([0, 1], [1, 1]), bounds, RULES)
