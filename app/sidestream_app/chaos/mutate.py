"""Bad messages made from good ones: every place of a frame, its bytes, its key and its topic, broken in a seeded way. Pure.

A mutation may by chance leave a message usable; what must hold is that nothing raises, that every message with a readable
key is answered, and that no neighbour is harmed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import FrameKey, Lane, parse_key, payload_hash
from sidestream_contracts.topics import DeviceAddress, parse_topic

LANE: Lane = "live"
Body = dict[str, Any]

ODDITIES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 1e-320, 1e30, 1.1e30,
    float("nan"), float("inf"), float("-inf"), "", " ", "12,5", "1e5", "NaN", "\x00", "\ud800", "\udfff x", "é" * 600,
    "'; DROP TABLE sidestream.reading; --", "../../etc/passwd", "2026-11-22T12:00:00Z", [], [[]], [None], {}, {"a": {}},
    [1, "2", None, True], "A", "gate", "theirs", "nosuch", 255, 256, 1_900_000_000_000_000, 10**15, -(10**15),
)  # fmt: skip
"""Values that have no business where they are put."""

NAMES = ("v", "kind", "sensors", "i", "t", "val", "q", "clock", "rssi")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as it goes on the wire."""

    topic: str
    payload: bytes
    pairs: tuple[tuple[str, str], ...]

    @property
    def must_be_answered(self) -> bool:
        """Whether its topic and key can be read and its payload came whole, so that the hub owes an acknowledgement."""
        try:
            _, channel = parse_topic(self.topic)
            key = parse_key(list(self.pairs))
        except ContractError:
            return False
        return channel in ("readings", "scans") and key.hash == payload_hash(self.payload)


def on_wire(address: DeviceAddress, payload: bytes, epoch: str, seq: int, channel: str = "readings") -> Sent:
    """The message that an honest edge makes of a payload."""
    key = FrameKey(epoch, LANE, seq, payload_hash(payload))
    return Sent(f"{address.topic('readings').rpartition('/')[0]}/{channel}", payload, tuple(key.properties()))


def encode(body: object) -> bytes:
    """JSON as a careless sender writes it: NaN and lone surrogates included."""
    return json.dumps(body).encode()


def odd(draw: random.Random, depth: int = 0) -> Any:
    """Some value of any kind, nested now and then."""
    if depth < 3 and draw.random() < 0.15:
        return [odd(draw, depth + 1) for _ in range(draw.randrange(4))]
    if depth < 3 and draw.random() < 0.1:
        return {draw.choice(NAMES): odd(draw, depth + 1)}
    return copy.deepcopy(draw.choice(ODDITIES))  # a second mutation may write into it


def _wrong_cell(draw: random.Random, body: Body) -> None:
    column = body[draw.choice(("i", "t", "val", "q"))]
    column[draw.randrange(len(column))] = odd(draw)


def _wrong_cells(draw: random.Random, body: Body) -> None:
    for _ in range(draw.randrange(2, 6)):
        _wrong_cell(draw, body)


def _wrong_field(draw: random.Random, body: Body) -> None:
    body[draw.choice(NAMES)] = odd(draw)


def _missing_field(draw: random.Random, body: Body) -> None:
    body.pop(draw.choice(tuple(body)))


def _uneven_columns(draw: random.Random, body: Body) -> None:
    column = body[draw.choice(("i", "t", "val", "q"))]
    if draw.random() < 0.5:
        column.append(column[-1])
    else:
        column.pop()


def _wrong_sensor(draw: random.Random, body: Body) -> None:
    body["sensors"][draw.randrange(len(body["sensors"]))] = odd(draw)


def _unknown_field(draw: random.Random, body: Body) -> None:
    name = draw.choice(("note", "x" * 500, "\x00", "\ud800", "", "sensör"))
    body[name] = odd(draw)


def _newer_version(draw: random.Random, body: Body) -> None:
    body["v"] = draw.choice((0, 2, 99, "1", 1.5, True, None))


def _other_kind(draw: random.Random, body: Body) -> None:
    body["kind"] = draw.choice(("scans", "parked", "Readings", ""))


BODY_MUTATIONS: tuple[Callable[[random.Random, Body], None], ...] = (
    _wrong_cell, _wrong_cells, _wrong_field, _missing_field, _uneven_columns, _wrong_sensor, _unknown_field,
    _newer_version, _other_kind,
)  # fmt: skip


