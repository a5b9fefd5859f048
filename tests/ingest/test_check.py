"""A bad reading costs only itself; a broken frame is kept whole with its reason; nothing a device sends raises."""

from __future__ import annotations

import json

import msgspec
import pytest
from frames import GATEWAY, NOW, NOW_US, key_of, readings_body, scans_body
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import ContractError
from sidestream_ingest import layout
from sidestream_ingest.check import check_closely, check_frame, check_frames, check_undamaged
from sidestream_ingest.desk import Batch, Desk
from sidestream_ingest.layout import Layouts
from sidestream_ingest.plain import Arrived, read_plain
from sidestream_ingest.sending import read_sending
from sidestream_store.batch import CheckedFrame, Sending
from sidestream_store.catalogue import Catalogue, KnownSensor
from sidestream_store.quarantine import Message

CATALOGUE = Catalogue(
    version=1,
    hub="h",
    late_s=400 * 86400,
    early_s=300,
    devices={("a", "gw"): 1, ("b", "gw2"): 2},
    sensors={
        "flow": KnownSensor(1, 1, "volume_flow"),
        "tin": KnownSensor(2, 1, "temperature"),
        "gate": KnownSensor(3, 1, "scan"),
        "theirs": KnownSensor(4, 2, "temperature"),
    },
)


def check(payload: bytes, *, device_id: int = 1, channel: str = "readings", key=None) -> CheckedFrame:
    message = Message(GATEWAY.topic(channel), "h/a/gw", payload, NOW, ())
    return check_frame(message, key or key_of(payload), device_id, CATALOGUE, lambda s: f"`- {{id: {s}}}`")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("nosuch", NOW_US, 1.0), "unknown_sensor"),
        (("theirs", NOW_US, 1.0), "foreign_sensor"),
        (("gate", NOW_US, 1.0), "wrong_kind"),
        (("tin", NOW_US, "12,5"), "not_a_number"),
        (("tin", NOW_US, True), "not_a_number"),
        (("tin", NOW_US, float("nan")), "not_finite"),
        (("tin", NOW_US, float("inf")), "not_finite"),
        (("tin", NOW_US, 1e308), "out_of_bounds"),
        (("tin", NOW_US, 10**400), "out_of_bounds"),
        (("tin", NOW_US + 3_600_000_000, 1.0), "time_future"),
        (("tin", 0, 1.0), "time_too_old"),
        (("tin", NOW_US - 401 * 86_400_000_000, 1.0), "time_too_old"),
        (("tin", 1.5, 1.0), "bad_time"),
        (("tin", 10**400, 1.0), "bad_time"),
        (("tin", -(2**80), 1.0), "bad_time"),
        (("tin", "2026-11-22", 1.0), "bad_time"),
        (("no\ud800pe", NOW_US, 1.0), "bad_id"),
    ],
)
def test_a_bad_reading_is_kept_with_its_reason_and_its_neighbours_land(row, reason):
    frame = check(readings_body(("flow", NOW_US, 7.0), row, ("tin", NOW_US, None)))
    assert [(sensor, value) for _, sensor, value, _ in frame.readings.rows()] == [(1, 7.0), (2, None)]
    assert [(q.reason, q.readings) for q in frame.quarantine] == [(reason, 1)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b'{"v":1,', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[1]", "not_json"),
        (b'{"v":1,"v":1}', "duplicate_key"),
        (b"\xff\xfe", "not_utf8"),
        (readings_body(("flow", 1, 1.0), v=2), "unknown_version"),
        (readings_body(("flow", 1, 1.0), kind="other"), "unknown_kind"),
        (readings_body(("flow", 1, 1.0), kind=["readings"]), "unknown_kind"),
        (readings_body(("flow", 1, 1.0), kind="scans"), "wrong_topic"),
        (readings_body(("flow", 1, 1.0), clock="tomorrow"), "unknown_clock"),
        (readings_body(("flow", 1, 1.0), clock=[]), "unknown_clock"),
        (readings_body(("flow", 1, 1.0), t=[1, 2]), "bad_columns"),
        (readings_body(("flow", 1, 1.0), sensors="flow"), "bad_columns"),
        (readings_body(("flow", 1, 1.0), q=None), "bad_columns"),
        (b'{"v":1,"kind":"parked","reason":"too large","bytes":9,"limit":5,"hash":"x"}', "parked_on_edge"),
    ],
)
def test_a_broken_frame_is_kept_whole_with_its_reason(payload, reason):
    frame = check(payload)
    assert not len(frame.readings)
    assert [q.reason for q in frame.quarantine] == [reason]
    assert frame.quarantine[0].raw == payload


