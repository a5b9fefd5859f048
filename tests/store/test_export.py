"""What is exported is what the database has: nulls, times, floats bit for bit, units, and what is not to be trusted."""

from __future__ import annotations

import csv
import json
import math
import signal
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_files import TEST_HUB, test_hub
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_store.export.formats import ROW_GROUP, written
from sidestream_store.export.run import Asked, export
from sidestream_store.export.sensors import MARKS, Meter, Meters
from sidestream_store.export.tables import READINGS, SCANS, rollups, twin
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range
from sidestream_store.read.hub import Sensor

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
STOP = START + timedelta(days=3)
ODD = [0.1 + 0.2, 1e30, -0.0, 5e-324, 1.7976931348623157e308, 400.0, 501.0, math.pi]


@pytest.fixture
def filled(database, connect, tmp_path):
    """Three days of odd floats, nulls and doubts of `flow`; kelvin-ish `tin`; codes that a spreadsheet would run."""
    accurate = {"limit_pct": 2, "random_abs": 0.1}
    sensors = [{**s, "accuracy": accurate} if s["id"] in ("flow", "silo_mass") else s for s in TEST_HUB["sensors"]]
    apply_hub(database, test_hub(sensors=sensors), tmp_path)
    connection = connect()
    ensure_range(connection, START, STOP)
    ids = dict(connection.execute("SELECT id, sensor_id FROM sidestream.sensor").fetchall())
    rows = [(START + timedelta(hours=7 * n, microseconds=n), ids["flow"], ODD[n % 8], n % 3, n) for n in range(10)]
    rows += [(START + timedelta(minutes=n), ids["tin"], None if n % 2 else 60 + n / 7, 0, 20 + n) for n in range(6)]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO sidestream.reading VALUES (%s, %s, %s, %s, %s)", rows)
        cursor.executemany(
            "INSERT INTO sidestream.scan VALUES (%s, %s, %s, %s, 0, false, 1)",
            [(START, ids["gate"], code, rssi) for code, rssi in (("=1+1", -61.5), ('a,"b"\nc', None), ("", 0.5))],
        )
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY[%s, %s], %s, %s)", [ids["tin"], ids["silo_mass"], START, STOP]
    )
    connection.execute(
        "INSERT INTO sidestream.twin_value (subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,"
        " origin, completeness, n, inputs, flags, computed_at) VALUES ('stream', 'heat', 'heat_flow', %s, 10, 0.3, 3, 4,"
        """ 'measured', 1, 5, '{"sensors": ["flow"]}', '["late"]', now()),"""
        """ ('node', 'silo', 'stock_mass', %s, 10, NULL, NULL, NULL, 'estimated', 0, 0, '{}', '[]', now())""",
        [START, START],
    )
    return connection


def bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("<d", value)


def taken(database: str, path: Path, asked: Asked, **more: Any) -> pa.Table:
    export(database, asked, path, "parquet", **more)
    return pq.read_table(path)


def test_readings_are_as_the_database_has_them_bit_for_bit(filled, database, tmp_path):
    table = taken(database, tmp_path / "r.parquet", Asked(READINGS, START, STOP))
    expected = filled.execute(
        "SELECT time, sensor, value, unit, quality FROM sidestream_v.reading ORDER BY sensor, time"
    ).fetchall()
    found = sorted(table.to_pylist(), key=lambda row: (row["sensor"], row["time"]))
    assert len(expected) == 16
    assert [(r["time"], r["sensor"], bits(r["value"]), r["unit"]) for r in found] == [
        (time, sensor, bits(value), unit) for time, sensor, value, unit, _ in expected
    ]
    assert [r["quality"] for r in found] == [("good", "uncertain", "bad")[row[4]] for row in expected]
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    marks = {r["mark"] for r in found if r["sensor"] == "flow"}
    assert marks == {"good", "uncertain", "bad", "out_of_range"}
    assert {r["mark"] for r in found if r["value"] is None} == {"bad"}
    assert {r["sd"] is None for r in found if r["sensor"] == "tin"} == {True}, (
        "no declared accuracy is not accuracy zero"
    )
    assert {r["origin"] for r in found} == {"measured"}


