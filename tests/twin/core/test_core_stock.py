"""A stock's mass: conserved, repeatable, corrected by what was seen, and never surer than its instruments."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.stock import (
    Direction,
    Movement,
    Observation,
    Stock,
    StockFlag,
    StockState,
    StockStep,
    Verdict,
)
from sidestream_twin.core.stock_filter import run_stock
from sidestream_twin.core.uncertain import Uncertain

sizes = st.floats(0, 50)
masses = st.builds(Uncertain, st.floats(0, 1e4), sizes, sizes)
movements = st.builds(Movement, st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(Direction), masses)
seen_masses = st.builds(Uncertain, st.floats(0, 1e5), st.floats(0.1, 50), sizes)
observations = st.builds(Observation, st.sampled_from(["level", "scale"]), seen_masses)
START = StockState.known(0.0, "scale", Uncertain(1000.0, 5.0, 2.0))


@st.composite
def step_lists(draw, seen=2):
    lengths = draw(st.lists(st.integers(1, 600), min_size=1, max_size=8))
    bounds = [0, *np.cumsum(lengths).tolist()]
    return [
        StockStep(
            float(bounds[i]),
            float(bounds[i + 1]),
            tuple(draw(st.lists(movements, max_size=4))),
            tuple(draw(st.lists(observations, max_size=seen))),
        )
        for i in range(len(lengths))
    ]


def one_step(*moved, seen=(), to_s=60.0, from_s=0.0):
    return StockStep(from_s, to_s, tuple(moved), tuple(seen))


def level(value, sd_random=1.0, sd_systematic=0.0, origin=Origin.MEASURED):
    return Observation("level", Uncertain(value, sd_random, sd_systematic), origin)


@given(step_lists(seen=0))
def test_without_observations_the_stock_changes_by_what_came_in_less_what_went_out(steps):
    run = run_stock(Stock(), START, steps)
    net = math.fsum(m.direction.sign * m.mass.value for step in steps for m in step.movements)
    assert run.state.mass_kg == pytest.approx(1000.0 + net, abs=1e-7)


@given(step_lists(), st.data())
def test_going_on_from_a_checkpoint_gives_the_very_same(steps, data):
    cut = data.draw(st.integers(0, len(steps)))
    whole = run_stock(Stock(), START, steps)
    first = run_stock(Stock(), START, steps[:cut])
    rest = run_stock(Stock(), first.state, steps[cut:])
    assert first.estimates + rest.estimates == whole.estimates
    assert rest.state == whole.state


@given(step_lists(), st.randoms(use_true_random=False))
def test_the_order_in_which_anything_is_given_changes_no_bit(steps, random):
    def shuffled(items):
        items = list(items)
        random.shuffle(items)
        return tuple(items)

    mixed = [replace(s, movements=shuffled(s.movements), observations=shuffled(s.observations)) for s in steps]
    assert run_stock(Stock(), START, shuffled(mixed)) == run_stock(Stock(), START, steps)


@given(step_lists())
def test_an_accepted_observation_never_makes_the_stock_less_sure(steps):
    for step in steps:
        blank = replace(step, from_s=0.0, observations=())
        before = run_stock(Stock(), START, [blank]).estimates[0]
        after = run_stock(Stock(gate_sd=math.inf), START, [replace(blank, observations=step.observations)]).estimates[0]
        assert after.quantity.sd <= before.quantity.sd * (1 + 1e-9)


def test_flow_drift_is_linear_in_what_flowed_and_noise_is_not():
    hour = Movement("meter", Direction.IN, Uncertain(100.0, 2.0, 1.0))
    steps = [one_step(hour, from_s=i * 60.0, to_s=i * 60.0 + 60) for i in range(100)]
    quantity = run_stock(Stock(), StockState.known(0.0, "x", Uncertain(0.0)), steps).estimates[-1].quantity
    assert quantity.sd_systematic == pytest.approx(100.0)
    assert quantity.sd_random == pytest.approx(20.0)


def test_what_one_meter_let_in_and_out_again_leaves_no_drift():
    moved = Uncertain(100.0, 0.0, 1.0)
    step = one_step(Movement("m", Direction.IN, moved), Movement("m", Direction.OUT, moved))
    assert run_stock(Stock(), START, [step]).state.quantity.sd_systematic == pytest.approx(2.0)


def test_a_thousand_levels_of_one_sensor_keep_that_sensors_bias():
    steps = [one_step(seen=[level(500.0, 10.0, 4.0)], from_s=float(i), to_s=i + 1.0) for i in range(1000)]
    quantity = run_stock(Stock(), StockState(0.0), steps).state.quantity
    assert quantity.sd_random < 0.5
    assert quantity.sd_systematic == pytest.approx(4.0)


def test_a_level_wipes_out_the_drift_of_flows():
    steps = [
        one_step(Movement("m", Direction.IN, Uncertain(1000.0, 0.0, 50.0))),
        one_step(seen=[level(2010.0, 1.0, 0.0)], from_s=60.0, to_s=120.0),
    ]
    before, after = run_stock(Stock(), START, steps).estimates
    assert before.quantity.sd > 50
    assert after.quantity.sd < 1.1
    assert (before.origin, after.origin) == (Origin.ESTIMATED, Origin.MEASURED)
    assert after.quantity.value == pytest.approx(2010.0, abs=0.1)


def test_stated_deviations_cover_the_truth():
    """Seeded runs with biased, noisy flow and level: 90 % bands hold the true mass in 85-95 % of runs."""
    rng = np.random.default_rng(11)
    held, runs = 0, 300
    for _ in range(runs):
        flow_bias, level_bias, truth = rng.normal(0, 1.0), rng.normal(0, 20.0), 5000.0
        steps = []
        for i in range(60):
            truth += 100.0
            moved = Movement("flow", Direction.IN, Uncertain(100.0 + flow_bias + rng.normal(0, 3), 3.0, 1.0))
            seen = [level(truth + level_bias + rng.normal(0, 15), 15.0, 20.0)] if i % 20 == 5 else []
            steps.append(one_step(moved, seen=seen, from_s=i * 60.0, to_s=i * 60.0 + 60))
        quantity = run_stock(Stock(), StockState(0.0), steps).state.quantity
        held += abs(quantity.value - truth) <= 1.645 * quantity.sd
    assert 0.85 <= held / runs <= 0.95


def test_an_unbelievable_level_is_rejected_and_reported_until_it_insists():
    stock = Stock(rejections_allowed=2)
    steps = [one_step(seen=[level(9000.0)], from_s=i * 60.0, to_s=i * 60.0 + 60) for i in range(3)]
    first, second, third = run_stock(stock, START, steps).estimates
    assert [e.updates[0].verdict for e in (first, second, third)] == [Verdict.REJECTED] * 2 + [Verdict.REANCHORED]
    assert first.updates[0].innovation_kg == pytest.approx(8000.0)
    assert first.quantity.value == pytest.approx(1000.0)
    assert first.origin is Origin.ESTIMATED
    assert StockFlag.REJECTED in first.flags
    assert StockFlag.REANCHORED in third.flags
    assert third.quantity.value == pytest.approx(9000.0)


def test_a_stock_beyond_its_limits_is_flagged_and_not_clipped():
    stock = Stock(min_kg=0.0, max_kg=1200.0)
    full = run_stock(stock, START, [one_step(Movement("m", Direction.IN, Uncertain(300.0)))]).estimates[0]
    dry = run_stock(stock, START, [one_step(Movement("m", Direction.OUT, Uncertain(1500.0)))]).estimates[0]
    assert (full.quantity.value, dry.quantity.value) == (1300.0, -500.0)
    assert (full.flags, dry.flags) == (StockFlag.OVERFLOW, StockFlag.RUN_DRY)
    assert full.above_max > 0.99
    assert dry.below_min > 0.99


@given(step_lists())
def test_probabilities_stay_probabilities(steps):
    for estimate in run_stock(Stock(0.0, 2000.0), START, steps).estimates:
        assert 0.0 <= estimate.below_min <= 1.0
        assert 0.0 <= estimate.above_max <= 1.0


def test_an_unseen_flow_makes_the_stock_unknown_or_as_unsure_as_configured():
    unseen = one_step(Movement("m", Direction.OUT, None))
    unknown = run_stock(Stock(), START, [unseen]).estimates[0]
    unsure = run_stock(Stock(blind_sd_kg_s=2.0), START, [unseen]).estimates[0]
    assert (unknown.quantity, unknown.origin, unknown.flags) == (None, None, StockFlag.BLIND)
    assert unsure.quantity.sd > 120.0
    assert StockFlag.BLIND in unsure.flags


def test_an_unknown_stock_starts_at_its_first_count_and_says_it_is_manual():
    steps = [
        one_step(Movement("m", Direction.IN, Uncertain(5.0))),
        one_step(seen=[level(70, 7, 0, Origin.MANUAL)], from_s=60.0, to_s=120.0),
    ]
    before, after = run_stock(Stock(), StockState(0.0), steps).estimates
    assert before.quantity is None
    assert after.updates[0].verdict is Verdict.ANCHORED
    assert (after.quantity.value, after.origin) == (70.0, Origin.MANUAL)


def test_steps_with_a_hole_and_observations_without_doubt_are_refused():
    with pytest.raises(ModelError, match="end to end"):
        run_stock(Stock(), START, [one_step(from_s=60.0, to_s=120.0)])
    with pytest.raises(ModelError, match="no uncertainty"):
        run_stock(Stock(), START, [one_step(seen=[level(1.0, 0.0, 0.0)])])
    with pytest.raises(ModelError, match="min < max"):
        Stock(min_kg=5.0, max_kg=5.0)
