"""The pair of deviations adds up as GUM says, whatever the order and the unit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.accuracy import Accuracy
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Term, Uncertain, difference, sd_from_limit, weighted_sum

sizes = st.floats(0, 1e6)
uncertain = st.builds(Uncertain, st.floats(-1e6, 1e6), sizes, sizes)
terms = st.lists(st.builds(Term, uncertain, st.sampled_from(["a", "b", "c"]), st.floats(-10, 10)), max_size=12)


def test_a_class_limit_becomes_a_rectangular_deviation():
    assert sd_from_limit(3.0) == pytest.approx(3.0 / math.sqrt(3))


def test_readings_of_one_meter_average_out_only_their_random_part():
    mean = weighted_sum(Term(Uncertain(10.0, 1.0, 0.5), "m", 1 / 100) for _ in range(100))
    assert mean.value == pytest.approx(10.0)
    assert mean.sd_random == pytest.approx(0.1)
    assert mean.sd_systematic == pytest.approx(0.5)


def test_systematic_parts_of_different_meters_add_in_quadrature():
    total = weighted_sum([Term(Uncertain(1, 0, 3), "a"), Term(Uncertain(1, 0, 4), "b")])
    assert total.sd_systematic == pytest.approx(5.0)


def test_what_one_meter_got_wrong_twice_cancels_in_a_difference():
    change = difference(Term(Uncertain(12, 3, 2), "level"), Term(Uncertain(10, 4, 2), "level"))
    assert (change.value, change.sd_random, change.sd_systematic) == (2, 5, 0)


@given(terms, st.randoms(use_true_random=False))
def test_the_order_of_terms_changes_no_bit(given_terms, random):
    shuffled = list(given_terms)
    random.shuffle(shuffled)
    assert weighted_sum(shuffled) == weighted_sum(given_terms)


@given(terms, st.floats(-1e3, 1e3))
def test_scaling_the_sum_is_the_sum_of_the_scaled(given_terms, factor):
    scaled = weighted_sum(Term(term.quantity.scaled(factor), term.source, term.weight) for term in given_terms)
    expected = weighted_sum(given_terms).scaled(factor)
    biggest = 1.0 + sum(abs(t.weight * factor) * (abs(t.quantity.value) + t.quantity.sd) for t in given_terms)
    assert scaled.value == pytest.approx(expected.value, abs=1e-12 * biggest)
    assert scaled.sd_random == pytest.approx(expected.sd_random, abs=1e-12 * biggest)


@given(terms.filter(bool))
def test_one_source_is_never_surer_than_several(given_terms):
    same = weighted_sum(Term(term.quantity, "one", abs(term.weight)) for term in given_terms)
    several = weighted_sum(Term(t.quantity, str(i), abs(t.weight)) for i, t in enumerate(given_terms))
    assert same.sd_systematic >= several.sd_systematic * (1 - 1e-12)


@pytest.mark.parametrize("parts", [(math.nan, 0, 0), (1, -1, 0), (1, 0, math.inf)])
def test_what_is_no_measurement_is_refused_with_a_reason(parts):
    with pytest.raises(ModelError, match="finite"):
        Uncertain(*parts)


def test_a_data_sheet_becomes_both_deviations():
    reading = Accuracy(limit_relative=0.03, limit_absolute=0.4, random_absolute=0.1).of(10.0)
    assert reading.sd_systematic == pytest.approx(0.5 / math.sqrt(3))
    assert reading.sd_random == pytest.approx(0.1)
