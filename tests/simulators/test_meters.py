"""Meters err as `hub.yaml` declares: systematic within the class limit and constant, random normal and fresh."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import Accuracy, HubFile, Sensor, Stream
from sidestream_simulators.meters import ErrorModel, Meter, Meters
from sidestream_simulators.physics import Snapshot, plant_for
from sidestream_simulators.water import Water


def belt(accuracy: Accuracy, name: str = "belt") -> Sensor:
    return Sensor(
        id=name, device="gw", name="", quantity="mass_flow", unit="t/h", role="mass_flow", stream="s", accuracy=accuracy
    )


def test_systematic_errors_of_many_meters_are_uniform_within_the_class_limit() -> None:
    """sd = limit/√3 over meters; with 4 000 meters the estimate is within 5 % but for one run in a million."""
    accuracy = Accuracy(limit_pct=2.0)
    errors = [Meter(belt(accuracy), None, seed).errors.systematic(100.0) for seed in range(4000)]
    assert max(map(abs, errors)) <= 2.0
    assert statistics.stdev(errors) == pytest.approx(2.0 / math.sqrt(3), rel=0.05)
    assert statistics.fmean(errors) == pytest.approx(0.0, abs=0.1)


def test_random_errors_of_one_meter_have_the_declared_sd_around_its_own_systematic_error() -> None:
    meter = Meter(belt(Accuracy(limit_pct=1.0, random_pct=0.3, random_abs=0.4)), None, seed=11)
    meter.advance(Snapshot(mass_flow_kg_s={"s": 100.0 / 3.6}), 0.1)
    readings = [meter.read() for _ in range(4000)]
    expected_sd = math.hypot(0.3, 0.4)
    assert statistics.stdev(readings) == pytest.approx(expected_sd, rel=0.06)
    offset = statistics.fmean(readings) - 100.0
    assert offset == pytest.approx(meter.errors.systematic(100.0), abs=5 * expected_sd / math.sqrt(4000))


@given(share=st.floats(-1, 1), value=st.floats(-1e6, 1e6), pct=st.floats(0, 10), absolute=st.floats(0, 10))
def test_percent_and_absolute_parts_of_a_limit_add(share: float, value: float, pct: float, absolute: float) -> None:
    error = ErrorModel(Accuracy(limit_pct=pct, limit_abs=absolute), share).systematic(value)
    assert abs(error) <= (pct / 100 * abs(value) + absolute) * (1 + 1e-9)


def test_a_meter_without_declared_error_reads_the_truth_in_its_unit() -> None:
    meter = Meter(belt(Accuracy()), None, seed=1)
    meter.advance(Snapshot(mass_flow_kg_s={"s": 10.0}), 0.1)
    assert meter.read() == pytest.approx(36.0)


@pytest.mark.parametrize(("position", "density_at_k"), [("supply", 380.0), ("return", 320.0)])
def test_a_flow_meter_sees_the_density_of_the_leg_it_sits_in(position: str, density_at_k: float) -> None:
    stream = Stream.model_validate(
        {
            "id": "s",
            "name": "",
            "source": "a",
            "target": "b",
            "material": "w",
            "lifecycle": [{"state": "live", "since": "2025-01-01"}],
            "meter_position": position,
        }
    )
    sensor = Sensor(
        id="flow", device="gw", name="", quantity="volume_flow", unit="m3/h", role="volume_flow", stream="s"
    )
    water = Water()
    meter = Meter(sensor, stream, seed=1)
    meter.advance(Snapshot(water={"s": water.circuit(5.0, 380.0, 320.0)}), 0.1)
    assert meter.read() == pytest.approx(5.0 / water.density_kg_m3(density_at_k) * 3600)


@pytest.mark.parametrize(
    ("role", "quantity", "unit", "grown"),
    [
        ("energy_register", "energy", "kW.h", lambda c: c.heat_w * 600 / 3.6e6),
        ("volume_register", "volume", "m3", lambda c: 600 * c.volume_flow_m3_s("supply")),
        (
            "supply_register",
            "volume_temperature",
            "m3.K",
            lambda c: 600 * c.volume_flow_m3_s("supply") * (c.supply_k - 273.15),
        ),
        (
            "return_register",
            "volume_temperature",
            "m3.K",
            lambda c: 600 * c.volume_flow_m3_s("supply") * (c.return_k - 273.15),
        ),
    ],
)
def test_a_register_integrates_what_its_meter_believes_and_never_runs_backwards(role, quantity, unit, grown) -> None:
    sensor = Sensor(
        id="reg",
        device="gw",
        name="",
        quantity=quantity,
        unit=unit,
        role=role,
        stream="s",
        accuracy=Accuracy(limit_pct=3),
    )
    meter = Meter(sensor, None, seed=4, register_si=0.0)
    circuit = Water().circuit(5.0, 360.0, 320.0)
    shown = [meter.read()]
    for _ in range(600):
        meter.advance(Snapshot(water={"s": circuit}), 1.0)
        shown.append(meter.read())
    assert shown == sorted(shown)
    assert shown[-1] == pytest.approx(grown(circuit) * (1 + 0.03 * meter.errors.share), rel=1e-9)


def test_the_same_seed_gives_the_same_readings_and_another_seed_others(kvinesdal: HubFile) -> None:
    wanted = [sensor.id for sensor in kvinesdal.sensors if sensor.role != "scan"]

    def readings(seed: int) -> dict[str, float]:
        meters = Meters(kvinesdal, wanted, seed, {})
        meters.advance(plant_for(kvinesdal, seed).step(1.8e9, 0.1), 0.1)
        return meters.read()

    assert readings(1) == readings(1)
    assert readings(1) != readings(2)


def test_readings_of_the_demo_hub_are_plausible_by_its_own_ranges(kvinesdal: HubFile) -> None:
    wanted = [sensor for sensor in kvinesdal.sensors if sensor.role != "scan"]
    meters = Meters(kvinesdal, [sensor.id for sensor in wanted], 9, {})
    plant = plant_for(kvinesdal, 9)
    for n in range(600):
        meters.advance(plant.step(1.8e9 + n, 1.0), 1.0)
        shown = meters.read()
        for sensor in wanted:
            low, high = sensor.range
            assert low <= shown[sensor.id] <= high, sensor.id


def test_a_sensor_that_the_plant_knows_nothing_of_is_refused_by_name(kvinesdal: HubFile) -> None:
    meter = Meter(belt(Accuracy(), "lost"), None, seed=1)
    with pytest.raises(ConfigurationError, match="'lost'"):
        meter.advance(Snapshot(), 0.1)
    with pytest.raises(ConfigurationError, match="'nobody'"):
        Meters(kvinesdal, ["nobody"], 1, {})
