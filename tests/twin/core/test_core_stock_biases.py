"""A stock's biases: learned as a batch least-squares fit over all of history would learn them, named when out of class."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.series import Series
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
from sidestream_twin.core.vessel import Vessel

CELLS, LEVEL, IN, OUT = "cells", "level", "belt_in", "belt_out"
START = Uncertain(1000.0, 30.0, 40.0)


def step(n, moved=(), seen=(), length=60.0):
    return StockStep(n * length, (n + 1) * length, tuple(moved), tuple(seen))


@st.composite
def histories(draw):
    """Steps with flows of two belts and sights of two instruments, masses and deviations of believable sizes."""
    amounts, spreads, effects = st.floats(0, 500), st.floats(0.1, 20), st.sampled_from([0.0, 0.5, 5.0, 30.0])
    moves = st.builds(
        Movement,
        st.sampled_from([IN, OUT]),
        st.sampled_from(Direction),
        st.builds(Uncertain, amounts, spreads, effects),
    )
    sights = st.builds(
        Observation, st.sampled_from([CELLS, LEVEL]), st.builds(Uncertain, st.floats(500, 1500), spreads, effects)
    )
    return [
        step(n, draw(st.lists(moves, max_size=3)), draw(st.lists(sights, max_size=2)))
        for n in range(draw(st.integers(1, 8)))
    ]


def batch(steps, lasting_s):
    """The same by one least-squares fit: every quantity is linear in independent unit normals ξ (information form).

    ξ holds the start's noise, each bias' prior, its drift in each step, and the noise of each movement.
    """
    effects = sorted(
        {START_SOURCE} | {s.source for t in steps for s in (*t.movements, *t.observations) if s.mass.sd_systematic}
    )
    size = 1 + len(effects) + sum(len(effects) + len(t.movements) for t in steps)
    used = iter(range(size))

    def unit(scale=1.0):
        row = np.zeros(size)
        row[next(used)] = scale
        return row

    mean, row = START.value, unit(START.sd_random)
    bias = {source: unit() for source in effects}
    row = row - START.sd_systematic * bias[START_SOURCE]  # true = seen - what it read high
    rows, weights, right = [], [], []
    for t in steps:
        keep = math.exp(-(t.to_s - t.from_s) / lasting_s)
        bias = {source: keep * part + unit(math.sqrt(1 - keep**2)) for source, part in bias.items()}
        for m in t.movements:
            effect = m.mass.sd_systematic
            mean += m.direction.sign * m.mass.value
            row = row + unit(m.mass.sd_random)
            if effect:
                row = row - m.direction.sign * effect * bias[m.source]
        for s in t.observations:
            effect = s.mass.sd_systematic
            rows.append(row + effect * bias[s.source] if effect else row)
            weights.append(s.mass.sd_random**-2)
            right.append(s.mass.value - mean)
    design, weight = np.array(rows).reshape(-1, size), np.diag(weights)
    covariance = np.linalg.inv(np.eye(size) + design.T @ weight @ design)
    fitted = covariance @ design.T @ weight @ np.array(right)
    found = {source: part @ fitted for source, part in bias.items()}
    return mean + row @ fitted, row @ covariance @ row, found


START_SOURCE = CELLS


@settings(deadline=None)
@given(histories(), st.sampled_from([math.inf, 600.0]))
def test_the_filter_finds_what_one_fit_of_all_of_history_finds(steps, lasting_s):
    stock = Stock(gate_sd=math.inf, bias_lasts_s=lasting_s)
    state = run_stock(stock, StockState.known(0.0, START_SOURCE, START), steps).state
    mass, variance, biases = batch(steps, lasting_s)
    assert state.mass_kg == pytest.approx(mass, rel=1e-8, abs=1e-6)
    assert state.covariance[0][0] == pytest.approx(variance, rel=1e-8, abs=1e-8)
    for source, bias in zip(state.sources, state.biases, strict=True):
        assert bias == pytest.approx(biases[source], rel=1e-8, abs=1e-8)


@given(histories())
def test_between_observations_the_mass_changes_by_what_the_corrected_meters_say(steps):
    """Conservation: value less its meter's believed bias, in less out, and nothing else."""
    state = StockState.known(0.0, START_SOURCE, START)
    for part in steps:
        blank = StockStep(part.from_s, part.to_s, part.movements)
        moved = run_stock(Stock(), state, [blank]).state
        bias = dict(zip(state.sources, state.biases, strict=True))
        net = math.fsum(
            m.direction.sign * (m.mass.value - m.mass.sd_systematic * bias.get(m.source, 0.0)) for m in part.movements
        )
        assert moved.mass_kg == pytest.approx(state.mass_kg + net, abs=1e-6)
        state = run_stock(Stock(), state, [part]).state