def test_a_payload_that_changed_on_the_way_is_not_used():
    message = Message(GATEWAY.topic("readings"), "h/a/gw", readings_body(("flow", NOW_US, 1.0)), NOW, ())
    with pytest.raises(ContractError, match="changed on the way"):
        check_undamaged(message, key_of(b"other"))


def test_an_unknown_device_is_told_the_nearest_known_one():
    message = Message("sidestream/v1/h/a/gww/readings", "h/a/gww", readings_body(("flow", NOW_US, 1.0)), NOW, ())
    frame = check_frame(message, key_of(message.raw), 99, CATALOGUE, lambda s: s)
    assert frame.quarantine[0].reason == "unknown_device"
    assert "Did you mean 'a/gw'" in frame.quarantine[0].detail


def test_an_unknown_sensor_comes_with_the_line_that_would_make_it_known():
    frame = check(readings_body(("flov", NOW_US, 1.0)))
    assert "Did you mean 'flow'" in frame.quarantine[0].detail
    assert "`- {id: flov}`" in frame.quarantine[0].detail


def test_an_unknown_scanner_is_likened_to_scanners_only_and_a_meter_to_meters_only():
    scanner = check(scans_body(("tinn", NOW_US, "BAG-1"), ("gat", NOW_US, "BAG-1")), channel="scans")
    meter = check(readings_body(("gat", NOW_US, 1.0), ("tinn", NOW_US, 1.0)))
    guesses = [
        [f"Did you mean {like!r}" in q.detail for like in ("tin", "gate")]
        for f in (scanner, meter)
        for q in f.quarantine
    ]
    assert guesses == [[False, False], [False, True], [False, False], [True, False]]


def test_the_line_for_an_unknown_scanner_is_that_of_a_scanner():
    desk, batch = Desk(), Batch(senders={1: GATEWAY})
    for channel, body, expected in (
        ("scans", scans_body(("gun", NOW_US, "BAG-1")), "quantity: scan, role: scan, node: NODE}"),
        ("readings", readings_body(("gun", NOW_US, 1.0)), "quantity: QUANTITY, unit: UNIT, stream: STREAM}"),
    ):
        message = Message(GATEWAY.topic(channel), "h/a/gw", body, NOW, ())
        arrived = [Arrived(message, key_of(body), 1, Sending())]
        (frame,) = check_frames(arrived, Layouts(CATALOGUE), lambda one, sensor: desk._line(batch, one, sensor))
        assert f"{{id: gun, device: gw, name: gun, {expected}" in frame.quarantine[0].detail


@pytest.mark.parametrize(
    ("late_us", "words"),
    [
        (10**18, "about 31,689 years"),
        (3 * 86_400_000_000, "about 3 days"),
        (5_400_000_000, "about 90 minutes"),
        (1_500_000, "1.5 s"),
    ],
)
def test_how_far_off_a_clock_is_is_told_in_words_a_person_reads(late_us, words):
    frame = check(readings_body(("tin", NOW_US + 300_000_000 + late_us, 1.0)))
    assert frame.quarantine[0].detail == f"Measured {words} past the latest time taken; check the clock."


