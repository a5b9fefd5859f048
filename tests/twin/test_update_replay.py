"""Recorded files of real plants, brought in as recorded readings: figures agree with what the plants' own meters say."""

from __future__ import annotations

import csv
import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.recordings import recognise
from sidestream_store.hub_apply import apply_hub
from sidestream_twin.update import Limits, update_until_clean

pytestmark = pytest.mark.server

SHARED = Path(os.environ.get("SIDESTREAM_SHARED", Path(__file__).parents[3] / "shared"))
METER = SHARED / "data" / "heat-meter-dk" / "meter-660.csv"
READS = SHARED / "data" / "rfid-portal" / "reads.csv"
REGISTERS = {
    "energy": "energy_heat_kwh",
    "volume": "volume_flow_m3",
    "supply-register": "inlet_flow_energy_m3xC",
    "return-register": "back_flow_energy_m3xC",
}


def apply_recording(dsn: str, path: Path, monkeypatch, **settings: str) -> None:
    if not path.is_file():
        pytest.skip(f"{path} is not here; set SIDESTREAM_SHARED to the folder that holds the recorded data")
    recording = recognise(path)
    for name, value in {**recording.env, **settings}.items():
        monkeypatch.setenv(name, value)
    apply_hub(dsn, load_hub(recording.hub_path), recording.hub_path.parent)


def copy_in(connection: psycopg.Connection, table: str, rows) -> None:
    """Rows of a recorded file with the dirty ranges that its frames of a thousand would bring."""
    ids = dict(connection.execute("SELECT id, sensor_id FROM sidestream.sensor").fetchall())
    with connection.transaction(), connection.cursor() as cursor:
        with cursor.copy(f"COPY sidestream.{table} FROM STDIN") as copy:
            for time, sensor, *rest in rows:
                copy.write_row((time, ids[sensor], *rest, 1))
        cursor.execute(
            "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) SELECT sensor_id, min(time), max(time) FROM"
            f" (SELECT sensor_id, time, row_number() OVER (ORDER BY time) / 1000 AS frame FROM sidestream.{table}) x"
            " GROUP BY sensor_id, frame"
        )


def heat_totals_mwh(connection: psycopg.Connection) -> dict[str, float]:
    rows = connection.execute("SELECT quantity, sum(value * step_s) / 3.6e9 FROM sidestream.twin_value GROUP BY 1")
    return dict(rows.fetchall())


@pytest.mark.parametrize(("position", "low", "high"), [("supply", 0.99, 1.01), ("return", 1.01, 1.03)])
def test_energy_from_volume_and_temperatures_agrees_with_the_meters_own_register(
    database, connect, monkeypatch, position, low, high
):
    """Within 1 % with the volume part in the right leg; the wrong leg shows as 1.7 % too much."""
    apply_recording(database, METER, monkeypatch, SIDESTREAM_METER_POSITION=position)
    connection = connect()
    with METER.open(encoding="utf-8", newline="") as file:
        copy_in(connection, "reading_recorded", (
            (row["time_rounded"], sensor, float(row[column]), 0)
            for row in csv.DictReader(file) for sensor, column in REGISTERS.items()
        ))  # fmt: skip
    report = update_until_clean(database, limits=Limits(readings=20_000))
    assert report.passes > 2
    totals = heat_totals_mwh(connection)
    assert low < totals["heat_flow"] / totals["register_heat_flow"] < high
    assert totals["register_heat_flow"] == pytest.approx(27.71, rel=0.001)


def test_every_recorded_read_is_counted_once_and_each_tag_answers_its_place_or_unknown(database, connect, monkeypatch):
    apply_recording(database, READS, monkeypatch)
    connection = connect()
    with READS.open(encoding="utf-8", newline="") as file:
        rows = [
            (
                datetime.fromtimestamp(int(r["milliseconds"]) / 1000, UTC),
                "portal-reads",
                r["epc"],
                float(r["rssi"]),
                0,
                True,
            )
            for r in csv.DictReader(file)
        ]
    copy_in(connection, "scan", rows)
    update_until_clean(database)
    found = connection.execute(
        "SELECT sum(scans)::int, count(*), count(place), count(*) - count(place) FROM sidestream_v.lot"
    )
    assert found.fetchone() == (36_475, 1_241, 915, 326)
