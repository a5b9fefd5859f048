"""Heat recovery targets: the published problem, laws, and an independent linear programme that must find the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.streams import HeatStream, Side
from sidestream_twin.core.heat.targets import composite, heat_targets

ZERO = 273.15
celsius = st.integers(0, 300).map(lambda t: t + ZERO)


@st.composite
def heat_streams(draw, most=8):
    """Streams with round temperatures, so that many share a level, some of them isothermal."""
    streams = []
    for n in range(draw(st.integers(1, most))):
        first, second = draw(celsius), draw(celsius)
        side = draw(st.sampled_from(Side)) if first == second else Side.HOT if first > second else Side.COLD
        streams.append(HeatStream(f"s{n}", side, first, second, draw(st.integers(1, 5000)) * 100.0))
    return streams


def linnhoff(degree=1.0, zero=ZERO):
    rows = ((150, 60, 2.0), (90, 60, 8.0), (20, 125, 2.5), (25, 100, 3.0))
    return [
        HeatStream.of_capacity(str(n), a * degree + zero, b * degree + zero, cp) for n, (a, b, cp) in enumerate(rows)
    ]


def test_linnhoffs_four_streams_give_the_published_targets():
    """Linnhoff's four-stream problem at ΔTmin 20 K: 107.5, 40 and a shifted pinch at 80 °C."""
    found = heat_targets(linnhoff(), 20)
    assert (found.hot_utility_w, found.cold_utility_w) == (107.5, 40.0)
    assert [t - ZERO for t in found.pinches_k] == pytest.approx([80.0])
    assert not found.is_threshold


def transshipment(streams, dt_min_k):
    """Least hot utility by a transport LP: each hot piece may serve each cold piece that is colder by ΔTmin."""
    levels = sorted({round(t + s.shift_k(dt_min_k), 6) for s in streams for t in (s.low_k, s.high_k)})

    def pieces(side):
        for s in (s for s in streams if s.side is side):
            low, high = (round(t + s.shift_k(dt_min_k), 6) for t in (s.low_k, s.high_k))
            if low == high:
                yield low, low, s.duty_w
            for a, b in pairwise(levels):
                if low <= a < b <= high:
                    yield a, b, s.duty_w * (b - a) / (high - low)

    hot, cold = list(pieces(Side.HOT)), list(pieces(Side.COLD))
    if not hot or not cold:
        return sum(d for *_, d in cold)
    pairs = [(i, j) for i, h in enumerate(hot) for j, c in enumerate(cold) if h[0] >= c[0] and h[1] >= c[1]]
    rows = np.zeros((len(hot) + len(cold), len(pairs)))
    for n, (i, j) in enumerate(pairs):
        rows[i, n] = rows[len(hot) + j, n] = 1
    limits = [d for *_, d in hot] + [d for *_, d in cold]
    if not pairs:
        return sum(d for *_, d in cold)
    solved = linprog(-np.ones(len(pairs)), A_ub=rows, b_ub=limits, method="highs")
    assert solved.status == 0
    return sum(d for *_, d in cold) + solved.fun


@settings(max_examples=40)
@given(heat_streams(), st.integers(0, 40))
def test_a_linear_programme_finds_the_same_least_utility(streams, dt_min_k):
    found = heat_targets(streams, dt_min_k)
    scale = sum(s.duty_w for s in streams)
    assert found.hot_utility_w == pytest.approx(transshipment(streams, dt_min_k), abs=1e-7 * scale)


@given(heat_streams(), st.integers(0, 40))
def test_energy_is_conserved(streams, dt_min_k):
    found = heat_targets(streams, dt_min_k)
    had, wanted = (sum(s.duty_w for s in streams if s.side is side) for side in Side)
    scale = had + wanted
    assert found.hot_utility_w - found.cold_utility_w == pytest.approx(wanted - had, abs=3e-9 * scale)
    assert found.recovered_w + found.hot_utility_w == pytest.approx(wanted, abs=1e-12 * scale)
    assert min(point.heat_w for point in found.grand) >= 0
    assert (min(point.heat_w for point in found.grand) == 0) or not found.pinches_k


