"""Candidate matches: heat that arrives, hours in which it covers, and laws about distance and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.matching import Ground, Offer, match, matches
from sidestream_twin.core.heat.pipe_sizes import SIZES, pipe_for
from sidestream_twin.core.heat.streams import HeatStream, Side

GROUND = Ground(dt_min_k=10.0)


def source(duty_w=2e6, hot_k=370.0, cold_k=320.0, **when):
    return Offer(HeatStream("source", Side.HOT, hot_k, cold_k, duty_w), "a", **when)


def need(duty_w=1e6, cold_k=300.0, hot_k=340.0, **when):
    return Offer(HeatStream("need", Side.COLD, cold_k, hot_k, duty_w), "b", **when)


def test_a_strong_source_next_door_covers_the_need_whenever_both_run():
    found = match(source(hours_per_year=8000.0), need(hours_per_year=5000.0), 0.0, GROUND)
    assert found.delivered_w == pytest.approx(1e6)
    assert found.loop.loss_w == 0
    assert found.whole_h == found.some_h == (8000 + 5000 - 8760, 5000)
    assert found.energy_j[1] == pytest.approx(5000 * 3600 * 1e6)
    assert not found.by_profile


def test_profiles_tell_the_hours_instead_of_bounding_them():
    by_night = np.array([0.0, 2e6, 2e6, 0.0])
    by_day = np.array([1e6, 0.0, 1e6, 1e6])
    found = match(source(profile_w=by_night), need(profile_w=by_day), 0.0, GROUND)
    assert found.by_profile
    assert found.whole_h == found.some_h == (8760 / 4, 8760 / 4)
    assert found.energy_j[0] == pytest.approx(8760 / 4 * 3600 * 1e6)


def test_steady_profiles_say_the_same_as_hours():
    steady = match(source(profile_w=np.full(24, 2e6)), need(profile_w=np.full(24, 1e6)), 1000.0, GROUND)
    hours = match(source(), need(), 1000.0, GROUND)
    assert steady.whole_h == pytest.approx(hours.whole_h)
    assert steady.energy_j == pytest.approx(hours.energy_j)


def test_hours_with_an_unknown_reading_are_left_out_of_the_year():
    found = match(source(profile_w=np.array([2e6, np.nan])), need(profile_w=np.array([1e6, 1e6])), 0.0, GROUND)
    assert found.whole_h == (8760, 8760)


@given(st.floats(0, 2e4), st.floats(0, 2e4), st.floats(1e4, 1e7), st.floats(1e4, 1e7), st.floats(300, 400))
def test_further_away_never_more_arrives_and_never_more_than_there_is(one, other, had, wanted, hot_k):
    near, far = sorted((one, other))
    s, n = source(had, hot_k, 290.0), need(wanted)
    found = [match(s, n, length, GROUND) for length in (near, far)]
    delivered = [m.delivered_w if m else 0.0 for m in found]
    assert delivered[1] <= delivered[0] * (1 + 1e-9)
    assert delivered[0] <= min(had, wanted) * (1 + 1e-9)
    for m in (m for m in found if m):
        assert m.loop.loss_w >= 0
        assert m.delivered_w + m.loop.loss_w <= had * (1 + 1e-9) or m.delivered_w <= had - m.loop.loss_w


def test_an_unknown_distance_is_not_taken_for_none():
    found = match(source(), need(), None, GROUND)
    assert found.loop is None
    assert found.delivered_w == pytest.approx(1e6)


def test_too_cold_or_too_far_is_no_match():
    assert match(source(hot_k=305.0, cold_k=290.0), need(), 0.0, GROUND) is None
    assert match(source(duty_w=1e4), need(), 50_000.0, GROUND) is None


def test_a_company_is_not_matched_with_itself_and_the_most_energy_comes_first():
    offers = [
        source(),
        Offer(HeatStream("own", Side.COLD, 300, 330, 5e5), "a"),
        need(),
        Offer(HeatStream("small", Side.COLD, 300, 330, 1e5), "c"),
    ]
    found = matches(offers, {}, GROUND)
    assert [(m.source.stream.id, m.need.stream.id) for m in found] == [("source", "need"), ("source", "small")]
    assert found == matches(offers[::-1], {}, GROUND)


def test_what_condenses_serves_what_boils_if_it_is_warm_enough():
    steam = Offer(HeatStream("flash", Side.HOT, 393.15, 393.15, 1e6), "a")
    boiler = Offer(HeatStream("still", Side.COLD, 373.15, 373.15, 8e5), "b")
    assert match(steam, boiler, 0.0, GROUND).delivered_w == pytest.approx(8e5)
    assert match(steam, boiler, 0.0, Ground(dt_min_k=25.0)) is None


@given(st.floats(0, 500))
def test_the_pipe_carries_the_flow_and_the_next_smaller_would_not(flow):
    size, parallel = pipe_for(flow)
    assert size.most_kg_s * parallel >= flow
    smaller = [s for s in SIZES if s.nominal < size.nominal]
    assert not smaller or parallel > 1 or smaller[-1].most_kg_s < flow


def test_nonsense_is_refused():
    with pytest.raises(ModelError, match="zero or more"):
        match(source(), need(), -1.0, GROUND)
    with pytest.raises(ModelError, match="same time"):
        match(source(profile_w=np.ones(3)), need(profile_w=np.ones(4)), 0.0, GROUND)
