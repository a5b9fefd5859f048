"""A recorded portal, brought in as recorded scans: every read counts once, every tag has an answer."""

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
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server

SHARED = Path(os.environ.get("SIDESTREAM_SHARED", Path(__file__).parents[3] / "shared"))
READS = SHARED / "data" / "rfid-portal" / "reads.csv"


def apply_recording(dsn: str, path: Path, monkeypatch) -> None:
    if not path.is_file():
        pytest.skip(f"{path} is not here; set SIDESTREAM_SHARED to the folder that holds the recorded data")
    recording = recognise(path)
    for name, value in recording.env.items():
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
