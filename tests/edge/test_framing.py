"""Coalescing loses nothing, keeps order, and respects the limits on readings and bytes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge import Framing
from sidestream_contracts.frame import ReadingsFrame, ScansFrame
from sidestream_edge.framing import BULK_READINGS, Coalescer, merged
from sidestream_edge.measurement import Batch, Reading, Scan

SENSORS = st.sampled_from(["a", "b", "c"])
TIMES = st.integers(0, 2**53)
READINGS = st.builds(
    Reading, SENSORS, TIMES, st.none() | st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, 1, 2])
)
SCANS = st.builds(
    Scan,
    SENSORS,
    TIMES,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=512),
    st.none() | st.floats(-100, 0),
    st.sampled_from([0, 1, 2]),
)
BATCHES = st.builds(
    Batch,
    st.sampled_from(["d1", "d2"]),
    st.sampled_from(["scan", "live", "bulk"]),
    st.sampled_from(["live", "recorded"]),
    st.lists(READINGS, max_size=12).map(tuple),
    st.lists(SCANS, max_size=4).map(tuple),
    st.none() | st.text(max_size=3),
)


def rows(body: dict) -> list[tuple]:
    rssi = body.get("rssi") or [None] * len(body["i"])
    columns = zip(body["i"], body["t"], body["val"], body["q"], rssi, strict=True)
    return [(body["kind"], body["clock"], body["sensors"][i], t, val, q, dbm) for i, t, val, q, dbm in columns]


@given(st.lists(BATCHES, max_size=12), st.integers(1, 20), st.integers(200, 3000))
def test_every_reading_arrives_once_in_order_within_the_limits(batches: list[Batch], most: int, max_bytes: int) -> None:
    coalescer = Coalescer(Framing(max_readings=most))
    flushes = []
    for batch in batches:
        coalescer.add(batch)
        if coalescer.full(batch.lane):
            flushes.append(coalescer.flush(batch.lane, max_bytes))
    flushes += [coalescer.flush(lane, max_bytes) for lane in ("scan", "live", "bulk")]
    for lane in ("scan", "live", "bulk"):
        sent = [
            row
            for flush in flushes
            if flush and flush.lane == lane
            for d in flush.drafts
            for row in rows(json.loads(d.payload))
        ]
        mine = [batch for batch in batches if batch.lane == lane]
        for clock in ("live", "recorded"):
            numbers = [("readings", clock, *r, None) for b in mine if b.clock == clock for r in b.readings]
            codes = [
                ("scans", clock, s.sensor, s.t, s.code, s.q, s.rssi) for b in mine if b.clock == clock for s in b.scans
            ]
            for kind, expected in (("readings", numbers), ("scans", codes)):
                assert [row for row in sent if row[:2] == (kind, clock)] == expected
        cursors = {b.driver: b.cursor for b in mine if b.cursor is not None}
        assert cursors == {k: v for flush in flushes if flush and flush.lane == lane for k, v in flush.cursors.items()}
    assert sum(flush.readings for flush in flushes if flush) == sum(len(batch) for batch in batches)
    for draft in (d for flush in flushes if flush for d in flush.drafts):
        body = json.loads(draft.payload)
        (ReadingsFrame if body["kind"] == "readings" else ScansFrame).model_validate(body)
        assert len(body["i"]) <= (max(most, BULK_READINGS) if draft.lane == "bulk" else most)
        assert len(draft.payload) <= max_bytes or len(body["i"]) == 1
        assert draft.channel == body["kind"]
        assert max(Counter(body["sensors"]).values()) == 1


def test_a_frame_is_due_when_full_or_old_enough_and_not_before() -> None:
    now = [0.0]
    coalescer = Coalescer(Framing(max_readings=3, max_wait_s=0.2), clock=lambda: now[0])
    assert coalescer.due_in_s() == float("inf")
    coalescer.add(Batch("d", "live", readings=(Reading("a", 1, 1.0),)))
    assert coalescer.due() == []
    assert coalescer.due_in_s() == pytest.approx(0.2)
    now[0] = 0.1
    coalescer.add(Batch("d", "live", readings=(Reading("a", 2, 1.0), Reading("a", 3, 1.0))))
    assert coalescer.due() == ["live"]
    assert coalescer.flush("live", 10_000) is not None
    coalescer.add(Batch("d", "scan", scans=(Scan("s", 2, "x"),)))
    now[0] = 0.31
    assert coalescer.due() == ["scan"]


def test_an_empty_batch_still_moves_its_cursor() -> None:
    coalescer = Coalescer(Framing())
    coalescer.add(Batch("d", "bulk", "recorded", cursor="42"))
    flush = coalescer.flush("bulk", 10_000)
    assert flush is not None
    assert flush.drafts == ()
    assert flush.cursors == {"d": "42"}


@given(st.lists(BATCHES, max_size=12))
def test_merging_frames_changes_no_measurement_and_no_order(batches: list[Batch]) -> None:
    coalescer, small = Coalescer(Framing(max_readings=3)), []
    for batch in batches:
        coalescer.add(dataclasses.replace(batch, lane="live"))
        small += getattr(coalescer.flush("live", 1000), "drafts", ())
    large = merged(small)
    assert len(large) <= len(small)
    assert sum(len(draft.payload) for draft in large) <= 1.2 * sum(len(draft.payload) for draft in small)
    assert {draft.lane for draft in large} <= {"bulk"}
    for kind in itertools.product(("readings", "scans"), ("live", "recorded")):
        before, after = (
            [row for draft in drafts for row in rows(json.loads(draft.payload)) if row[:2] == kind]
            for drafts in (small, large)
        )
        assert before == after
