"""The part of MQTT 5 that ingest speaks, as bytes: no socket, no clock, no thread.

Ingest takes messages at QoS 0 and 1 and gives back PUBACKs and QoS 0 messages, nothing else; so this is small, and a packet
costs a few µs, where a general client costs some 60 (docs/adr/0007). Names and numbers are those of the standard,
"MQTT Version 5.0" (OASIS, 7 March 2019), whose section each function names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sidestream_contracts.errors import TransientError

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
LARGEST_PACKET = 268_435_455
"""Most that the length of a packet can say (1.5.5)."""

_USER_PROPERTY = 0x26
_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x12: -2, 0x13: 2, 0x15: -2, 0x16: -2, 0x17: 1, 0x18: 4, 0x19: 1, 0x1A: -2, 0x1C: -2,
          0x1F: -2, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
          0x03: -2, 0x08: -2, 0x09: -2}  # fmt: skip
"""Bytes of each property's value; -2: a length of two bytes goes before (2.2.2.2)."""
_SUBSCRIPTION_ID = 0x0B
_LANES = {b"scan": "scan", b"live": "live", b"bulk": "bulk"}
_OURS = re.compile(
    rb"(?:\x02.{4})?&\0\x05epoch\0 ([0-9a-f]{32})&\0\x04lane\0\x04(scan|live|bulk)&\0\x03seq\0(.)([0-9]{1,18})"
    rb"&\0\x04hash\0@([0-9a-f]{64})(?:&\0\x04sent\0(.)([0-9]{1,16})&\0\x04sync\0(.)([a-z]{1,9}))?(?:\x02.{4})?",
    re.DOTALL,
)
"""The properties as our gateways write them, a message expiry before or, as Mosquitto puts it, after them; any others are read
one by one, to the same result, more slowly."""
_REASONS = {
    0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error",
    0x84: "unsupported protocol version", 0x85: "client id not valid", 0x86: "bad user name or password",
    0x87: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned", 0x8B: "server shutting down",
    0x8D: "keep-alive timeout", 0x8E: "session taken over", 0x8F: "topic filter invalid", 0x93: "receive maximum exceeded",
    0x95: "packet too large", 0x97: "quota exceeded", 0x98: "administrative action", 0x9C: "use another server",
    0x9D: "server moved", 0x9E: "shared subscriptions not supported", 0x9F: "connection rate exceeded",
}  # fmt: skip


class ProtocolError(TransientError):
    """What came is no MQTT 5, or more than was agreed; this connection is of no more use, the next one may be."""


class Packet(NamedTuple):
    """A whole packet: its kind (2.1.2), its flags and what follows its length."""

    kind: int
    flags: int
    body: bytes