@pytest.mark.parametrize(
    ("payload", "words"),
    [(b"[" * 100_000, "nested too deeply"), (b'{"v":' + b"1" * 5000 + b"}", "a number with too many digits")],
)
def test_json_that_is_too_much_is_told_in_our_words(payload, words):
    assert check(payload).quarantine[0].detail == f"Payload is not JSON ({len(payload)} bytes): {words}."


def test_recorded_times_skip_the_bounds_of_live_ones():
    frame = check(readings_body(("flow", 1_514_934_000_000_000, 1.0), clock="recorded"))
    assert frame.recorded
    assert not frame.quarantine


def test_fields_of_a_newer_edge_are_kept():
    assert check(readings_body(("flow", NOW_US, 1.0), colour="blue")).extra == {"colour": "blue"}


def test_a_code_that_can_not_be_printed_is_quarantined():
    frame = check(scans_body(("gate", NOW_US, "BAG-1"), ("gate", NOW_US, "BAG\x00")), channel="scans")
    assert [s.code for s in frame.scans] == ["BAG-1"]
    assert [q.reason for q in frame.quarantine] == ["bad_code"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["v", "kind", "sensors", "i", "t", "val", "q", "clock", "rssi"]), JSON))
def test_no_json_object_raises_and_each_is_either_used_or_kept(body):
    frame = check(json.dumps({"v": 1, "kind": "readings", **body}).encode())
    assert len(frame.readings) or frame.quarantine


CELLS = st.tuples(
    st.sampled_from(["flow", "tin", "gate", "theirs", "nosuch"]),
    st.integers(NOW_US - 10**9, NOW_US + 10**9) | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=3),
    st.none() | st.floats() | st.integers() | st.text(max_size=3) | st.booleans(),
)


@given(st.lists(CELLS, min_size=1, max_size=20))
def test_every_reading_of_a_frame_is_used_or_quarantined_once(rows):
    frame = check(readings_body(*rows))
    assert len(frame.readings) + sum(q.readings for q in frame.quarantine) == len(rows)


FAST = st.tuples(
    st.sampled_from(["flow", "tin"]),
    st.integers(NOW_US - 10**9, NOW_US + 10**8),
    st.none() | st.floats(-1e30, 1e30) | st.floats(-1e-99, 1e-99) | st.integers(-(2**70), 2**70),
)
BREAKS = st.sampled_from([
    lambda body: body,
    lambda body: body.replace(b'"val"', b'"q"', 1),
    lambda body: body.replace(b'"v":1,', b'"v":1,"v":2,', 1),
    lambda body: body.replace(b'"sensors":', b'"sensors":[],"sensors":', 1),
    lambda body: body.replace(b'"i":', b'"\\u0069":', 1),
    lambda body: body.replace(b'"live"', b'"recorded"', 1),
    lambda body: body.replace(b',"clock":"live"', b"", 1),
    lambda body: body.replace(b"{", b'{"rssi":null,', 1),
    lambda body: body.replace(b"]", b".5]", 1),
    lambda body: body.replace(b",", b",-0,", 1),
    lambda body: body.replace(b"[0", b"[-0", 1),
    lambda body: body.replace(b"[0", b"[0e0", 1),
    lambda body: body.replace(b"flow", b"flov", 1),
    lambda body: body + b"\x00",
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body[:-1],
])  # fmt: skip


def outcome(frame: CheckedFrame | None):
    return frame and (frame.kind, frame.recorded, list(map(repr, frame.readings.rows())), frame.quarantine, frame.extra)


def both_ways(payload: bytes) -> tuple[CheckedFrame | None, CheckedFrame]:
    message = Message(GATEWAY.topic("readings"), "h/a/gw", payload, NOW, ())
    key = key_of(payload)
    closely = check_closely(message, key, 1, CATALOGUE, lambda s: s, sending=Sending())
    return read_plain([Arrived(message, key, 1, Sending())], Layouts(CATALOGUE))[0], closely


