"""Exchangers, pipes, heat pumps, use and mismatch: textbook values, limits, and laws."""

from __future__ import annotations

from math import exp, isfinite, log, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.exchanger import (
    Arrangement,
    Readings,
    effectiveness,
    fouling,
    log_mean_k,
    rate,
    transfer_units,
)
from sidestream_twin.core.heat.heat_pump import HeatPumpReadings, rate_heat_pump
from sidestream_twin.core.heat.mismatch import common_hours, mismatch
from sidestream_twin.core.heat.pipe import (
    Insulation,
    PipeEnds,
    Trench,
    Verdict,
    buried_pair,
    check_pipe,
    loss_w,
    outdoor_surface_w_m2_k,
    outlet_k,
    overhead,
)
from sidestream_twin.core.heat.register import Cause, check_register
from sidestream_twin.core.heat.supply import Need, heat_use
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain

ntus, ratios, arrangements = st.floats(0, 12), st.floats(0, 1), st.sampled_from(Arrangement)


# exchangers


@given(ntus, ratios, arrangements)
def test_effectiveness_is_a_share_and_grows_with_size(ntu, ratio, arrangement):
    smaller, larger = (effectiveness(n, ratio, arrangement) for n in (ntu, ntu + 0.1))
    assert 0 <= smaller <= larger <= 1


@given(ntus, ratios)
def test_no_arrangement_beats_counter_flow_nor_is_beaten_by_parallel(ntu, ratio):
    parallel, cross, counter = (effectiveness(ntu, ratio, a) for a in ("parallel", "cross", "counter"))
    assert parallel <= cross + 0.02  # the cross-flow formula is itself good to a per cent or two
    assert cross <= counter + 0.02
    assert parallel <= counter + 1e-12


@given(st.floats(0.01, 6), ratios, arrangements)
def test_transfer_units_undo_effectiveness(ntu, ratio, arrangement):
    share = effectiveness(ntu, ratio, arrangement)
    if share < effectiveness(ntu * 1.01, ratio, arrangement) - 1e-7:
        assert transfer_units(share, ratio, arrangement) == pytest.approx(ntu, rel=1e-4)


def test_effectiveness_has_the_tabulated_values():
    """Incropera & DeWitt, figures 11.10, 11.11, 11.14 and their formulas."""
    assert effectiveness(1.0, 1.0, Arrangement.COUNTER) == pytest.approx(0.5)
    assert effectiveness(1.0, 1.0, Arrangement.PARALLEL) == pytest.approx((1 - exp(-2)) / 2)
    assert effectiveness(2.0, 0.0, Arrangement.CROSS) == pytest.approx(1 - exp(-2))
    assert effectiveness(2.0, 0.5, Arrangement.COUNTER) == pytest.approx(0.7746, abs=1e-4)
    assert effectiveness(1.0, 1.0, Arrangement.CROSS) == pytest.approx(0.476, abs=0.01)
    assert effectiveness(3.0, 1 - 1e-12) == pytest.approx(0.75, rel=1e-9)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_the_logarithmic_mean_lies_between_geometric_and_arithmetic(one, other):
    mean = log_mean_k(one, other)
    assert np.sqrt(one * other) * (1 - 1e-9) <= mean <= 0.5 * (one + other) * (1 + 1e-9)
    assert mean == pytest.approx(log_mean_k(other, one))
    if abs(one - other) > 1e-3 * one:
        assert mean == pytest.approx((one - other) / log(one / other), rel=1e-8)


def test_equal_differences_have_themselves_as_mean_and_crossed_ones_have_none():
    assert log_mean_k(7.0, 7.0) == 7.0
    assert log_mean_k(7.0, 7.0 * (1 + 1e-9)) == pytest.approx(7.0)
    assert not isfinite(log_mean_k(7.0, -1.0))


def around(ua=900.0, sd=0.0):
    """Hot 90 °C, 400 W/K; cold 20 °C, 500 W/K; counter-flow of known UA."""
    passed = effectiveness(ua / 400, 0.8) * 400 * 70
    t = (363.15, 363.15 - passed / 400, 293.15, 293.15 + passed / 500)
    return Readings(*(Uncertain(x, sd) for x in t), Uncertain(400, sd * 4), Uncertain(500, sd * 5)), passed


