"""Cells of a recorded file: times exact to the µs, bad cells named and sent as missing, bad rows named and left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge import RecordedDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.drivers.recorded.table import TIME_FORMATS, Rows, Table
from sidestream_edge.measurement import Reading, Scan


def config(**changes: object) -> RecordedDriver:
    body = {
        "id": "r",
        "type": "recorded",
        "file": "f.csv",
        "time_column": "time",
        "sensors": [{"id": "e", "column": "kwh"}],
    }
    return RecordedDriver.model_validate({**body, **changes})


def read(table: Table, *cells: str) -> Rows:
    rows = Rows()
    table.read(cells, 7, rows)
    return rows


@given(st.integers(-(2**50), 2**52))
def test_times_are_exact(t: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)
    assert TIME_FORMATS["iso8601"](at.isoformat()) == t
    assert TIME_FORMATS["epoch_s"](f"{'-' if t < 0 else ''}{abs(t) // 10**6}.{abs(t) % 10**6:06d}") == t
    assert TIME_FORMATS["epoch_ms"](str(t)) == t * 1000


def test_iso_times_with_z_with_offset_and_without() -> None:
    to_us = TIME_FORMATS["iso8601"]
    assert to_us("2018-01-02T23:00:00Z") == to_us("2018-01-03T00:00:00+01:00") == to_us("2018-01-02 23:00:00")


@pytest.mark.parametrize("cell", ["12,5", "NaN", "inf", "1e999", "n/a", "\udcff"])
def test_a_cell_that_is_no_number_is_sent_as_missing_and_named(cell: str) -> None:
    rows = read(Table(config(), ["time", "kwh"]), "2018-01-02T23:00:00Z", cell)
    (reading,) = rows.readings
    assert (reading.val, reading.q) == (None, 2)
    ((counter, text),) = rows.faults
    assert counter == "bad_cells"
    assert text.startswith("f.csv:7: column kwh:")
    assert repr(cell) in text


@pytest.mark.parametrize("row", [("yesterday", "1"), ("2018-01-02T23:00:00Z",), ("2018-01-02T23:00:00Z", "1", "2")])
def test_a_row_without_a_time_or_shape_is_left_out_and_named(row: tuple[str, ...]) -> None:
    rows = read(Table(config(), ["time", "kwh"]), *row)
    assert rows.readings == []
    assert [counter for counter, _ in rows.faults] == ["bad_rows"]
    assert "f.csv:7" in rows.faults[0][1]


def test_an_empty_cell_is_no_measurement() -> None:
    rows = read(Table(config(), ["time", "kwh"]), "2018-01-02T23:00:00Z", " ")
    assert (rows.readings, rows.faults) == ([], [])


def test_scans_carry_code_and_signal_strength() -> None:
    table = Table(
        config(
            sensors=[],
            time_column="ms",
            time_format="epoch_ms",
            scans={"id": "p", "column": "epc", "rssi_column": "rssi"},
        ),
        ["", "ms", "epc", "rssi"],
    )
    assert read(table, "0", "1556630144391", "0", "-63").scans == [Scan("p", 1556630144391000, "0", -63.0)]
    assert read(table, "0", "1556630144391", "7", "").scans == [Scan("p", 1556630144391000, "7", None)]
    assert [c for c, _ in read(table, "0", "1556630144391", "", "-63").faults] == ["bad_cells"]


def test_a_missing_column_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'kwh' \(did you mean 'kWh'\?\)\. It has: time, kWh"):
        Table(config(), ["time", "kWh"])


def test_good_neighbours_in_a_row_are_kept() -> None:
    table = Table(config(sensors=[{"id": "a", "column": "a"}, {"id": "b", "column": "b"}]), ["time", "a", "b"])
    rows = read(table, "1970-01-01T00:00:01Z", "x", "2.5")
    assert rows.readings == [Reading("a", 1_000_000, None, 2), Reading("b", 1_000_000, 2.5)]
