"""The frame: readings or scans of one device, columnar, with the key that makes it applied once.

The body is JSON; the key (`epoch`, `lane`, `seq`, `hash`) travels as MQTT 5 user properties, so that even an unreadable
body can be acknowledged. `t` is integer µs UTC of the measurement itself. Unknown fields are kept, not refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal, NoReturn, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sidestream_contracts.errors import ContractError
from sidestream_contracts.ids import Id

VERSION = 1
Lane = Literal["scan", "live", "bulk"]
LANES: tuple[Lane, ...] = get_args(Lane)
Clock = Literal["live", "recorded"]
ClockSync = Literal["synced", "unsynced", "unknown"]
"""Whether the sender's clock is kept right by NTP or PTP."""
MAX_READINGS = 10_000
"""Most readings in one frame; more is refused at the door so that one message can't claim unbounded memory."""


class Quality(IntEnum):
    """What the source itself says of a value; what the hub concludes later is kept elsewhere."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


Count = Annotated[int, Field(ge=0, strict=True)]
Micros = Annotated[int, Field(strict=True, description="µs since 1970-01-01 UTC, of the measurement itself")]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class _Columns(BaseModel):
    """What readings and scans share: sensors named once, then one entry per measurement in each column."""

    model_config = ConfigDict(extra="allow")

    v: Literal[1] = 1
    sensors: list[Id] = Field(min_length=1, description="ids named once; `i` points into this list")
    i: list[Count] = Field(min_length=1, max_length=MAX_READINGS)
    t: list[Micros]
    q: list[Quality] = Field(description="0 good, 1 uncertain, 2 bad")
    clock: Clock = "live"

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        columns = {name: len(value) for name in ("i", "t", "val", "q") if (value := getattr(self, name)) is not None}
        if len(set(columns.values())) != 1:
            raise ValueError(f"columns differ in length: {columns}")
        if max(self.i) >= len(self.sensors):
            raise ValueError(f"i names sensor {max(self.i)}, but only {len(self.sensors)} are listed")
        return self


class ReadingsFrame(_Columns):
    """Numbers measured by sensors of one device; `null` where the sensor gave none. Units are in `hub.yaml`."""

    kind: Literal["readings"] = "readings"
    val: list[Annotated[Finite, Field(json_schema_extra={"minimum": -1e30, "maximum": 1e30})] | None]


class ScansFrame(_Columns):
    """Codes read by scanners and RFID readers of one device, as the reader gave them."""

    kind: Literal["scans"] = "scans"
    val: list[Annotated[str, Field(min_length=1, max_length=512)]]
    rssi: list[Annotated[Finite, Field(json_schema_extra={"minimum": -200, "maximum": 50})] | None] | None = Field(
        default=None, description="dBm, where the reader tells it"
    )


class ParkedFrame(BaseModel):
    """Stands in, under the same key, for a frame that the broker would not carry and that the edge keeps apart."""

    model_config = ConfigDict(extra="allow")

    v: Literal[1] = 1
    kind: Literal["parked"] = "parked"
    reason: str
    bytes: Count = Field(description="size of the frame that was parked")
    limit: Count = Field(description="the broker's maximum packet size in bytes")
    hash: str = Field(description="SHA-256 of the parked frame's bytes, hex")


Frame = Annotated[ReadingsFrame | ScansFrame | ParkedFrame, Field(discriminator="kind")]


def encode(frame: BaseModel) -> bytes:
    """The frame as compact UTF-8 JSON; the same frame always gives the same bytes."""
    return json.dumps(frame.model_dump(exclude_none=False), separators=(",", ":"), ensure_ascii=False).encode()


def payload_hash(payload: bytes) -> str:
    """SHA-256 of the payload bytes, hex: same key with another hash is another message under a stolen key."""
    return hashlib.sha256(payload).hexdigest()


@dataclass(frozen=True, slots=True)
class FrameKey:
    """What makes a frame the same frame: random `epoch` of the agent's start, lane, gap-free `seq` from 1 in that lane."""

    epoch: str
    lane: Lane
    seq: int
    hash: str
    previous_epoch: str | None = None

    def properties(self) -> list[tuple[str, str]]:
        """The key as MQTT 5 user properties."""
        pairs = [("epoch", self.epoch), ("lane", self.lane), ("seq", str(self.seq)), ("hash", self.hash)]
        return [*pairs, ("prev", self.previous_epoch)] if self.previous_epoch else pairs


_EPOCH = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SEQ = re.compile(r"[1-9][0-9]{0,17}")
_KEY = re.compile(rf"{_EPOCH.pattern}/{_SEQ.pattern}/{_HASH.pattern}/({'|'.join(LANES)})")


def parse_key(properties: Iterable[tuple[str, str]] | None) -> FrameKey:
    """The key from MQTT 5 user properties; ContractError `bad_key` that names the property at fault."""
    found = dict(properties or [])
    if not _KEY.fullmatch("/".join([found.get(name, "") for name in ("epoch", "seq", "hash", "lane")])):
        _refuse_key(found)
    prev = found.get("prev")
    return FrameKey(
        found["epoch"],
        found["lane"],  # type: ignore[arg-type]
        int(found["seq"]),
        found["hash"],
        prev if prev and _EPOCH.fullmatch(prev) else None,
    )


def _refuse_key(found: dict[str, str]) -> NoReturn:
    """Names the first property at fault."""
    for name, good in (("epoch", _EPOCH), ("seq", _SEQ), ("hash", _HASH)):
        if not good.fullmatch(found.get(name, "")):
            raise ContractError(
                "bad_key", f"User property {name!r} is {found.get(name)!r}; it must match {good.pattern}."
            )
    raise ContractError("bad_key", f"User property 'lane' is {found.get('lane')!r}; allowed: {', '.join(LANES)}.")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ContractError(
            "duplicate_key", f"JSON object names {sorted({n for n in names if names.count(n) > 1})} twice."
        )
    return found


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error) if isinstance(error, json.JSONDecodeError) else "a number with too many digits"


def parse_json(payload: bytes) -> dict[str, Any]:
    """A JSON object; ContractError `not_json`, `not_utf8` or `duplicate_key` otherwise.

    NaN and Infinity, though no JSON, are read as floats here, so that the neighbours of such a value can still land.
    """
    try:
        body = json.loads(payload.decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    except UnicodeDecodeError as error:
        raise ContractError("not_utf8", f"Payload is not UTF-8: {error.reason} at byte {error.start}.") from error
    except (ValueError, RecursionError) as error:
        raise ContractError("not_json", f"Payload is not JSON ({len(payload)} bytes): {_why(error)}.") from error
    if not isinstance(body, dict):
        raise ContractError("not_json", f"Payload is a JSON {type(body).__name__}, not an object.")
    return body