def test_a_counter_flow_exchanger_shows_its_duty_its_size_and_its_log_mean():
    readings, passed = around()
    found = rate(readings)
    assert found.duty_w.value == pytest.approx(passed)
    assert found.imbalance_w.value == pytest.approx(0, abs=1e-6)
    assert found.ua_w_k.value == pytest.approx(900, rel=1e-6)
    assert found.ua_w_k.value * found.log_mean_k.value == pytest.approx(passed, rel=1e-6)
    assert found.sides_agree


def test_its_uncertainty_is_that_of_a_monte_carlo():
    readings, _ = around(sd=0.2)
    found, rng = rate(readings), np.random.default_rng(1)
    names = Readings.__slots__
    drawn = [
        rate(Readings(**{n: Uncertain(rng.normal(getattr(readings, n).value, getattr(readings, n).sd)) for n in names}))
        for _ in range(400)
    ]
    assert np.std([d.hot_w.value for d in drawn]) == pytest.approx(found.hot_w.sd, rel=0.12)
    assert np.std([d.ua_w_k.value for d in drawn]) == pytest.approx(found.ua_w_k.sd, rel=0.25)


def test_temperatures_that_cross_give_a_duty_but_no_size():
    t = [Uncertain(x) for x in (350, 310, 300, 352)]
    found = rate(Readings(*t, Uncertain(10), Uncertain(8)))
    assert found.ua_w_k is None
    assert found.log_mean_k is None


def test_fouling_is_told_with_its_pace_when_it_is_clear():
    at = np.arange(60) * 86400.0
    rng = np.random.default_rng(2)
    ua = [Uncertain(1000 * (1 - 0.004 * day) + rng.normal(0, 20), 20) for day in range(60)]
    found = fouling(at, ua, Uncertain(1000, 10))
    assert found.significant
    assert found.per_day.value == pytest.approx(-0.004, abs=4 * found.per_day.sd)
    assert found.share_now.value == pytest.approx(1 - 0.004 * 59, abs=4 * found.share_now.sd)
    assert found.days_until(0.5) == pytest.approx((0.764 - 0.5) / 0.004, rel=0.1)
    assert found.resistance_k_w.value > 0
    clean = fouling(at, [Uncertain(1000 + rng.normal(0, 20), 20) for _ in at], Uncertain(1000, 10))
    assert not clean.significant
    assert clean.days_until(0.5) is None


# pipes


def test_a_buried_pair_loses_what_the_standard_computes():
    """EN 13941-1 by hand: DN 100 (114.3/200), 0.026 W/mK, 0.8 m deep, 0.3 m apart, soil 1.6 W/mK."""
    pair = buried_pair(Insulation(0.1143, 0.2), Trench(0.8, 0.3, 1.6))
    cover = 0.8 + 0.0685 * 1.6
    own = log(0.2 / 0.1143) / (2 * pi * 0.026) + log(4 * cover / 0.2) / (2 * pi * 1.6)
    mutual = log(1 + (2 * cover / 0.3) ** 2) / (4 * pi * 1.6)
    assert pair.own_w_mk == pytest.approx(own / (own**2 - mutual**2))
    assert sum(pair.losses_w_m(353.15, 323.15, 283.15)) == pytest.approx(2 / (own + mutual) * 55)
    assert 0.2 < pair.own_w_mk < 0.35  # makers' tables: 0.24 to 0.28 W/(m K)
    alone = pair.acting_w_mk(353.15, 323.15, 283.15) * 70
    assert alone == pytest.approx(pair.losses_w_m(353.15, 323.15, 283.15)[0])


@given(st.floats(0.02, 0.5), st.floats(1.2, 4), st.floats(0.02, 0.06), st.floats(0.5, 3), st.floats(0.8, 2.5))
def test_a_pair_as_warm_as_the_ground_loses_nothing_and_a_warmer_one_something(inner, ratio, lam, depth, soil):
    insulation = Insulation(inner, inner * ratio, lam)
    trench = Trench(depth + insulation.outer_m, insulation.outer_m * 1.5, soil)
    pair = buried_pair(insulation, trench)
    assert 0 < pair.other_w_mk < pair.own_w_mk
    assert pair.losses_w_m(283.0, 283.0, 283.0) == (0, 0)
    assert sum(pair.losses_w_m(353.0, 313.0, 283.0)) > 0


def test_overhead_wind_matters_little_behind_insulation():
    insulation = Insulation(0.1143, 0.2143, 0.04)
    still, storm = (overhead(insulation, outdoor_surface_w_m2_k(v, 0.2143)) for v in (0.5, 20.0))
    assert still < storm < 2 * pi * 0.04 / log(0.2143 / 0.1143)
    assert storm / still < 1.15