def _truncated(draw: random.Random, payload: bytes) -> bytes:
    return payload[: draw.randrange(len(payload))]


def _bits_flipped(draw: random.Random, payload: bytes) -> bytes:
    broken = bytearray(payload)
    for _ in range(draw.randrange(1, 4)):
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
    return bytes(broken)


def _bytes_inserted(draw: random.Random, payload: bytes) -> bytes:
    at = draw.randrange(len(payload))
    return payload[:at] + draw.randbytes(draw.randrange(1, 9)) + payload[at:]


def _nested(draw: random.Random, payload: bytes) -> bytes:
    deep = draw.choice((b"[", b'{"a":')) * draw.choice((50, 900, 5_000))
    return draw.choice((deep, payload[:-1] + b', "note": ' + deep + b"}"))


def _named_twice(draw: random.Random, payload: bytes) -> bytes:
    name = draw.choice(NAMES)
    return payload[:-1] + f', "{name}": {json.dumps(draw.choice(ODDITIES))}}}'.encode()


def _long_number(draw: random.Random, payload: bytes) -> bytes:
    return payload.replace(b'"t": [', b'"t": [' + b"9" * draw.choice((30, 400, 5_000)), 1)


def _other_json(draw: random.Random, _payload: bytes) -> bytes:
    return encode(odd(draw))


def _no_utf8(draw: random.Random, payload: bytes) -> bytes:
    return payload[:-1] + b', "note": "' + bytes(draw.randrange(128, 256) for _ in range(3)) + b'"}'


BYTE_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _truncated, _bits_flipped, _bytes_inserted, _nested, _named_twice, _long_number, _other_json, _no_utf8,
)  # fmt: skip


def _wrong_property(draw: random.Random, sent: Sent) -> Sent:
    pairs = [list(pair) for pair in sent.pairs]
    pairs[draw.randrange(len(pairs))][1] = draw.choice(("", "0", "-1", "ABC", "live ", "é", "9" * 30, "f" * 64, "1e3"))
    return Sent(sent.topic, sent.payload, tuple((name, value) for name, value in pairs))


def _missing_property(draw: random.Random, sent: Sent) -> Sent:
    pairs = list(sent.pairs)
    pairs.pop(draw.randrange(len(pairs)))
    return Sent(sent.topic, sent.payload, tuple(pairs))


def _more_properties(draw: random.Random, sent: Sent) -> Sent:
    more = [(draw.choice(("x", "", "prev", "sent")), draw.choice(("", "é" * 40, "�", "0"))) for _ in range(3)]
    return Sent(sent.topic, sent.payload, (*sent.pairs, *more))


def _wrong_topic(draw: random.Random, sent: Sent) -> Sent:
    words = sent.topic.split("/")
    words[draw.randrange(len(words))] = draw.choice(("", "GW", "other", "gw2", "scans", "status", "ack", "�", "x" * 40))
    return Sent("/".join(words), sent.payload, sent.pairs)


WIRE_MUTATIONS: tuple[Callable[[random.Random, Sent], Sent], ...] = (
    _wrong_property, _missing_property, _more_properties, _wrong_topic,
)  # fmt: skip


def mutated(draw: random.Random, body: Body, address: DeviceAddress, epoch: str, seq: int) -> Sent:
    """A bad message made of a good body, which may be changed by it; its hash is honest but for a few."""
    kind = draw.random()
    if kind < 0.6:
        for mutation in draw.sample(BODY_MUTATIONS, draw.choice((1, 1, 2))):
            _try(mutation, draw, body)
        return on_wire(address, encode(body), epoch, seq, _channel(draw))
    payload = encode(body)
    if kind < 0.85:
        return on_wire(address, draw.choice(BYTE_MUTATIONS)(draw, payload), epoch, seq, _channel(draw))
    sent = on_wire(address, payload, epoch, seq)
    if kind < 0.9:
        return Sent(sent.topic, _bits_flipped(draw, payload), sent.pairs)
    return draw.choice(WIRE_MUTATIONS)(draw, sent)


def _try(mutation: Callable[[random.Random, Body], None], draw: random.Random, body: Body) -> None:
    """A second mutation may find nothing left of what it breaks."""
    columns: Sequence[object] = [body.get(name) for name in ("i", "t", "val", "q", "sensors")]
    if all(isinstance(column, list) and column for column in columns):
        mutation(draw, body)


def _channel(draw: random.Random) -> str:
    return "readings" if draw.random() < 0.95 else draw.choice(("scans", "status"))
