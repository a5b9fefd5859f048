"""What a pass takes on, and which meter tells what: pure decisions."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sidestream_store.twin.dirty import Changed
from sidestream_twin.steps import LIVE_STEPS, Span, ended_before, merged, share_out

PARTS = st.lists(
    st.builds(lambda s, a, n: Changed(s, a, a + n), st.integers(1, 3), st.integers(0, 200), st.integers(1, 50)),
    max_size=8,
)


def steps(parts) -> list[tuple[int, int]]:
    return sorted((p.sensor_id, step) for p in parts for step in range(p.first, p.stop))


@given(PARTS, st.integers(0, 300), st.floats(1, 500))
def test_sharing_out_loses_no_step_and_does_none_twice(parts, horizon, budget):
    work = share_out(parts, horizon, {1: 1.0, 2: 5.0}, budget)
    assert steps([*work.now, *work.running, *work.postponed]) == steps(parts)
    assert all(part.stop <= horizon for part in (*work.now, *work.postponed))
    assert all(part.first >= horizon for part in work.running)


@given(PARTS, st.floats(1, 100))
def test_old_work_stays_within_the_budget_but_always_goes_on(parts, budget):
    work = share_out(parts, 10_000, {}, budget)
    done = steps(work.now)
    per_step = max((sum(p.first <= step < p.stop for p in parts) for _, step in done), default=0)
    assert len(done) <= max(budget, per_step)
    assert bool(done) == bool(parts)


def test_the_newest_steps_are_done_whatever_has_piled_up():
    live = Changed(1, 1000 - LIVE_STEPS, 1000)
    work = share_out([Changed(1, 0, 900), live], 1000, {1: 10.0}, 50.0)
    assert live in work.now
    assert Changed(1, 0, 5) in work.now
    assert work.postponed == (Changed(1, 5, 900),)


@given(st.lists(st.builds(lambda a, n: Span(a, a + n), st.integers(-50, 50), st.integers(0, 20))))
def test_merged_spans_hold_the_same_steps_apart_from_each_other(spans):
    found = merged(spans)
    assert {s for span in found for s in range(span.first, span.stop)} == {
        s for span in spans for s in range(span.first, span.stop)
    }
    assert all(a.stop < b.first for a, b in itertools.pairwise(found))


def test_a_step_has_ended_when_its_readings_have_had_time_to_arrive():
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert ended_before(noon, 0.0, 10) == noon.timestamp() / 10
    assert ended_before(noon, 2.0, 10) == noon.timestamp() / 10 - 1
