"""A series is the same however its readings arrived, and claims nothing across a gap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.series import Series

readings = st.lists(st.tuples(st.integers(0, 20), st.integers(-5, 5)), max_size=15)


@given(readings, st.randoms(use_true_random=False))
def test_order_of_arrival_and_repetition_change_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    first, second = (
        Series.of([r[0] for r in given_rows], [r[1] for r in given_rows]) for given_rows in (rows, shuffled)
    )
    np.testing.assert_array_equal(first.at_s, second.at_s)
    np.testing.assert_array_equal(first.value, second.value)
    assert (np.diff(first.at_s) > 0).all()


def test_readings_of_one_instant_become_their_mean():
    assert Series.of([1, 0, 1], [4, 7, 6]).value.tolist() == [7, 5]


def test_what_is_not_finite_is_dropped_and_counted():
    series = Series.of([0, 1, 2, np.nan], [1, np.nan, np.inf, 4])
    assert (len(series), series.dropped) == (1, 3)


def test_between_readings_it_runs_straight_and_across_a_gap_it_is_unknown():
    series = Series.of([0, 10, 100], [0, 10, 20], sd_random=0.5)
    read = series.interpolated([-1, 0, 4, 10, 50, 100, 101], max_gap_s=10)
    np.testing.assert_allclose(read.value, [np.nan, 0, 4, 10, np.nan, 20, np.nan])
    np.testing.assert_allclose(read.sd_random[2], 0.5)


def test_an_empty_series_and_a_lone_reading_can_be_asked():
    assert np.isnan(Series.of([], []).interpolated([1.0], 10).value).all()
    assert Series.of([5], [3]).interpolated([4, 5, 6], 10).value.tolist()[1] == 3


def test_wrong_sizes_and_negative_deviations_are_refused():
    with pytest.raises(ModelError, match="samples"):
        Series.of([0, 1, 2], [1, 2])
    with pytest.raises(ModelError, match="below zero"):
        Series.of([0, 1], [1, 2], sd_random=-1)