@given(st.floats(275, 400), st.floats(260, 300), st.floats(0, 2000), st.floats(10, 1e5), st.floats(1, 3))
def test_a_longer_pipe_never_loses_less_and_never_more_than_all(inlet, ground, conductance, carried, longer):
    end = outlet_k(inlet, ground, conductance, carried)
    assert min(inlet, ground) - 1e-9 <= end <= max(inlet, ground) + 1e-9
    if inlet > ground:
        near, far = (loss_w(inlet, ground, u, carried) for u in (conductance, conductance * longer))
        assert -1e-6 <= near <= far + 1e-6
        assert far <= carried * (inlet - ground) * (1 + 1e-9)


@given(st.floats(0, 500), st.floats(0, 500))
def test_two_pipes_in_a_row_lose_what_one_as_long_as_both_does(first, second):
    middle = outlet_k(353, 283, first, 4000)
    assert outlet_k(middle, 283, second, 4000) == pytest.approx(outlet_k(353, 283, first + second, 4000))


def ends(outlet, sd=0.05):
    return PipeEnds(Uncertain(353.15, sd), Uncertain(outlet, sd), Uncertain(283.15, 1.0), Uncertain(8400.0, 84.0))


def test_measured_ends_tell_whether_a_pipe_loses_more_than_designed():
    as_designed = outlet_k(353.15, 283.15, 0.25 * 1000, 8400)
    double = outlet_k(353.15, 283.15, 0.5 * 1000, 8400)
    found = check_pipe(ends(as_designed), 1000, 0.25)
    assert found.measured_w_mk.value == pytest.approx(0.25)
    assert found.verdict is Verdict.AS_DESIGNED
    assert check_pipe(ends(double), 1000, 0.25).verdict is Verdict.MORE
    assert check_pipe(ends(352.8), 1000, 0.25).verdict is Verdict.LESS
    assert check_pipe(ends(as_designed, sd=3.0), 1000, 0.25).verdict is Verdict.UNTOLD


# heat pumps


def test_a_heat_pump_is_rated_against_carnot():
    found = rate_heat_pump(
        HeatPumpReadings(*(Uncertain(v, s) for v, s in ((300e3, 6e3), (100e3, 1e3), (343.15, 0.2), (293.15, 0.2))))
    )
    assert found.cop.value == pytest.approx(3.0)
    assert found.cop.sd == pytest.approx(3.0 * np.hypot(0.02, 0.01), rel=1e-3)
    assert found.carnot.value == pytest.approx(343.15 / 50)
    assert found.carnot_share.value == pytest.approx(3.0 * 50 / 343.15)
    assert found.impossible is None


def test_readings_that_break_a_law_are_named():
    hot = [Uncertain(v, 0.01 * v) for v in (300e3, 100e3)] + [Uncertain(303.15, 0.2), Uncertain(293.15, 0.2)]
    assert rate_heat_pump(HeatPumpReadings(*hot)).impossible is None
    free = [Uncertain(3000e3, 1e3), *hot[1:3], Uncertain(280.0, 0.2)]
    assert "second law" in rate_heat_pump(HeatPumpReadings(*free)).impossible
    short = HeatPumpReadings(*hot, source_w=Uncertain(100e3, 1e3))
    assert "first law" in rate_heat_pump(short).impossible


# supplied, usable, used, dumped


@given(
    st.floats(0, 20), st.floats(275, 420), st.floats(275, 420), st.floats(0, 1e6), st.floats(280, 400), st.floats(0, 20)
)  # fmt: skip
def test_supplied_is_used_plus_dumped_and_usable_is_part_of_it(flow, supply, discard, used, required, dt):
    found = heat_use(flow, supply, discard, used, Need(required, dt))
    rounding_w = 1e-9 * (used + flow * 4180 * supply)
    assert found.used_w + found.dumped_w == pytest.approx(found.supplied_w, abs=rounding_w)
    assert 0 <= found.usable_w <= found.supplied_w * (1 + 1e-12) + 1e-6
    assert found.missed_w >= 0


