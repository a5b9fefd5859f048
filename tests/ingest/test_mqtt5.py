"""The packets of our own MQTT 5: as another client writes and reads them, whole or in pieces, and refused when broken."""

from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sidestream_contracts.frame import LANES, FrameKey, payload_hash
from sidestream_ingest import mqtt5
from sidestream_ingest.arrivals import BATCH_BYTES, MOST_BYTES, Arrival, Arrivals
from sidestream_ingest.mqtt5 import Login, ProtocolError

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=8)
TOPIC = st.text("abc/", min_size=1, max_size=200)


def only(raw: bytes) -> mqtt5.Packet:
    (packet,) = mqtt5.split(buffer := bytearray(raw))
    assert not buffer
    return packet


def paho_publish(topic: str, payload: bytes, mid: int, properties: Properties) -> bytes:
    """As any client may send it, with properties besides the user's."""
    head = len(topic.encode()).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big") + properties.pack()
    return mqtt5._packet(0x32, head + payload)


@given(
    TOPIC, st.binary(max_size=300), st.integers(1, 65535), PAIRS, st.integers(1, 2**32 - 1), TEXT, st.binary(max_size=9)
)
def test_a_publish_with_any_properties_is_read_as_it_was_written(topic, payload, mid, pairs, expiry, text, data):
    properties = Properties(PacketTypes.PUBLISH)
    if pairs:
        properties.UserProperty = pairs
    properties.MessageExpiryInterval = expiry
    properties.PayloadFormatIndicator = 1
    properties.ContentType = text
    properties.CorrelationData = data
    properties.SubscriptionIdentifier = expiry % 268_435_455 + 1
    message = mqtt5.read_publish(only(paho_publish(topic, payload, mid, properties)))
    assert message == (topic, payload, 1, mid, tuple(pairs))


@given(TOPIC, st.binary(max_size=300), st.integers(0, 65535), PAIRS)
def test_what_we_write_we_read(topic, payload, mid, pairs):
    packet = only(mqtt5.publish(topic, payload, mid, pairs))
    assert mqtt5.read_publish(packet) == (topic, payload, int(mid > 0), mid, tuple(pairs))


def outcome(body: bytes):
    try:
        return mqtt5.read_publish(mqtt5.Packet(mqtt5.PUBLISH, 2, body))
    except ProtocolError as error:
        return str(error)


@given(
    st.sampled_from(LANES),
    st.integers(1, 10**18 - 1),
    st.booleans(),
    st.none() | st.binary(min_size=5, max_size=5).map(lambda b: b"\x02" + b[1:]),
    st.none() | st.tuples(st.integers(0, 400), st.integers(0, 255)),
)
def test_our_gateways_properties_and_nearly_those_are_read_like_any_others(lane, seq, sent, expiry, change):
    pairs = FrameKey("5a" * 16, lane, seq, payload_hash(b"x")).properties()
    pairs += [("sent", str(seq % 10**16)), ("sync", "synced")] if sent else []
    packed = b"".join(b"&" + mqtt5._text(name) + mqtt5._text(value) for name, value in pairs)
    for block in (packed, (expiry or b"") + packed, packed + (expiry or b"")):
        body = bytearray(b"\x00\x01t\x00\x05" + mqtt5._counted(block) + b"x")
        if change is not None:
            body[7 + change[0] % (len(body) - 7)] = change[1]
        fast = outcome(bytes(body))
        with patch.object(mqtt5, "_OURS", re.compile(b"(?!)")):
            assert outcome(bytes(body)) == fast
        assert change is not None or fast.properties == tuple(pairs)


@given(PAIRS)
def test_user_properties_are_written_as_another_client_writes_them(pairs):
    properties = Properties(PacketTypes.PUBLISH)
    if pairs:
        properties.UserProperty = pairs
    assert mqtt5.publish("t", b"x", 5, pairs) == paho_publish("t", b"x", 5, properties)


@given(st.lists(st.binary(max_size=20_000), max_size=5), st.data())
def test_packets_come_out_whole_however_the_bytes_come(payloads, data):
    raw = b"".join(mqtt5.publish("t", payload) for payload in payloads) + mqtt5.PINGREQ_PACKET
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    buffer, found = bytearray(), []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        buffer += raw[start:end]
        found += mqtt5.split(buffer)
    assert [mqtt5.read_publish(p).payload for p in found[:-1]] == payloads
    assert found[-1].kind == 12
    assert not buffer


@given(st.binary(max_size=60))
def test_bytes_that_are_no_mqtt_are_refused_and_nothing_else_is_raised(raw):
    for read in (mqtt5.read_publish, mqtt5.read_suback, mqtt5.read_connack, mqtt5.read_disconnect):
        for flags in (0, 2, 4):
            try:
                read(mqtt5.Packet(3, flags, raw))
                list(mqtt5.split(bytearray(raw)))
            except ProtocolError:
                pass


def test_a_length_of_five_bytes_is_refused():
    with pytest.raises(ProtocolError, match="four bytes"):
        list(mqtt5.split(bytearray(b"\x30\xff\xff\xff\xff\x01")))


def test_a_packet_larger_than_agreed_is_refused_by_its_length_and_not_waited_for():
    raw = mqtt5.publish("t", bytes(1000))
    assert [len(packet.body) for packet in mqtt5.split(bytearray(raw), len(raw))] == [len(raw) - 3]
    with pytest.raises(ProtocolError, match="1,007 bytes, though ingest said that it takes 1,006 at most; lower"):
        list(mqtt5.split(bytearray(raw[:3]), len(raw) - 1))


def test_a_login_is_written_by_the_standard():
    packet = only(mqtt5.connect(Login("me", 10, 1000, 65_536, "user", "pass")))
    properties = b"\x08\x21\x03\xe8\x27\x00\x01\x00\x00"
    assert packet == (1, 0, b"\x00\x04MQTT\x05\xc2\x00\x0a" + properties + b"\x00\x02me\x00\x04user\x00\x04pass")


def arrival(size: int) -> Arrival:
    return Arrival(1, 1, 1, "t", bytes(size), (), None)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 9))
def test_the_queue_gives_everything_in_order_and_counts_its_bytes(sizes, most):
    queue = Arrivals(lambda: None)
    queue.put(map(arrival, sizes))
    assert queue.backlog() == (len(sizes), sum(sizes))
    batches = [queue.take(most, 0, 0) for _ in range(len(sizes) // most + 1)]
    assert [len(a.payload) for batch in batches for a in batch] == sizes
    assert max(map(len, batches)) <= most
    assert queue.backlog() == (0, 0)


def test_the_queue_is_bounded_in_bytes_and_says_once_when_there_is_room_again():
    told = []
    queue = Arrivals(lambda: told.append("room"))
    queue.put(arrival(1 << 20) for _ in range(MOST_BYTES >> 20))
    assert (queue.is_full(), queue.is_full(), queue.times_full) == (True, True, 1)
    assert len(queue.take(500, 0, 0)) == BATCH_BYTES >> 20
    assert told == ["room"]
    assert not queue.is_full()
    assert len(queue.take(500, 0, 0)) == BATCH_BYTES >> 20
    assert told == ["room"]