def runs_of(rng, count):
    """Seeded plants whose belts and instruments err as declared; the filter's last state with the truth."""
    for _ in range(count):
        bias = {name: rng.normal() for name in (CELLS, LEVEL, IN, OUT)}
        truth, steps = 5000.0, []
        for n in range(40):
            into, out = rng.uniform(50, 150), rng.uniform(50, 150)
            truth += into - out
            moved = [
                Movement(
                    IN, Direction.IN, Uncertain(into * (1 + 0.01 * bias[IN]) + rng.normal(0, 2), 2.0, 0.01 * into)
                ),
                Movement(
                    OUT, Direction.OUT, Uncertain(out * (1 + 0.01 * bias[OUT]) + rng.normal(0, 2), 2.0, 0.01 * out)
                ),
            ]
            seen = []
            if n % 3 == 0:
                seen.append(Observation(CELLS, Uncertain(truth + 40 * bias[CELLS] + rng.normal(0, 15), 15.0, 40.0)))
            if n % 4 == 1:
                seen.append(Observation(LEVEL, Uncertain(truth + 150 * bias[LEVEL] + rng.normal(0, 50), 50.0, 150.0)))
            steps.append(step(n, moved, seen))
        yield run_stock(Stock(), StockState(0.0), steps).state, truth, bias


def test_bands_of_mass_and_biases_hold_the_truth_and_errors_are_as_large_as_they_say():
    """90 % bands hold in 85-95 % of 250 seeded runs; the normalised squared error of all states averages to their number."""
    held, held_bias, nees, count = 0, 0, 0.0, 250
    for state, truth, bias in runs_of(np.random.default_rng(3), count):
        true = np.array([truth, *(bias[source] for source in state.sources)])
        error = np.array([state.mass_kg, *state.biases]) - true
        sd = np.sqrt(np.diag(np.array(state.covariance)))
        held += abs(error[0]) <= 1.645 * sd[0]
        held_bias += np.count_nonzero(np.abs(error[1:]) <= 1.645 * sd[1:])
        nees += error @ np.linalg.solve(np.array(state.covariance), error)
    assert 0.85 <= held / count <= 0.95
    assert 0.85 <= held_bias / (4 * count) <= 0.95
    assert nees / count == pytest.approx(5.0, abs=0.5)


def plant(level_error, n_steps=120, rng=None):
    """A stock that fills by 10 kg a step, weighed and looked at; ``level_error`` adds to the level, kg, by step."""
    rng = rng or np.random.default_rng(8)
    truth, steps = 3000.0, []
    for n in range(n_steps):
        truth += 10.0
        moved = [Movement(IN, Direction.IN, Uncertain(10.0 + rng.normal(0, 0.1), 0.1, 0.05))]
        seen = [
            Observation(CELLS, Uncertain(truth + rng.normal(0, 5), 5.0, 15.0)),
            Observation(LEVEL, Uncertain(truth + level_error(n, truth) + rng.normal(0, 10), 10.0, 60.0)),
        ]
        steps.append(step(n, moved, seen))
    return run_stock(Stock(), StockState(0.0), steps).estimates, truth


def test_a_level_further_off_than_its_class_is_named_and_hardly_moves_the_mass():
    estimates, truth = plant(lambda _n, _mass: 190.0)  # its class allows 60·√3 = 104 kg
    last = estimates[-1]
    assert last.suspects == (LEVEL,)
    assert StockFlag.BIASED in last.flags
    assert abs(last.quantity.value - truth) < 2 * last.quantity.sd
    healthy, _ = plant(lambda _n, _mass: 90.0)
    assert not any(estimate.suspects for estimate in healthy)


def test_a_level_that_sticks_is_rejected_as_soon_as_the_mass_has_moved_on():
    stuck = {}
    estimates, truth = plant(lambda n, mass: 0.0 if n < 40 else stuck.setdefault("at", mass) - mass)
    verdicts = [{u.source: u.verdict for u in estimate.updates} for estimate in estimates]
    first = next(n for n, found in enumerate(verdicts) if found[LEVEL] is Verdict.REJECTED)
    assert 40 <= first <= 48
    assert sum(found[LEVEL] is Verdict.REJECTED for found in verdicts[first:]) > 0.4 * len(verdicts[first:])
    assert estimates[-1].suspects == (LEVEL,)
    assert all(found[CELLS] is not Verdict.REJECTED for found in verdicts)
    assert estimates[-1].quantity.value == pytest.approx(truth, abs=3 * estimates[-1].quantity.sd)


