"""Heat of a water stream: signs, positions, uncertainty, and agreement with a real meter's own register."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.heat.meter import (
    MeterPosition,
    WaterCircuit,
    check_position,
    energy_from_volume_j,
    heat_flow_w,
    heat_series,
)
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.rates import totals_from_rate
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import GapRules
from sidestream_twin.core.water import liquid_table

SUPPLY, RETURN = WaterCircuit(MeterPosition.SUPPLY), WaterCircuit(MeterPosition.RETURN)
SHARED = Path(os.environ.get("SIDESTREAM_SHARED", Path(__file__).parents[4] / "shared"))
kelvin = st.floats(275, 430)


@given(st.floats(0.0, 1.0), kelvin, kelvin)
def test_swapping_the_legs_turns_the_heat_round(flow, first, second):
    there = heat_flow_w(flow, first, second, SUPPLY)
    back = heat_flow_w(flow, second, first, RETURN)
    np.testing.assert_allclose(there, -back, atol=1e-6)


@given(st.floats(0.001, 1.0), kelvin, kelvin, kelvin)
def test_heat_over_two_receivers_in_a_row_adds_up(flow, first, second, third):
    """One volume meter in the common supply: what both took is what each took."""
    table = liquid_table()
    same_mass = flow * table.density_kg_m3(first) / table.density_kg_m3(second)
    by_parts = heat_flow_w(flow, first, second, SUPPLY) + heat_flow_w(same_mass, second, third, SUPPLY)
    np.testing.assert_allclose(heat_flow_w(flow, first, third, SUPPLY), by_parts, rtol=1e-9, atol=1e-3)


def test_seventy_to_thirty_five_degrees_carries_the_tabulated_heat():
    """Saturated-water steam tables: 994.03 kg/m3 at 35 °C, 977.76 at 70 °C, enthalpies 146.64 and 293.07 kJ/kg."""
    for circuit, density in ((RETURN, 994.03), (SUPPLY, 977.76)):
        energy = energy_from_volume_j(1.0, 343.15, 308.15, circuit)[0]
        assert energy == pytest.approx(density * (293.07e3 - 146.64e3), rel=1e-3)


def test_a_steady_stream_gives_its_power_and_energy_with_the_meters_uncertainty():
    at = np.arange(0, 3601, 60)
    flow = Series.of(at, np.full(at.shape, 0.01), 0.0, 0.0001)
    warm = Series.of(at, np.full(at.shape, 343.15), 0.3, 0.1)
    cold = Series.of(at, np.full(at.shape, 308.15), 0.3, 0.1)
    heat = heat_series(flow, warm, cold, RETURN, max_gap_s=180)
    expected = heat_flow_w(0.01, 343.15, 308.15, RETURN)[0]
    hour = totals_from_rate(heat, [0, 3600], GapRules(180)).mean_rates().rows()[0]
    assert hour.quantity.value == pytest.approx(expected)
    per_kelvin = expected / 35
    assert hour.quantity.sd_systematic == pytest.approx(
        np.hypot(0.01 * expected, 0.1 * np.sqrt(2) * per_kelvin), rel=5e-3
    )
    assert hour.quantity.sd_random == pytest.approx(0.3 * np.sqrt(2) * per_kelvin / np.sqrt(60), rel=2e-2)


def test_a_slow_thermometer_does_not_seem_surer_because_flow_is_read_often():
    """Monte Carlo: the stated random deviation of an hour covers the real scatter, and is at most a third too wide."""
    rng = np.random.default_rng(7)
    at, slow_at = np.arange(-60, 3661, 5.0), np.arange(-60, 3661, 60.0)
    flow = Series.of(at, np.full(at.shape, 0.01))
    cold = Series.of(slow_at, np.full(slow_at.shape, 308.15))
    found = []
    for _ in range(300):
        warm = Series.of(slow_at, 343.15 + rng.normal(0, 0.5, slow_at.size), 0.5)
        heat = heat_series(flow, warm, cold, RETURN, max_gap_s=180)
        hour = totals_from_rate(heat, [0, 3600], GapRules(180)).rows()[0].quantity
        found.append((hour.value, hour.sd_random))
    values, stated = np.array(found).T
    assert 0.9 < stated.mean() / values.std() < 1.34


def test_a_lost_thermometer_is_a_gap_in_the_heat():
    at = np.arange(0, 601, 10)
    flow, cold = Series.of(at, np.full(at.shape, 0.01)), Series.of(at, np.full(at.shape, 308.0))
    warm_at = at[(at <= 200) | (at >= 500)]
    heat = heat_series(flow, Series.of(warm_at, np.full(warm_at.shape, 343.0)), cold, SUPPLY, max_gap_s=60)
    assert heat.dropped == 29
    row = totals_from_rate(heat, [0, 600], GapRules(60)).rows()[0]
    assert row.completeness == pytest.approx(0.5)
    assert row.origin is Origin.ESTIMATED


def test_heat_from_an_estimated_temperature_is_estimated():
    at = [0, 10, 20]
    flow, cold = Series.of(at, [1, 1, 1]), Series.of(at, [300, 300, 300])
    warm = Series.of(at, [340, 340, 340], origin=Origin.ESTIMATED)
    assert heat_series(flow, warm, cold, SUPPLY, 60).origin is Origin.ESTIMATED


def test_no_readings_give_no_heat():
    nothing = Series.of([], [])
    assert len(heat_series(nothing, nothing, nothing, SUPPLY, 60)) == 0


def test_a_real_heat_meter_agrees_with_its_own_register_in_the_right_position_only():
    """Danish district-heating meter 660 (Schaffer et al. 2022): the volume meter sits in the supply (inlet) leg."""
    path = SHARED / "data" / "heat-meter-dk" / "meter-660.csv"
    if not path.exists():
        pytest.skip(f"the third-party record {path} is not here; set SIDESTREAM_SHARED to the folder that has data/")
    with path.open(newline="") as file:
        columns = np.array([[float(cell) for cell in row[3:]] for row in list(csv.reader(file))[1:]]).T
    energy_kwh, volume, inlet, back = np.diff(columns)
    flowing = volume > 0
    supply_k, return_k = (register[flowing] / volume[flowing] + 273.15 for register in (inlet, back))
    register_j = energy_kwh.sum() * 3.6e6
    check = check_position(volume[flowing], supply_k, return_k, register_j=register_j)
    errors = {position.value: check.relative_error(position) for position in MeterPosition}
    print(f"computed / register - 1: {errors}, records {flowing.sum()}, left out {check.dropped}")
    assert check.likely is MeterPosition.SUPPLY
    assert abs(errors["supply"]) < 0.01
    assert 0.01 < errors["return"] < 0.025