@given(st.lists(FAST | CELLS, min_size=1, max_size=20), BREAKS, BREAKS)
def test_whatever_the_fast_way_takes_the_close_look_gives_too(rows, first, second):
    payload = readings_body(*rows).replace(b": ", b":").replace(b", ", b",")
    fast, closely = both_ways(second(first(payload)))
    assert fast is None or outcome(fast) == outcome(closely)


@pytest.mark.parametrize("val", [5e-324, -6.9e-310, 9e-101, -0.0])
def test_what_is_closer_to_zero_than_any_measurement_is_zero(val):
    fast, closely = both_ways(readings_body(("flow", NOW_US, val), ("flow", NOW_US, 1e-99)))
    assert outcome(fast) == outcome(closely)
    assert list(map(repr, fast.readings.value.tolist())) == ["0.0", "1e-99"]


@pytest.mark.parametrize("many", [1, 20])
@pytest.mark.parametrize("val", [10**30, int(1e30) + 1, int(1e30) + 2**46, int(1e30) + 2**47, -int(1e30) - 1, 10**400])
def test_an_integer_at_the_bound_is_judged_alike_on_both_ways(val, many):
    fast, closely = both_ways(readings_body(*[("flow", NOW_US + n, val) for n in range(many)]))
    assert fast is None or outcome(fast) == outcome(closely)
    assert (fast is not None) == (not closely.quarantine) == (abs(val) < 10**31 and abs(float(val)) <= 1e30)


@given(st.lists(FAST, min_size=1, max_size=20))
def test_a_good_frame_goes_the_fast_way(rows):
    fast, closely = both_ways(readings_body(*rows))
    assert outcome(fast) == outcome(closely)


def payload_of(rows) -> bytes:
    return readings_body(*rows)


@given(st.lists(st.lists(FAST | CELLS, min_size=1, max_size=5).map(payload_of) | st.binary(max_size=9), max_size=9))
def test_frames_looked_at_together_come_out_as_each_does_alone(payloads):
    arrived = [
        Arrived(Message(GATEWAY.topic("readings"), "h/a/gw", payload, NOW, ()), key_of(payload, n + 1), 1, Sending())
        for n, payload in enumerate(payloads)
    ]
    together = check_frames(arrived, Layouts(CATALOGUE), lambda _, sensor: sensor)
    alone = [check_frame(one.message, one.key, 1, CATALOGUE, lambda sensor: sensor) for one in arrived]
    assert list(map(outcome, together)) == list(map(outcome, alone))
    assert [frame.key.seq for frame in together] == [n + 1 for n in range(len(payloads))]


def test_what_is_remembered_of_frames_is_bounded_and_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(layout, "MOST_BYTES", 2_000)
    layouts = Layouts(CATALOGUE)
    for count in (*range(1, 9), *range(1, 9)):
        known = layouts.of(
            1, ("flow", "tin"), msgspec.json.encode([k % 2 for k in range(count)]), b"[%s]" % b",".join([b"0"] * count)
        )
        assert (len(known.sensor_id), known.sensor_id.tolist()[:2]) == (count, [1, 2][:count])
    assert len(layouts._known) < 4


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_bytes_that_are_no_frame_go_the_close_way(payload):
    assert both_ways(payload)[0] is None


@pytest.mark.parametrize(
    ("properties", "sending"),
    [
        ([("sent", "1795348800000000"), ("sync", "synced")], Sending(NOW_US, "synced")),
        ([("sent", "1795348800000000")], Sending(NOW_US, "unknown")),
        ([("sent", "soon"), ("sync", "perhaps")], Sending(None, "unknown")),
        ([("sent", "9" * 18), ("sync", "unsynced")], Sending(None, "unsynced")),
        ([("sent", "-5")], Sending()),
    ],
)
def test_what_an_edge_says_of_its_clock_is_taken_or_left_but_never_refused(properties, sending):
    assert read_sending(properties) == sending