def test_a_file_says_unit_hub_query_and_that_it_is_synthetic(filled, database, tmp_path):
    one = pq.read_schema(_written(database, tmp_path / "1.parquet", Asked(READINGS, START, STOP, ("flow",))))
    assert one.field("value").metadata[b"unit"] == b"m3/h"
    said = json.loads(one.metadata[b"sidestream"])
    assert (said["hub"], said["synthetic"], said["query"]["only"], said["times"]) == ("h", True, ["flow"], "UTC")
    assert said["made_at"] > "2026"
    several = pq.read_schema(_written(database, tmp_path / "2.parquet", Asked(READINGS, START, STOP)))
    assert several.field("value").metadata[b"unit"] == b"see column unit"
    assert all(field.metadata[b"about"] for field in several)


def _written(database: str, path: Path, asked: Asked) -> Path:
    export(database, asked, path, "parquet")
    return path


def test_a_subject_that_is_not_there_is_refused_with_the_nearest(filled, database, tmp_path):
    with pytest.raises(DomainError, match="no stream or node 'slio'; did you mean 'silo'"):
        export(database, Asked(twin(as_known=False), START, STOP, ("slio",)), tmp_path / "t.csv", "csv")
    assert list(tmp_path.glob("t.csv*")) == []
    assert taken(database, tmp_path / "t.parquet", Asked(twin(as_known=False), START, STOP, ("silo",))).num_rows == 1


def test_in_si_every_sensor_has_si_units_and_its_spread_follows(filled, database, tmp_path):
    own = taken(database, tmp_path / "own.parquet", Asked(READINGS, START, STOP, ("flow", "tin"))).to_pylist()
    si = taken(database, tmp_path / "si.parquet", Asked(READINGS, START, STOP, ("flow", "tin"), si=True)).to_pylist()
    assert {(r["sensor"], r["unit"]) for r in si} == {("flow", "m3/s"), ("tin", "K")}
    for before, after in zip(own, si, strict=True):
        if before["value"] is None:
            assert after["value"] is None
        elif before["sensor"] == "tin":
            assert after["value"] == pytest.approx(before["value"] + 273.15)
        elif abs(before["value"]) > 1e-300:
            assert after["sd"] / after["value"] == pytest.approx(before["sd"] / before["value"])


