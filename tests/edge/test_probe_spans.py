"""Finding which registers exist: everything near 0 is found exactly, with few requests, whatever the device refuses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestream_edge.probe.spans import BLOCK, NEAR, STEP, Read, spans, usual_spans


class Device:
    """Answers like one: refuses what touches a missing address, too many at once, or half a pair."""

    def __init__(self, exists: set[int], most: int = 125, width: int = 1) -> None:
        self.exists, self.most, self.width = exists, most, width
        self.requests = 0

    def read(self, start: int, count: int) -> tuple[int, ...] | None:
        self.requests += 1
        whole = count <= self.most and count % self.width == 0 and start % self.width == 0
        if not whole or not self.exists.issuperset(range(start, start + count)):
            return None
        return tuple(range(start, start + count))


def found(read: Read, first: int, last: int) -> set[int]:
    return {word for span in spans(read, first, last) for word in span.words}


@given(st.lists(st.tuples(st.integers(0, NEAR - 1), st.integers(1, 300)), min_size=1, max_size=6), st.integers(20, 125))
def test_spans_with_small_holes_are_found_exactly(parts, most):
    exists, at = set(), 0
    for hole, length in parts:
        exists.update(range(at + hole, at + hole + length))
        at += hole + length
    device = Device(exists, most)
    assert found(device.read, 0, at + 20) == exists


@given(st.integers(NEAR, 600), st.integers(STEP, 200))
def test_a_span_beyond_a_long_hole_is_found_whole_when_it_holds_a_tenth(start, length):
    exists = {*range(5), *range(start, start + length)}
    assert found(Device(exists).read, 0, 999) == exists


def test_a_device_that_has_only_pairs_is_read_in_pairs():
    exists = set(range(80))
    assert found(Device(exists, most=60, width=2).read, 0, 200) == exists


def test_a_span_is_one_and_its_words_are_those_of_its_addresses():
    (one,) = spans(Device(set(range(3, 260))).read, 0, 400)
    assert (one.start, one.end, str(one)) == (3, 259, "3–259")
    assert one.words == tuple(range(3, 260))


def test_tables_at_round_numbers_are_found_and_an_empty_device_costs_few_requests():
    device = Device({*range(4000, 4042), 40001, 40002})
    assert [str(span) for span in usual_spans(device.read)] == ["4000–4041", "40001–40002"]
    empty = Device(set())
    assert usual_spans(empty.read) == []
    assert empty.requests < 5 * BLOCK
