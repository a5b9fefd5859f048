"""The key and the topic say who sent what; what is malformed in them is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import LANES, FrameKey, ReadingsFrame, ScansFrame, parse_json, parse_key, payload_hash
from sidestream_contracts.hints import decode_hint, encode_hint
from sidestream_contracts.ids import ID_PATTERN, nearest
from sidestream_contracts.topics import CHANNELS, PREFIX, DeviceAddress, hello_topic, hub_filter, parse_topic

IDS = st.from_regex(ID_PATTERN.replace("$", r"\Z"))
HEX = st.text("0123456789abcdef", min_size=32, max_size=32)
KEYS = st.builds(
    FrameKey,
    HEX,
    st.sampled_from(LANES),
    st.integers(1, 10**18 - 1),
    st.binary().map(payload_hash),
    st.none() | HEX,
)


def reason_of(read: Callable[[Any], object], what: Any) -> str | None:
    """Why `read` refuses `what`; None where it does not."""
    try:
        read(what)
    except ContractError as error:
        return error.reason
    return None


@given(KEYS)
def test_a_key_comes_back_from_its_user_properties(key):
    assert parse_key(key.properties()) == key


@given(st.lists(st.tuples(st.sampled_from(["epoch", "lane", "seq", "hash", "prev"]), st.text(max_size=70))))
def test_no_user_properties_raise_anything_but_bad_key(properties):
    assert reason_of(parse_key, properties) in {None, "bad_key"}


@pytest.mark.parametrize("name", ["epoch", "lane", "seq", "hash"])
def test_the_property_at_fault_is_named(name):
    good = FrameKey("0" * 32, "live", 1, "0" * 64).properties()
    with pytest.raises(ContractError, match=f"'{name}' is 'X'"):
        parse_key([(n, "X" if n == name else value) for n, value in good])


@given(IDS, IDS, IDS, st.sampled_from(CHANNELS))
def test_a_topic_comes_back_as_address_and_channel(hub, party, device, channel):
    address = DeviceAddress(hub, party, device)
    assert parse_topic(address.topic(channel)) == (address, channel)


@pytest.mark.parametrize(
    "topic",
    ["", "x", f"{PREFIX}/h/a/gw", f"{PREFIX}/h/a/gw/other", f"{PREFIX}/h/a/gw/readings/x", f"{PREFIX}/h/a/GW/readings",
     "sidestream/v2/h/a/gw/readings", f"{PREFIX}/h/+/gw/readings", f"{PREFIX}/h/a/gw/readings\n", hello_topic("h")],
)  # fmt: skip
def test_what_is_no_device_topic_is_refused(topic):
    with pytest.raises(ContractError) as caught:
        parse_topic(topic)
    assert caught.value.reason == "bad_topic"


def test_a_filter_names_the_hub_and_the_channel():
    assert hub_filter("h", "scans") == "sidestream/v1/h/+/+/scans"


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_but_a_contract_error(payload):
    assert reason_of(parse_json, payload) in {None, "not_json", "not_utf8", "duplicate_key"}


@pytest.mark.parametrize(
    "change",
    [{"val": ["1.5"]}, {"val": [True]}, {"val": [float("nan")]}, {"t": [1.5]}, {"t": ["1"]}, {"i": [1]}, {"i": [-1]}, {"i": [True]},
     {"q": [3]}, {"q": []}, {"sensors": []}, {"sensors": ["A"]}, {"v": 2}, {"clock": "soon"}, {"i": [], "t": [], "val": [], "q": []}],
    ids=str,
)  # fmt: skip
def test_the_model_builds_no_frame_that_the_hub_would_refuse(change):
    good = {"sensors": ["s"], "i": [0], "t": [1], "val": [1.0], "q": [0]}
    ReadingsFrame.model_validate(good)
    with pytest.raises(ValidationError):
        ReadingsFrame.model_validate({**good, **change})


@pytest.mark.parametrize(
    "change", [{"val": [""]}, {"val": ["x" * 513]}, {"val": [5]}, {"val": ["a", "b"]}], ids=lambda c: str(c)[:20]
)
def test_the_model_builds_no_scan_that_the_hub_would_refuse(change):
    good = {"sensors": ["s"], "i": [0], "t": [1], "val": ["BAG"], "q": [0]}
    ScansFrame.model_validate(good)
    with pytest.raises(ValidationError):
        ScansFrame.model_validate({**good, **change})


@given(st.lists(IDS, max_size=5))
def test_a_hint_names_each_sensor_once(sensors):
    assert decode_hint(encode_hint(sensors)) == sorted(set(sensors))


@pytest.mark.parametrize("parts", [[], [b"committed"], [b"other", b"{}"], [b"committed", b"x"], [b"committed", b"[]"], [b"committed", b"\xff"],
                                   [b"committed", b'{"sensors":5}'], [b"committed", b'{"sensors":[1]}']])  # fmt: skip
def test_what_is_no_hint_is_ignored(parts):
    assert decode_hint(parts) == []


def test_the_nearest_id_is_found_and_a_far_one_is_not_offered():
    assert nearest("flov", ["flow", "tin"]) == "flow"
    assert nearest("quite-else", ["flow", "tin"]) is None
