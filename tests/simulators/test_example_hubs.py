"""The example hubs are well-formed, say that they are synthetic, and agree with their edge files."""

from __future__ import annotations

import pytest

from sidestream_contracts.edge import ScannerDriver, load_edge, sensor_ids
from sidestream_contracts.edge_modbus import ModbusDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.hubs import EXAMPLES, example_hub
from sidestream_simulators.physics import plant_for
from sidestream_simulators.water import PRESSURE_PA


@pytest.mark.parametrize("hub_id", EXAMPLES)
def test_an_example_hub_loads_and_says_that_it_is_synthetic(hub_id: str) -> None:
    hub = load_hub(example_hub(hub_id).hub_path)
    assert hub.hub.id == hub_id
    assert hub.hub.synthetic
    assert "synthetic" in hub.hub.name


@pytest.mark.parametrize("hub_id", EXAMPLES)
def test_the_edge_file_reads_exactly_the_hubs_sensors_in_the_hubs_units(hub_id: str) -> None:
    example = example_hub(hub_id)
    hub, edge = load_hub(example.hub_path), load_edge(example.edge_path)
    device = next(device for device in hub.devices if device.id == edge.device)
    assert (edge.hub, edge.party) == (hub.hub.id, device.party)
    assert sorted(s.id for s in hub.sensors) == sorted(name for d in edge.drivers for name in sensor_ids(d))
    registers = {r.id: r for d in edge.drivers if isinstance(d, ModbusDriver) for r in d.sensors}
    for sensor in hub.sensors:
        assert sensor.device == edge.device
        if sensor.role != "scan":
            assert (registers[sensor.id].unit, registers[sensor.id].quantity) == (sensor.unit, sensor.quantity)


def test_the_demo_hub_is_polled_at_more_than_200_readings_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDESTREAM_POLL_S", raising=False)
    edge = load_edge(example_hub().edge_path)
    assert sum(len(d.sensors) / d.period_s for d in edge.drivers if isinstance(d, ModbusDriver)) >= 240


def test_every_address_of_the_demo_hub_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "SIDESTREAM_BROKER_HOST": "broker",
        "SIDESTREAM_BROKER_PORT": "8883",
        "SIDESTREAM_OUTBOX": "/data/outbox.sqlite",
        "SIDESTREAM_JOURNAL": "true",
        "SIDESTREAM_SIM_HOST": "simulator",
        "SIDESTREAM_SIM_MODBUS_PORT": "502",
        "SIDESTREAM_POLL_S": "5",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    edge = load_edge(example_hub().edge_path)
    assert (edge.broker.host, edge.broker.port) == ("broker", 8883)
    assert (edge.outbox.path, edge.outbox.journal) == ("/data/outbox.sqlite", True)
    modbus = [d for d in edge.drivers if isinstance(d, ModbusDriver)]
    assert {(d.host, d.port, d.period_s) for d in modbus} == {("simulator", 502, 5.0)}
    assert all(d.source.startswith("tcp://simulator:") for d in edge.drivers if isinstance(d, ScannerDriver))


@pytest.mark.parametrize("hub_id", EXAMPLES)
def test_the_plant_knows_exactly_the_streams_that_are_live(hub_id: str) -> None:
    """What is an idea or being built has no truth and no sensor, so nothing can show it as running."""
    hub = load_hub(example_hub(hub_id).hub_path)
    now = plant_for(hub, seed=1).step(1.8e9, 0.1)
    live = {stream.id for stream in hub.streams if stream.lifecycle[-1].state == "live"}
    assert {*now.water, *now.power_w, *now.mass_flow_kg_s} == live
    assert {sensor.stream for sensor in hub.sensors if sensor.stream} <= live
    assert {stream.pressure_kpa * 1000 for stream in hub.streams if stream.id in now.water} == {PRESSURE_PA}


def test_the_demo_hub_has_an_idea_and_something_being_built() -> None:
    hub = load_hub(example_hub().hub_path)
    assert {"idea", "building", "live"} <= {stream.lifecycle[-1].state for stream in hub.streams}


def test_an_unknown_example_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'kvinesdal-like'"):
        example_hub("kvinesdal")
