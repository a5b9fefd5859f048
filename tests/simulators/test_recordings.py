"""Recorded files are recognised by their header, and their hubs load with the environment that is told."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sidestream_contracts.edge import RecordedDriver, load_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.recordings import TAG_MAP, recognise

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
METER = (
    "customer_id,meter_id,time_rounded,energy_heat_kwh,volume_flow_m3,inlet_flow_energy_m3xC,back_flow_energy_m3xC\n"
)
READS = ",milliseconds,epc,rssi,session,experiment_nr\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_heat_meters_file_is_recognised_and_its_hub_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "any-name.csv", METER)
    found = recognise(path)
    assert found.name == "heat-meter"
    for name, value in found.env.items():
        monkeypatch.setenv(name, value)
    hub, edge = load_hub(found.hub_path), load_edge(found.edge_path)
    assert not hub.hub.synthetic
    assert hub.hub.step_s == 3600
    assert hub.streams[0].meter_position == "supply"
    (driver,) = edge.drivers
    assert isinstance(driver, RecordedDriver)
    assert driver.file == str(path)
    assert {column.column for column in driver.sensors} | {driver.time_column} <= set(METER.strip().split(","))
    roles = {sensor.id: sensor.role for sensor in hub.sensors}
    assert sorted(roles) == sorted(column.id for column in driver.sensors)
    assert set(roles.values()) == {"energy_register", "volume_register", "supply_register", "return_register"}


def test_the_meter_position_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDESTREAM_METER_POSITION", "return")
    found = recognise(write(tmp_path / "m.csv", METER))
    assert load_hub(found.hub_path).streams[0].meter_position == "return"


@pytest.mark.parametrize("where", ["beside", "given", "nowhere"])
def test_rfid_reads_find_their_tag_map_beside_them_or_where_told(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "reads.csv", READS)
    given = None
    if where == "beside":
        write(tmp_path / TAG_MAP, ",epc,panel\n0,271,1\n")
    if where == "given":
        given = write(tmp_path / "other.csv", ",epc,panel\n0,271,1\n")
    found = recognise(path, given)
    for name, value in found.env.items():
        monkeypatch.setenv(name, value)
    hub, edge = load_hub(found.hub_path), load_edge(found.edge_path)
    assert found.name == "rfid-portal"
    expected = {"beside": TAG_MAP, "given": "other.csv", "nowhere": "no_tags.csv"}[where]
    assert Path(hub.tags.file).name == expected
    with Path(hub.tags.file).open() as file:
        assert {hub.tags.code_column, hub.tags.place_column} <= set(next(csv.reader(file)))
    assert edge.drivers[0].scans.id == hub.sensors[0].id


def test_an_unknown_header_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "a,b\n")
    with pytest.raises(ConfigurationError, match=r"header \(a, b\).*heat-meter has.*rfid-portal has"):
        recognise(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_a_file_that_is_no_csv_is_refused_with_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.csv: "):
        recognise(path)


def test_tags_that_cannot_apply_or_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no tags"):
        recognise(write(tmp_path / "m.csv", METER), tmp_path / "tags.csv")
    with pytest.raises(ConfigurationError, match="no such map"):
        recognise(write(tmp_path / "r.csv", READS), tmp_path / "none.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded files are not beside this checkout (../shared/data)")
def test_the_recorded_files_are_recognised_and_every_mapped_panel_is_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recognise(SHARED / "heat-meter-dk" / "meter-660.csv").name == "heat-meter"
    found = recognise(SHARED / "rfid-portal" / "reads.csv")
    for name, value in found.env.items():
        monkeypatch.setenv(name, value)
    hub = load_hub(found.hub_path)
    with Path(hub.tags.file).open() as file:
        places = {hub.tags.place_prefix + row[hub.tags.place_column] for row in csv.DictReader(file)}
    assert places == {node.id for node in hub.nodes} - {"portal"}
    assert len(places) == 27
