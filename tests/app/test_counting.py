"""Counting is exact: what is missing is lost, what is there too often is doubled, in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestream_app.demo.counting import count
from sidestream_app.demo.twin_error import Sample, twin_error

MEASUREMENT = st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.sampled_from([None, 1.0, 2.0]))
MANY = st.lists(MEASUREMENT, max_size=30)


@given(MANY, st.data())
def test_what_arrived_once_each_in_any_order_is_neither_lost_nor_doubled(sent, data):
    arrived = data.draw(st.permutations(sent))
    cut = data.draw(st.integers(0, len(arrived)))
    found = count(sent, arrived[:cut], arrived[cut:])
    assert (found.lost, found.doubled) == (0, 0)
    assert found.sent == found.committed + found.quarantined == len(sent)


@given(MANY, MANY, MANY)
def test_dropping_and_repeating_are_told_exactly(kept, dropped, repeated):
    sent = kept + dropped + repeated
    found = count(sent, kept + repeated + repeated, [])
    assert found.sent + found.doubled == found.committed + found.lost
    if not set(dropped) & set(repeated):
        assert (found.lost, found.doubled) == (len(dropped), len(repeated))


def test_readings_that_are_only_counted_excuse_no_more_than_their_number():
    sent = [("a", n, 1.0) for n in range(10)]
    assert count(sent, sent[:4], [], uncounted=5).lost == 1


def test_a_subject_without_truth_is_left_out_and_said_so():
    found = twin_error([Sample(("node", "silo", "stock_mass"), 0, 1.0, 1.0)], {})
    assert found["coverage"] is None
    assert found["coverage_why"]


def test_coverage_is_the_share_within_two_standard_deviations():
    subject = ("node", "silo", "stock_mass")
    truth = {(subject, n): 100.0 for n in range(4)}
    samples = [Sample(subject, n, 100.0 + n, 1.0) for n in range(4)]
    found = twin_error(samples, truth)
    assert found["coverage"] == 0.75
    assert found["per"]["node/silo/stock_mass"]["samples"] == 4
    assert found["relative"] == 0.015