def test_heat_below_what_the_receiver_needs_is_supplied_but_not_usable():
    """2 kg/s from 70 to 20 °C; the receiver needs 45 °C and 5 K for its exchanger: 40 % of it is usable."""
    found = heat_use(2.0, 343.15, 293.15, 100e3, Need(318.15, 5.0))
    assert found.supplied_w[0] == pytest.approx(2 * 4184 * 50, rel=2e-3)
    assert found.usable_w[0] / found.supplied_w[0] == pytest.approx(0.4, abs=2e-3)
    assert found.missed_w[0] == pytest.approx(found.usable_w[0] - 100e3)
    assert np.isnan(heat_use(2.0, np.nan, 293.15, 1.0, Need(318.15)).usable_w[0])


# register


@pytest.mark.parametrize(
    ("ratio", "cause"),
    [
        (1.0, Cause.NONE),
        (1.003, Cause.NONE),
        (1.017, Cause.WRONG_LEG),
        (0.983, Cause.WRONG_LEG),
        (1000.0, Cause.UNIT),
        (1 / 3.6, Cause.UNIT),
        (-1.0, Cause.SWAPPED),
        (1.3, Cause.OTHER),
        (0.0, Cause.OTHER),
    ],
)
def test_a_register_that_disagrees_is_told_from_its_ratio(ratio, cause):
    found = check_register(Uncertain(ratio * 1e9, 1e6, 1e6), Uncertain(1e9, 0, 2e6))
    assert found.cause is cause
    assert found.difference_j.value == pytest.approx((ratio - 1) * 1e9)


def test_coarse_meters_accuse_nobody():
    assert check_register(Uncertain(1.05e9, 0, 5e7), Uncertain(1e9)).cause is Cause.NONE
    with pytest.raises(ModelError, match="was delivered"):
        check_register(Uncertain(1e9), Uncertain(0.0))


# mismatch

heats = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=30)


@given(heats, st.floats(1, 3600))
def test_mismatch_conserves_supply_and_demand(pairs, step):
    supply, demand = np.array(pairs).T
    found = mismatch(supply, demand, step)
    assert found.covered_j + found.dumped_j == pytest.approx(supply.sum() * step)
    assert found.covered_j + found.unmet_j == pytest.approx(demand.sum() * step)
    assert found.whole_s + found.partly_s + found.unmet_s == pytest.approx(np.count_nonzero(demand) * step)


def test_heat_by_night_covers_nothing_by_day_and_gaps_are_claimed_for_neither():
    found = mismatch([100, 0, np.nan, 50], [0, 100, 100, 20], 3600)
    assert (found.covered_j, found.dumped_j, found.unmet_j) == (20 * 3600, 130 * 3600, 100 * 3600)
    assert (found.whole_s, found.unmet_s, found.unknown_s) == (3600, 3600, 3600)
    assert found.covered_share == pytest.approx(1 / 6)


@given(st.floats(0, 8760), st.floats(0, 8760))
def test_common_hours_are_bounded_by_both(one, other):
    least, most = common_hours(one, other)
    assert 0 <= least <= most <= min(one, other)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: effectiveness(-1, 0.5), "NTU"),
        (lambda: transfer_units(-0.1, 0.5), "effectiveness"),
        (lambda: rate(Readings(*[Uncertain(300)] * 4, Uncertain(0), Uncertain(1))), "both sides flow"),
        (lambda: rate(Readings(*[Uncertain(300)] * 4, Uncertain(1), Uncertain(1))), "swap the sides"),
        (lambda: fouling([1, 2], [Uncertain(1, 1)] * 2, Uncertain(1)), "three or more"),
        (lambda: fouling([1, 2, 3], [Uncertain(1, 0)] * 3, Uncertain(1)), "above zero"),
        (lambda: Insulation(0.2, 0.1), "no layer"),
        (lambda: buried_pair(Insulation(0.1, 0.2), Trench(0.8, 0.1)), "can't lie so"),
        (lambda: outlet_k(350, 280, 1, 0), "above zero"),
        (lambda: overhead(Insulation(0.1, 0.2), 0), "no heat out"),
        (lambda: check_pipe(ends(270.0), 100, 0.2), "flow and warm ends"),
        (lambda: rate_heat_pump(HeatPumpReadings(*[Uncertain(0)] * 4)), "when it runs"),
        (lambda: heat_use(-1, 300, 290, 0, Need(280)), "turn it round"),
        (lambda: Need(-1), "can't be"),
        (lambda: mismatch([-1], [1], 1), "below zero"),
        (lambda: common_hours(9000, 1), "hours per year"),
        (lambda: propagated(lambda x: float("nan") * x, [Uncertain(1, 1)]), "no finite figure"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(make, word):
    with pytest.raises(ModelError, match=word):
        make()
