"""Water and steam agree with the verification values printed in IAPWS R7-97(2012), tables 5, 15 and 36."""

from __future__ import annotations

import numpy as np
import pytest

from sidestream_twin.core import water
from sidestream_twin.core.errors import ModelError

# T in K, p in MPa, v in m3/kg, h in kJ/kg, cp in kJ/(kg K)
TABLE_5_LIQUID = [
    (300, 3, 0.100215168e-2, 0.115331273e3, 0.417301218e1),
    (300, 80, 0.971180894e-3, 0.184142828e3, 0.401008987e1),
    (500, 3, 0.120241800e-2, 0.975542239e3, 0.465580682e1),
]
TABLE_15_STEAM = [
    (300, 0.0035, 0.394913866e2, 0.254991145e4, 0.191300162e1),
    (700, 0.0035, 0.923015898e2, 0.333568375e4, 0.208141274e1),
    (700, 30, 0.542946619e-2, 0.263149474e4, 0.103505092e2),
]
TABLE_36_BOILING = [(0.1, 0.372755919e3), (1, 0.453035632e3), (10, 0.584149488e3)]


@pytest.mark.parametrize(("t_k", "p_mpa", "v", "h", "cp"), TABLE_5_LIQUID + TABLE_15_STEAM)
def test_single_phase_properties_are_those_of_the_release(t_k, p_mpa, v, h, cp):
    assert 1 / water.density_kg_m3(t_k, p_mpa * 1e6)[0] == pytest.approx(v, rel=2e-8)
    assert water.enthalpy_j_kg(t_k, p_mpa * 1e6)[0] == pytest.approx(h * 1e3, rel=2e-8)
    assert water.heat_capacity_j_kg_k(t_k, p_mpa * 1e6)[0] == pytest.approx(cp * 1e3, rel=2e-8)


@pytest.mark.parametrize(("t_k", "p_mpa", "v", "h", "cp"), TABLE_5_LIQUID)
def test_the_table_of_liquid_water_holds_the_release_to_one_in_a_million(t_k, p_mpa, v, h, cp):
    table = water.liquid_table(p_mpa * 1e6)
    assert 1 / table.density_kg_m3(t_k)[0] == pytest.approx(v, rel=1e-6)
    assert table.enthalpy_j_kg(t_k)[0] == pytest.approx(h * 1e3, rel=1e-6)
    assert table.heat_capacity_j_kg_k(t_k)[0] == pytest.approx(cp * 1e3, rel=1e-6)


@pytest.mark.parametrize("p_pa", [2e5, water.DEFAULT_PRESSURE_PA, 1.6e6])
def test_between_its_rows_the_table_is_within_one_in_a_million(p_pa):
    table = water.liquid_table(p_pa)
    t_k = table.t_k[:-2] + 0.05
    np.testing.assert_allclose(table.density_kg_m3(t_k), water.density_kg_m3(t_k, p_pa), rtol=1e-6)
    np.testing.assert_allclose(table.heat_capacity_j_kg_k(t_k), water.heat_capacity_j_kg_k(t_k, p_pa), rtol=1e-6)
    np.testing.assert_allclose(table.enthalpy_j_kg(t_k), water.enthalpy_j_kg(t_k, p_pa), rtol=1e-6, atol=0.01)


@pytest.mark.parametrize(("p_mpa", "t_k"), TABLE_36_BOILING)
def test_boiling_temperature_is_that_of_the_release(p_mpa, t_k):
    assert water.saturation_temperature_k(p_mpa * 1e6) == pytest.approx(t_k, rel=2e-9)


def test_steam_at_seven_bar_gives_off_its_known_heat_of_condensation():
    boiling, dry = water.saturated_enthalpies_j_kg(7e5)
    assert dry - boiling == pytest.approx(2065.8e3, rel=1e-3)


def test_where_there_is_no_liquid_water_the_table_says_nothing():
    read = water.liquid_table().density_kg_m3([260.0, 300.0, 500.0])
    assert np.isnan(read).tolist() == [True, False, True]


def test_celsius_given_for_kelvin_is_refused_with_the_way_out():
    with pytest.raises(ModelError, match="°C"):
        water.density_kg_m3([70.0, 35.0], 7e5)
    with pytest.raises(ModelError, match="absolute"):
        water.liquid_table(7.0)
