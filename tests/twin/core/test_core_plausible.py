"""Doubts about values: found at a stated power, raised in vain at a stated rate, the same in whatever window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.hub import Sensor
from sidestream_contracts.metering import ONCE_IN_S, stuck_after_s
from sidestream_twin.core.plausible import ValueRules, doubts

SD = 0.05
FLOOR = np.array([6 * SD])
SEED = 20261122


def test_a_spike_of_40_deviations_is_found_99_times_in_100_and_honest_noise_is_called_one_never():
    """Half a million readings of white noise as declared, about a temperature that wanders and steps."""
    rng = np.random.default_rng(SEED)
    n = 500_000
    at_s = np.arange(n, dtype=np.float64)
    true = 60 + 5 * np.sin(at_s / 500) + np.where(at_s % 5000 > 2500, 10.0, 0.0)
    value = true + rng.normal(0, SD, n)
    rules = ValueRules(5.0, spike_floor=FLOOR)
    assert not doubts(at_s, value, rules).spike.any()
    places = np.arange(137, n - 100, 100)  # away from the steps
    spiked = value.copy()
    spiked[places] += 40 * SD * rng.choice([-1, 1], places.size)
    found = doubts(at_s, spiked, rules).spike
    assert found[places].mean() > 0.99
    assert found.sum() == found[places].sum()


def test_a_step_is_no_spike_however_high_and_a_lone_edge_is_not_judged():
    value = np.array([0.0] * 6 + [100.0] * 6)
    rules = ValueRules(5.0, spike_floor=FLOOR)
    for n in range(2, value.size + 1):
        assert not doubts(np.arange(n, dtype=float), value[:n], rules).spike.any()


def test_values_out_of_range_and_fast_changes_are_told_apart():
    value = np.array([1.0, 1.1, 50.0, 1.2, 1.3, 4.0, 4.1, 4.2])
    found = doubts(np.arange(8.0), value, ValueRules(3.0, low=0.0, high=10.0, max_change_per_s=1.0, resolution=0.1))
    assert np.flatnonzero(found.range).tolist() == [2]
    assert np.flatnonzero(found.rate).tolist() == [5]
    assert not found.spike.any()


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([0.0, 0.1, 9.0])), min_size=1, max_size=40), st.data())
def test_a_doubt_rests_on_nothing_further_away_than_the_reach(rows, data):
    at_s = np.cumsum([float(gap) for gap, _ in rows])
    value = np.array([shown for _, shown in rows])
    rules = ValueRules(4.0, high=10.0, spike_floor=FLOOR, max_change_per_s=1.0)
    whole = doubts(at_s, value, rules)
    middle = data.draw(st.integers(0, len(rows) - 1))
    near = np.abs(at_s - at_s[middle]) <= 8.0
    part, place = doubts(at_s[near], value[near], rules), int(near[:middle].sum())
    assert part.spike[place] == whole.spike[middle]


def sensor(**changes) -> Sensor:
    plain = {
        "id": "t",
        "device": "gw",
        "name": "T",
        "quantity": "temperature",
        "unit": "Cel",
        "stream": "s",
        "period_s": 1,
    }
    return Sensor.model_validate({**plain, **changes})


def test_how_long_a_sensor_may_stand_still_follows_from_its_noise_and_resolution():
    noisy = sensor(resolution=0.1, accuracy={"random_abs": 0.05})
    run_s = stuck_after_s(noisy)
    assert run_s is not None
    assert 40 < run_s < 70
    assert stuck_after_s(sensor(resolution=1.0, accuracy={"random_abs": 0.01})) is None, "it may well never move"
    assert stuck_after_s(sensor(accuracy={"random_abs": 0.05})) is None
    assert stuck_after_s(sensor(checks={"stuck_s": 600})) == 600
    assert stuck_after_s(sensor(resolution=0.1, accuracy={"random_abs": 0.05}, checks={"stuck_s": 0})) is None


@pytest.mark.parametrize("centre", [0.0, 0.02, 0.05])
def test_a_healthy_sensor_is_called_stuck_no_oftener_than_said(centre: float):
    """The chance of a run falls by a factor with each reading; the factor is measured, and held against the one assumed."""
    rng = np.random.default_rng(SEED)
    shown = np.round(rng.normal(centre, 0.05, 2_000_000) / 0.1)
    same = shown[1:] == shown[:-1]
    runs = np.diff(np.flatnonzero(~np.concatenate([[False], same, [False]])))
    run_s = stuck_after_s(sensor(resolution=0.1, accuracy={"random_abs": 0.05}))
    assert run_s is not None
    assumed = (1.0 / ONCE_IN_S) ** (1.0 / run_s)
    for length in (5, 10, 15):
        assert (runs > length).mean() <= 1.5 * assumed**length
    assert runs.max() < run_s
