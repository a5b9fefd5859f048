"""Bodies of loggers: JSON values and lists, CSV with and without a header; one bad value costs only itself."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_http import HttpDevice
from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.bodies import Found
from sidestream_edge.drivers.http.body import read_body
from sidestream_edge.drivers.http.receipts import KEPT, Receipts, body_hash

NOW_US = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000
T_S = NOW_US // 1_000_000 - 60


def device(**changes: object) -> HttpDevice:
    body = {
        "path": "/d", "time": {"path": "ts", "format": "epoch_s"},
        "sensors": [{"id": "a", "path": "a"}, {"id": "b", "path": "b"}],
    }  # fmt: skip
    return HttpDevice.model_validate({**body, **changes})


def read(body: object, **changes: object) -> Found:
    payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_body(device(**changes), payload, NOW_US)


def told(found: Found) -> list[tuple]:
    return [(r.sensor, r.t // 1_000_000 - T_S, r.val, r.q) for r in found.timed]


def test_one_object_a_list_and_a_list_inside() -> None:
    row = {"ts": T_S, "a": 1.5, "b": None}
    one = [("a", 0, 1.5, 0), ("b", 0, None, 2)]
    assert told(read(row)) == one
    assert told(read([row, {**row, "ts": T_S + 1}])) == [*one, ("a", 1, 1.5, 0), ("b", 1, None, 2)]
    assert told(read({"data": {"values": [row]}}, rows="data.values")) == one
    with pytest.raises(ContractError, match="there is no list"):
        read({"data": 5}, rows="data")


def test_csv_with_header_without_and_with_decimal_commas() -> None:
    csv = {"payload": "csv", "time": {"path": "time", "format": "iso8601", "zone": "+01:00"}, "delimiter": ";"}
    sensors = [{"id": "a", "path": "level (m)", "decimal_comma": True}]
    text = "time;level (m);note\n2026-11-22 12:59:00;1,82;x\n2026-11-22 12:59:01;;y\n\n"
    assert told(read(text, **csv, sensors=sensors)) == [("a", 0, 1.82, 0)]
    assert told(read("2026-11-22T12:59:00;7\n", **csv, columns=["time", "x"], sensors=[{"id": "a", "path": "x"}])) == [
        ("a", 0, 7.0, 0)
    ]
    with pytest.raises(ContractError, match="no column 'level \\(m\\)'; there are: time, level"):
        read("time;level\n", **csv, sensors=sensors)


def test_a_bad_value_a_bad_time_and_a_short_row_cost_only_themselves() -> None:
    found = read([{"ts": T_S, "a": "high", "b": 2}, {"ts": "soon", "a": 1, "b": 1}, {"ts": T_S + 2, "b": 3}])
    assert told(found) == [("b", 0, 2.0, 0), ("b", 2, 3.0, 0)]
    assert [(f.where, f.sensor, f.reason) for f in found.faults] == [
        ("/d row 1", "a", "not_a_number"), ("/d row 2", "a", "bad_time"), ("/d row 2", "b", "bad_time"),
        ("/d row 3", "a", "path_missing"),
    ]  # fmt: skip
    short = read(f"ts,a,b\n{T_S},1\n{T_S},1,2\n", payload="csv")
    assert (len(short.timed), {f.reason for f in short.faults}) == (2, {"bad_row"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [("{", "not_json"), ('{"ts":1,"ts":2}', "duplicate_key"), ("[1, 2", "not_json"), ("", "not_json")],
)
def test_what_is_no_json_is_refused_whole(body: str, reason: str) -> None:
    with pytest.raises(ContractError) as error:
        read(body)
    assert error.value.reason == reason


def test_too_many_values_are_refused() -> None:
    with pytest.raises(ContractError, match="at most 2500 rows"):
        read([{"ts": T_S, "a": 1, "b": 2}] * 2501)


@given(st.binary(max_size=300), st.sampled_from(["json", "csv"]))
def test_any_bytes_give_readings_faults_or_a_contract_error(payload: bytes, kind: str) -> None:
    with contextlib.suppress(ContractError):
        found = read_body(device(payload=kind), payload, NOW_US)
        assert all(reading.t for reading in found.timed)


def test_bodies_are_known_again_after_a_restart_and_their_number_is_bounded() -> None:
    one = Receipts(None)
    hashes = [body_hash("/d", str(n).encode()) for n in range(KEPT + 3)]
    for each in hashes:
        number, cursor = one.cursor_with(each)
        one.took(each)
    assert (number, one.stored(cursor)) == (KEPT + 3, KEPT + 3)
    again = Receipts(cursor)
    assert [each for each in hashes if not again.knows(each)] == hashes[:3]
    assert again.stored(cursor) == 0, "another run's numbers mean nothing"
    assert body_hash("/a", b"b") != body_hash("/b", b"b")