def test_who_speaks_first_does_not_win_against_a_better_class():
    """A level anchors the stock 600 kg too high; load cells insist, and the level is the one that is named."""
    rng = np.random.default_rng(5)
    steps = [step(0, [], [Observation(LEVEL, Uncertain(5600.0, 10.0, 100.0))])]
    for n in range(1, 40):
        seen = [
            Observation(LEVEL, Uncertain(5600.0 + rng.normal(0, 10), 10.0, 100.0)),
            Observation(CELLS, Uncertain(5000.0 + rng.normal(0, 5), 5.0, 15.0)),
        ]
        steps.append(step(n, [], seen))
    estimates = run_stock(Stock(), StockState(0.0), steps).estimates
    assert Verdict.RELEARNED in {u.verdict for e in estimates for u in e.updates if u.source == CELLS}
    assert estimates[-1].suspects == (LEVEL,)
    assert estimates[-1].quantity.value == pytest.approx(5000.0, abs=40)


def test_a_load_that_nobody_metered_is_believed_when_both_instruments_see_it():
    steps = [
        step(n, [], [Observation(CELLS, Uncertain(5000.0 + 3000 * (n > 9), 5.0, 15.0)),
                     Observation(LEVEL, Uncertain(5050.0 + 3000 * (n > 9), 20.0, 60.0))])
        for n in range(20)
    ]  # fmt: skip
    last = run_stock(Stock(), StockState(0.0), steps).estimates[-1]
    assert (last.quantity.value, last.suspects) == (pytest.approx(8000.0, abs=30), ())


def test_a_gap_is_over_when_the_flow_is_seen_again_and_the_next_gap_hides_another_flow():
    unseen, seen = Movement(IN, Direction.IN, None), Movement(IN, Direction.IN, Uncertain(5.0, 0.1, 0.1))
    stock = Stock(blind_sd_kg_s=2.0)
    gap = [step(0, [unseen]), step(1, [unseen])]
    run = run_stock(stock, StockState.known(0.0, CELLS, START), gap)
    assert "unseen:belt_in" in run.state.sources
    assert run.state.quantity.sd_systematic > 200.0  # one flow, unknown throughout
    over = run_stock(stock, run.state, [step(2, [seen])]).state
    assert over.sources == (IN, CELLS)
    assert over.quantity.sd == pytest.approx(run.state.quantity.sd, rel=0.01)


def test_a_vessel_turns_levels_into_masses_and_carries_both_deviations_through():
    cone = Vessel((0.0, 1.0, 3.0), (0.0, 1.0, 7.0), 1500.0, 30.0)
    masses = cone.masses(Series.of([1.0, 2.0, 3.0], [0.5, 2.0, 4.0], 0.01, 0.02))
    assert masses.value.tolist() == pytest.approx([750.0, 6000.0, 15000.0])
    assert masses.sd_random.tolist() == pytest.approx([15.0, 45.0, 45.0])
    assert masses.sd_systematic[1] == pytest.approx(math.hypot(0.02 * 3.0 * 1500, 4.0 * 30))


@given(st.lists(st.floats(0.01, 5), min_size=2, max_size=6), st.lists(st.floats(0, 20), min_size=2, max_size=9))
def test_a_higher_level_is_never_less_mass(rises, levels):
    heights = tuple(float(x) for x in np.cumsum(rises))
    vessel = Vessel(heights, tuple(float(x) for x in np.cumsum(rises[::-1])), 1000.0)
    found = vessel.masses(Series.of(range(len(levels)), sorted(levels))).value.tolist()
    assert all(a <= b + 1e-9 for a, b in pairwise(found))


def test_a_vessel_that_can_not_be_is_refused():
    for heights, volumes, density in (
        ((0.0,), (0.0,), 1.0),
        ((0.0, 1.0), (0.0, 0.0), 1.0),
        ((0.0, 1.0), (0.0, 1.0), 0.0),
    ):
        with pytest.raises(ModelError, match="vessel"):
            Vessel(heights, volumes, density)