def test_csv_says_the_same_as_parquet_and_disarms_what_a_spreadsheet_would_run(filled, database, tmp_path):
    for source in (READINGS, SCANS, rollups("1m", as_known=False), twin(as_known=False)):
        asked = Asked(source, START, STOP)
        table = taken(database, tmp_path / f"{source.name}.parquet", asked)
        export(database, asked, tmp_path / f"{source.name}.csv", "csv")
        with (tmp_path / f"{source.name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == table.num_rows > 0
        for text, row in zip(rows, table.to_pylist(), strict=True):
            assert {name: _told(value) for name, value in row.items()} == {
                name: float(value) if isinstance(row[name], float) and value else value for name, value in text.items()
            }
        if source is SCANS:
            assert [row["code"] for row in rows] == ["", "'=1+1", 'a,"b"\nc']


def _told(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case str():
            return f"'{value}" if value.startswith("=") else value
        case int():
            return str(value)
    return value


def test_figures_as_known_before_they_were_known_are_none(filled, database, tmp_path):
    for source in (rollups("1h", as_known=True), twin(as_known=True)):
        early = Asked(source, START, STOP, as_known_on=datetime(2020, 1, 1, tzinfo=UTC))
        late = Asked(source, START, STOP, as_known_on=datetime.now(UTC) + timedelta(days=30))
        assert taken(database, tmp_path / "e.parquet", early, force=True).num_rows == 0
        assert taken(database, tmp_path / "l.parquet", late, force=True).num_rows > 0


def test_an_unknown_sensor_gets_the_nearest_and_a_file_that_is_there_stays(filled, database, tmp_path):
    out = tmp_path / "x.csv"
    with pytest.raises(DomainError, match="'flow'"):
        export(database, Asked(READINGS, START, STOP, ("flw",)), out, "csv")
    with pytest.raises(DomainError, match="'gate'"):
        export(database, Asked(READINGS, START, STOP, ("gate",)), out, "csv")
    assert not out.exists()
    out.write_text("mine")
    with pytest.raises(ConfigurationError, match="--force"):
        export(database, Asked(READINGS, START, STOP), out, "csv")
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir() if "x.csv" in path.name] == ["x.csv"]


def test_the_command_tells_what_it_wrote_and_ends_cleanly_when_told_to(filled, database, tmp_path):
    command = [sys.executable, "-m", "sidestream_app", "export", "readings", "--dsn", database]
    times = ["--from", "2026-11-20T11:00:00+01:00", "--to", "2026-11-23T10:00:00Z"]
    out = tmp_path / "r.parquet"
    done = subprocess.run([*command, *times, "--out", out, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["rows"], told["bytes"], told["synthetic"]) == (16, out.stat().st_size, True)
    filled.execute("BEGIN")
    filled.execute("LOCK TABLE sidestream.sensor")
    with subprocess.Popen([*command, *times, "--out", tmp_path / "s.csv"], stderr=subprocess.PIPE) as waiting:
        while not [path for path in tmp_path.iterdir() if path.suffix == ".part"]:
            assert waiting.poll() is None
            time.sleep(0.02)
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(20) == 130
    filled.execute("ROLLBACK")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.parquet"]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)


@given(st.lists(st.tuples(NUMBERS | st.none(), st.sampled_from([0, 1, 2]), st.sampled_from([1, 2])), max_size=30))
def test_spread_and_mark_are_those_of_the_read_api(rows):
    common = ("gw", "a", "F", "volume_flow", "m3/h", "other", None, None)
    accuracy, span = (2.0, 0.5, 1.0, 0.1), (0.0, 500.0)
    read = {
        1: Sensor(1, "flow", *common, *accuracy, *span, 1.0),
        2: Sensor(2, "sum", *common[:3], "energy", *common[4:], 0.0, 0.0, 0.0, 0.0, *span, None),
    }
    meters = Meters(
        [
            Meter(1, "flow", "volume_flow", "m3/h", "m3/s", 1 / 3600, 0, *accuracy, *span),
            Meter(2, "sum", "energy", "kW.h", "J", 3.6e6, 0, 0, 0, 0, 0, *span),
        ]
    )
    import numpy as np

    place = meters.place(np.array([row[2] for row in rows], dtype=np.int64))
    values = np.array([math.nan if row[0] is None else row[0] for row in rows], dtype=np.float64)
    quality = np.array([row[1] for row in rows], dtype=np.int64)
    spreads, marks = meters.sd(place, values), meters.marks(place, values, quality)
    for (value, judged, sensor), spread, mark in zip(rows, spreads.tolist(), marks.tolist(), strict=True):
        expected = read[sensor].sd(value)
        assert (math.isnan(spread) and expected is None) or spread == pytest.approx(expected, rel=1e-12)
        assert MARKS[mark] == read[sensor].mark(value, judged)


def test_a_large_file_is_written_in_row_groups_and_holds_no_more_than_one():
    schema = pa.schema([pa.field("n", pa.int64())])
    pulled: list[int] = []

    def tables():
        for number in range(9):
            pulled.append(number)
            yield pa.table({"n": range(number * 50_000, (number + 1) * 50_000)}, schema=schema)

    parts: list[bytes] = []
    for part in written("parquet", schema, tables()):
        parts.append(part)
        assert len(pulled) <= 3 * len(parts)
    file = pq.ParquetFile(pa.BufferReader(b"".join(parts)))
    assert file.metadata.num_row_groups == 3
    assert file.metadata.row_group(0).num_rows >= ROW_GROUP
    assert file.read()["n"].to_pylist() == list(range(450_000))