@given(heat_streams(), st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_streams_changes_nothing_to_the_last_bit(streams, dt_min_k, random):
    shuffled = random.sample(streams, len(streams))
    assert heat_targets(shuffled, dt_min_k) == heat_targets(streams, dt_min_k)


@given(heat_streams(), st.integers(0, 40), st.floats(0.05, 0.95))
def test_splitting_a_stream_by_flow_or_by_temperature_changes_nothing(streams, dt_min_k, share):
    whole = heat_targets(streams, dt_min_k)
    first, *rest = streams
    by_flow = [
        HeatStream("a", first.side, first.from_k, first.to_k, first.duty_w * share),
        HeatStream("b", first.side, first.from_k, first.to_k, first.duty_w * (1 - share)),
    ]
    splits = [by_flow]
    middle = first.from_k + share * (first.to_k - first.from_k)
    if not first.isothermal:
        splits.append(
            [
                HeatStream("a", first.side, first.from_k, middle, first.duty_w * share),
                HeatStream("b", first.side, middle, first.to_k, first.duty_w * (1 - share)),
            ]
        )
    scale = sum(s.duty_w for s in streams)
    for pieces in splits:
        found = heat_targets([*pieces, *rest], dt_min_k)
        assert found.hot_utility_w == pytest.approx(whole.hot_utility_w, abs=1e-8 * scale)


@given(heat_streams(), st.integers(0, 40), st.sampled_from([1e-3, 1e3, 1e6]))
def test_another_unit_of_heat_changes_nothing_else(streams, dt_min_k, factor):
    other = [HeatStream(s.id, s.side, s.from_k, s.to_k, s.duty_w * factor) for s in streams]
    one, two = heat_targets(streams, dt_min_k), heat_targets(other, dt_min_k)
    assert two.hot_utility_w == pytest.approx(one.hot_utility_w * factor, rel=1e-9)
    assert two.pinches_k == one.pinches_k


@given(heat_streams(), st.integers(0, 30), st.integers(0, 30))
def test_a_wider_least_difference_never_recovers_more(streams, one, other):
    narrow, wide = sorted((one, other))
    scale = sum(s.duty_w for s in streams)
    assert heat_targets(streams, wide).recovered_w <= heat_targets(streams, narrow).recovered_w + 1e-8 * scale


@given(heat_streams(), st.integers(1, 40))
def test_composite_curves_end_where_the_duties_end_and_keep_their_distance(streams, dt_min_k):
    found = heat_targets(streams, dt_min_k)
    hot, cold = composite(streams, Side.HOT), composite(streams, Side.COLD, found.cold_utility_w)
    scale = sum(s.duty_w for s in streams)
    for curve, side, start in ((hot, Side.HOT, 0.0), (cold, Side.COLD, found.cold_utility_w)):
        if curve:
            assert curve[-1].heat_w - start == pytest.approx(sum(s.duty_w for s in streams if s.side is side))
    if hot and cold:
        for point in hot:
            if cold[0].heat_w < point.heat_w < cold[-1].heat_w - 1e-6 * scale:
                warmest = np.interp(point.heat_w + 1e-7 * scale, [p.heat_w for p in cold], [p.t_k for p in cold])
                before = np.interp(point.heat_w - 1e-7 * scale, [p.heat_w for p in cold], [p.t_k for p in cold])
                assert min(warmest, before) <= point.t_k - dt_min_k + 1e-3


def test_a_threshold_problem_has_no_pinch():
    streams = [HeatStream.of_capacity("h", 450, 400, 10.0), HeatStream.of_capacity("c", 300, 320, 1.0)]
    found = heat_targets(streams, 10)
    assert (found.hot_utility_w, found.cold_utility_w, found.pinches_k) == (0.0, 480.0, ())
    assert found.is_threshold


def test_two_pinches_are_both_named():
    """Between two temperatures at which supply just meets demand, a surplus that is needed in full further down."""
    streams = [
        HeatStream("steam", Side.COLD, 420.0, 420.0, 50.0),
        HeatStream("h", Side.HOT, 400.0, 380.0, 100.0),
        HeatStream("c", Side.COLD, 340.0, 360.0, 100.0),
        HeatStream("waste", Side.HOT, 330.0, 320.0, 30.0),
    ]
    found = heat_targets(streams, 0.0)
    assert found.pinches_k == (420.0, 400.0, 340.0, 330.0)
    assert (found.hot_utility_w, found.cold_utility_w) == (50.0, 30.0)


def test_what_condenses_boils_what_is_colder_by_just_the_least_difference():
    for dt in (20.0, 20.1, 0.3):
        streams = [
            HeatStream("vapour", Side.HOT, 100 + ZERO, 100 + ZERO, 5.0),
            HeatStream("boiler", Side.COLD, 100 - dt + ZERO, 100 - dt + ZERO, 7.0),
        ]
        assert heat_targets(streams, dt).hot_utility_w == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: heat_targets([], 10), "no streams"),
        (lambda: heat_targets(linnhoff(), -1), "ΔTmin"),
        (lambda: heat_targets(linnhoff() + linnhoff(), 1), "id of its own"),
        (lambda: HeatStream.of_capacity("x", 300, 300, 1), "duty"),
        (lambda: HeatStream.of_capacity("x", 300, 310, -1), "above zero"),
        (lambda: HeatStream("x", Side.HOT, 300, 310, 1), "warms up"),
        (lambda: HeatStream("x", Side.HOT, 300, float("nan"), 1), "finite"),
        (lambda: HeatStream("x", Side.HOT, 300, -10, 1), "absolute zero"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(make, word):
    with pytest.raises(ModelError, match=word):
        make()
