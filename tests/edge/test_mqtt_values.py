"""What a message of someone else's device says, and what it can't say: pure reading, nothing guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_edge_brokers import problems

from sidestream_contracts.edge_brokers import MqttTime, MqttTopic
from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers import values
from sidestream_edge.drivers.bodies import Found
from sidestream_edge.drivers.mqtt.mapping import Mapping, Message

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000


def read(topic: dict, payload: object, said: str = "a/b", **how: object) -> Found:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    found = Found()
    Mapping([MqttTopic.model_validate({"topic": "a/b", **topic})]).read(Message(said, raw, NOW_US, **how), found)
    return found


PLAIN = {"sensors": [{"id": "x"}]}
TIMED = {
    "payload": "json", "time": {"path": "ts", "format": "epoch_ms"}, "quality": {"path": "q"},
    "sensors": [{"id": "x", "path": "v.x"}, {"id": "y", "path": "v.list[1]"}],
}  # fmt: skip


def test_a_plain_number_is_stamped_at_reception() -> None:
    assert read(PLAIN, b" 21.5\n").stamped == [("x", NOW_US, 21.5, 0)]


def test_a_decimal_comma_is_refused_with_a_hint_and_taken_where_declared() -> None:
    (fault,) = read(PLAIN, b"21,5").faults
    assert fault.reason == "not_a_number"
    assert "decimal_comma: true" in fault.text
    assert read({"sensors": [{"id": "x", "decimal_comma": True}]}, b"21,5").stamped[0].val == 21.5


@pytest.mark.parametrize(
    "payload", [b"", b"nan", b"inf", b"1e999", b"12abc", b"1.000,5", b"true", b"\xff", b"1_000", b"0x10"]
)
def test_what_is_no_number_is_a_fault_of_its_sensor(payload: bytes) -> None:
    found = read(PLAIN, payload)
    assert not found.stamped
    assert [fault.sensor for fault in found.faults] == ["x"]


@pytest.mark.parametrize(("payload", "value"), [(b"ON", 1.0), (b"false", 0.0), (b"1", 1.0)])
def test_booleans_are_1_and_0(payload: bytes, value: float) -> None:
    assert read({"sensors": [{"id": "x", "type": "boolean"}]}, payload).stamped[0].val == value


def test_json_gives_several_sensors_one_time_and_a_quality() -> None:
    body = {"ts": 1795348799123, "q": "uncertain", "v": {"x": 1, "list": [0, "2.5"]}}
    assert read(TIMED, body).timed == [("x", 1795348799123000, 1.0, 1), ("y", 1795348799123000, 2.5, 1)]


def test_a_bad_value_costs_no_neighbour_and_null_is_a_reading_without_value() -> None:
    found = read(TIMED, {"ts": 1795348799123, "q": "good", "v": {"x": None, "list": [0]}})
    assert found.timed == [("x", 1795348799123000, None, 2)]
    assert [(fault.sensor, fault.reason) for fault in found.faults] == [("y", "path_missing")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"q": "good", "v": {}}, "path_missing"),
        ({"ts": "soon", "q": "good", "v": {}}, "bad_time"),
        ({"ts": 1795348799, "q": "good", "v": {}}, "time_impossible"),
        ({"ts": 1795348799123 * 1000, "q": "good", "v": {}}, "time_impossible"),
        ([1], "not_json"),
    ],
)
def test_without_a_readable_time_no_value_is_taken(body: object, reason: str) -> None:
    found = read(TIMED, body)
    assert not found.timed
    assert {fault.reason for fault in found.faults} == {reason}
    assert [fault.sensor for fault in found.faults] == ["x", "y"]


@pytest.mark.parametrize(
    ("raw", "form", "us"),
    [
        ("2026-11-22T12:00:00.5+01:00", "iso8601", NOW_US - 3600_000_000 + 500_000),
        ("2026-11-22T12:00:00Z", "iso8601", NOW_US),
        (1795348800, "epoch_s", NOW_US),
        (1795348800.25, "epoch_s", NOW_US + 250_000),
        (NOW_US, "epoch_us", NOW_US),
        ("1795348800000", "epoch_ms", NOW_US),
    ],
)
def test_times_are_read_in_the_declared_format_only(raw: object, form: str, us: int) -> None:
    assert values.time_us(raw, MqttTime(path="t", format=form), NOW) == us  # type: ignore[arg-type]


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ContractError, match="no zone"):
        values.time_us("2026-11-22T12:00:00", MqttTime(path="t", format="iso8601"), NOW)


def test_a_retained_value_counts_by_its_time_or_not_at_all() -> None:
    assert read(PLAIN, b"1", retained=True) == Found(unknown_age=1)
    assert read(TIMED, {"ts": 1795348799123, "q": "good", "v": {"x": 1, "list": [0, 1]}}, retained=True).timed


def test_what_may_have_waited_at_the_broker_is_uncertain_unless_it_tells_its_time() -> None:
    assert read(PLAIN, b"1", late=True).stamped[0].q == 1
    assert read(TIMED, {"ts": 1795348799123, "q": "ok", "v": {"x": 1, "list": [0, 1]}}, late=True).timed[0].q == 0


def test_a_level_of_the_topic_becomes_part_of_the_id_or_a_fault() -> None:
    wild = {"topic": "a/+", "sensors": [{"id": "t-{2}"}]}
    assert read(wild, b"1", "a/room7").stamped[0].sensor == "t-room7"
    assert read(wild, b"1", "a/Room 7").faults[0].reason == "bad_id"
    assert read(wild, b"1", "a/b/c") == Found()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ts", "q", "v", "x", "list"]), inner, max_size=5),
).map(lambda body: json.dumps(body).encode()))  # fmt: skip
def test_whatever_comes_each_sensor_is_told_of_once(payload: bytes) -> None:
    """Nothing crashes, nothing vanishes: every mapped sensor has a reading or a fault."""
    for topic in (TIMED, PLAIN):
        found = read(topic, payload)
        told = [r.sensor for r in (*found.timed, *found.stamped)] + [fault.sensor for fault in found.faults]
        assert sorted(filter(None, told)) == [sensor["id"] for sensor in topic["sensors"]]


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ({"topic": "a/#"}, "can't be used"),
        ({"topic": "a/b+"}, "can't be used"),
        ({"topic": "a/+"}, "by its level"),
        ({"sensors": [{"id": "x-{2}"}]}, "there is none"),
        ({"sensors": [{"id": "x", "path": "v"}]}, "payload: json"),
        ({"payload": "json"}, "needs `path`"),
        ({"sensors": [{"id": "x"}, {"id": "y"}]}, "one value"),
        ({"sensors": [{"id": "X"}]}, "no id"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_explained(topic: dict, text: str) -> None:
    driver = {"id": "d", "type": "mqtt", "topics": [{"topic": "a/b", "sensors": [{"id": "x"}], **topic}]}
    assert any(text in problem for problem in problems(driver))