class Message(NamedTuple):
    """A PUBLISH: `mid` is 0 at QoS 0; properties are the user's only."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Login:
    """What a CONNECT says of the client; `maximum_packet`: bytes of the largest packet it takes."""

    client_id: str
    keepalive_s: int
    receive_maximum: int
    maximum_packet: int
    username: str | None = None
    password: str | None = None


def reason(code: int) -> str:
    """A reason code (2.4) for people."""
    return _REASONS.get(code, f"reason 0x{code:02x}")


def connect(login: Login) -> bytes:
    """A CONNECT that begins anew and leaves no session behind (3.1)."""
    flags = 0x02 | (0x80 if login.username is not None else 0) | (0x40 if login.password is not None else 0)
    properties = b"\x21" + login.receive_maximum.to_bytes(2, "big") + b"\x27" + login.maximum_packet.to_bytes(4, "big")
    body = _text("MQTT") + bytes((5, flags)) + login.keepalive_s.to_bytes(2, "big") + _counted(properties)
    texts = [login.client_id, login.username, login.password]
    return _packet(0x10, body + b"".join(_text(text) for text in texts if text is not None))


def subscribe(mid: int, filters: Sequence[str]) -> bytes:
    """A SUBSCRIBE at QoS 1 (3.8)."""
    return _packet(0x82, mid.to_bytes(2, "big") + b"\x00" + b"".join(_text(name) + b"\x01" for name in filters))


def publish(
    topic: str, payload: bytes, mid: int = 0, properties: Iterable[tuple[str, str]] = (), *, retain: bool = False
) -> bytes:
    """A PUBLISH at QoS 1, or at QoS 0 without `mid` (3.3)."""
    pairs = b"".join(b"\x26" + _text(name) + _text(value) for name, value in properties)
    number = mid.to_bytes(2, "big") if mid else b""
    return _packet(0x30 | (0x02 if mid else 0) | int(retain), _text(topic) + number + _counted(pairs) + payload)


def pubacks(mids: Iterable[int]) -> bytes:
    """A PUBACK for each message id, one after the other (3.4); success needs no reason code."""
    return b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids)


def split(buffer: bytearray, most: int = LARGEST_PACKET) -> Iterator[Packet]:
    """Takes every whole packet from the front of `buffer` (2.1).

    ProtocolError where a length makes no sense, or a packet says that it is larger than `most`: it is not waited for.
    """
    at, end = 0, len(buffer)
    try:
        while end - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length >= 0x80:
                found = _length(buffer, at + 1)
                if found is None:
                    return
                length, start = found
            if start - at + length > most:
                raise ProtocolError(_too_large(start - at + length, most))
            if end - start < length:
                return
            yield Packet(buffer[at] >> 4, buffer[at] & 0x0F, bytes(buffer[start : start + length]))
            at = start + length
    finally:
        del buffer[:at]


def _too_large(size: int, most: int) -> str:
    return (
        f"the broker sends a packet of {size:,} bytes, though ingest said that it takes {most:,} at most; lower the"
        " broker's largest packet (max_packet_size), or raise --max-packet-mb of `sidestream ingest run`"
    )


def read_publish(packet: Packet) -> Message:
    """The message in a PUBLISH; ProtocolError where it is none."""
    body, qos = packet.body, packet.flags >> 1 & 3
    at = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:at].decode("utf-8", "replace")
    mid = 0
    if qos:
        mid = int.from_bytes(body[at : at + 2], "big")
        at += 2
    length, at = _length(body, at) or (-1, 0)
    end = at + length
    if qos > 1 or length < 0 or end > len(body):
        raise ProtocolError("a PUBLISH that is cut short, or at QoS 2, which was not asked for")
    return Message(topic, body[end:], qos, mid, _user_properties(body, at, end) if length else ())


def read_connack(packet: Packet) -> int:
    """The reason code of a CONNACK (3.2); 0 is success."""
    if packet.kind != CONNACK or len(packet.body) < 2:
        raise ProtocolError(f"the first packet is of kind {packet.kind} and no CONNACK")
    return packet.body[1]


def read_suback(packet: Packet) -> tuple[int, ...]:
    """The reason code for each filter (3.9); 0x80 and above is a refusal."""
    length, at = _length(packet.body, 2) or (-1, 0)
    if length < 0:
        raise ProtocolError("a SUBACK that is cut short")
    return tuple(packet.body[at + length :])


def read_disconnect(packet: Packet) -> int:
    """The reason code of a DISCONNECT (3.14)."""
    return packet.body[0] if packet.body else 0


def _user_properties(body: bytes, at: int, end: int) -> tuple[tuple[str, str], ...]:
    ours = _OURS.fullmatch(body, at, end)
    if ours is not None and (pairs := _our_pairs(ours)) is not None:
        return pairs
    found = []
    while at < end:
        kind = body[at]
        if kind == _USER_PROPERTY:
            middle = at + 3 + int.from_bytes(body[at + 1 : at + 3], "big")
            after = middle + 2 + int.from_bytes(body[middle : middle + 2], "big")
            found.append(
                (body[at + 3 : middle].decode("utf-8", "replace"), body[middle + 2 : after].decode("utf-8", "replace"))
            )
        elif kind == _SUBSCRIPTION_ID:
            after = (_length(body, at + 1) or (0, end + 1))[1]
        else:
            size = _SIZES.get(kind, end)
            after = at + 1 + (size if size >= 0 else 2 + int.from_bytes(body[at + 1 : at + 3], "big"))
        at = after
    if at != end:
        raise ProtocolError("properties that are longer than they say, or of a kind that does not exist")
    return tuple(found)


def _our_pairs(ours: re.Match[bytes]) -> tuple[tuple[str, str], ...] | None:
    """The user properties, or None where a length is not that of its text."""
    epoch, lane, seq_length, seq, hash_, sent_length, sent, sync_length, sync = ours.groups()
    if seq_length[0] != len(seq):
        return None
    pairs = (
        ("epoch", str(epoch, "ascii")),
        ("lane", _LANES[lane]),
        ("seq", str(seq, "ascii")),
        ("hash", str(hash_, "ascii")),
    )
    if sent is None:
        return pairs
    if sent_length[0] != len(sent) or sync_length[0] != len(sync):
        return None
    return (*pairs, ("sent", str(sent, "ascii")), ("sync", str(sync, "ascii")))


def _length(buffer: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """A variable byte integer (1.5.5) and where it ends; None while it is not all there."""
    value = 0
    for place in range(4):
        if at + place >= len(buffer):
            return None
        byte = buffer[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ProtocolError("a length of more than four bytes")


def _variable(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _counted(properties: bytes) -> bytes:
    return _variable(len(properties)) + properties


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _variable(len(body)) + body
