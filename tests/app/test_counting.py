"""Counting is exact: what is missing is lost, what is there too often is doubled, in any order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_app.demo.counting import count
from sidestream_app.demo.layout import Layout, Ports
from sidestream_app.demo.page_probe import page_delays_ms
from sidestream_app.demo.twin_error import Sample, twin_error
from sidestream_contracts.errors import ConfigurationError

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


def test_page_delay_is_until_the_reading_or_a_newer_one_is_seen():
    shown = {"a": [(1_000, 1_500), (5_000, 9_000), (7_000, 9_500)]}
    committed = [("a", 500), ("a", 1_000), ("a", 2_000), ("a", 5_000), ("a", 6_000), ("a", 8_000), ("b", 1)]
    assert page_delays_ms(committed, shown) == [7.0, 4.0, 3.5]


def test_fresh_removes_what_a_demo_made_and_nothing_else(tmp_path):
    layout = Layout(tmp_path / "demo")
    layout.prepare(fresh=False)
    layout.truth.write_text("{}")
    (layout.home / "mine.txt").write_text("mine")
    layout.prepare(fresh=True)
    assert not layout.truth.exists()
    assert (layout.home / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("fresh", [True, False])
def test_a_folder_with_other_things_in_it_is_not_touched(tmp_path, fresh):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="holds other things"):
        Layout(tmp_path).prepare(fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_is_a_file_is_a_sentence():
    with pytest.raises(ConfigurationError, match=r"can't be used|holds other things"):
        Layout(Path("/etc/passwd")).prepare(fresh=False)


def test_ports_that_clash_are_refused():
    with pytest.raises(ConfigurationError, match="must differ"):
        Ports.choose(5555, 5555, 0, 0)
