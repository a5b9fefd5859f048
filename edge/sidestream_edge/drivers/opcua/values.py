"""A DataValue of the server becomes a reading with the source's own time. Pure.

Nothing is guessed or re-stamped: a bad value says `null`, an array or a text is refused by the name of its type, a value
whose source tells no time (or an impossible one) takes the server's and is uncertain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from asyncua import ua

from sidestream_contracts.edge_opcua import OpcUaSensor
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Quality
from sidestream_edge.drivers.opcua import status
from sidestream_edge.measurement import Reading

_LARGEST = 1e30
_EARLIEST_US = 946_684_800_000_000
"""2000-01-01."""

_AHEAD_US = 86_400_000_000
_DECIMAL_TYPE = 50
_NUMBERS = frozenset({"Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """A reading and what is to be said about it: why it is not good, and whether its time is not the source's."""

    reading: Reading
    code: int
    doubt: str | None = None


def take(sensor: OpcUaSensor, value: ua.DataValue, received_us: int) -> Taken:
    """The reading; ContractError `array`, `not_a_number` or `out_of_range` where the value can't be one.

    A status that is bad gives `null`, quality bad, at the time that the server tells.
    """
    code = int(value.StatusCode.value) if value.StatusCode is not None else 0
    t, doubt = _time(value, received_us)
    quality = status.quality(code)
    if quality == Quality.BAD:
        return Taken(Reading(sensor.id, t, None, Quality.BAD), code, doubt)
    raw = number(value.Value)
    if raw is None:
        return Taken(Reading(sensor.id, t, None, Quality.BAD), code, "the server gives no value")
    scaled = raw * sensor.scale + sensor.offset
    if not math.isfinite(scaled):
        return Taken(Reading(sensor.id, t, None, Quality.BAD), code, f"its value is {raw}")
    if abs(scaled) > _LARGEST:
        raise ContractError("out_of_range", f"{scaled} is not a number within ±1e30")
    if quality == Quality.GOOD and doubt is not None:
        quality = Quality.UNCERTAIN
    return Taken(Reading(sensor.id, t, scaled, quality), code, doubt)


def number(variant: ua.Variant | None) -> float | None:
    """The value as a number, None for a null; ContractError that names the type of what is none."""
    if variant is None or (variant.Value is None and not variant.is_array):
        return None
    kind = getattr(variant.VariantType, "name", "unknown")
    if variant.is_array:
        count = len(variant.Value or ())
        raise ContractError(
            "array", f"it is an array of {count} {kind}; only single values are read, map the variable of one element"
        )
    if kind == "ExtensionObject":
        return _decimal(variant.Value)
    if kind not in _NUMBERS:
        raise ContractError("not_a_number", f"its type is {kind}, which is no number")
    return float(variant.Value)


def _decimal(body: Any) -> float:
    """Decimal (OPC 10000-6, 5.1.10): scale and two's complement, least significant byte first."""
    if isinstance(body, ua.DecimalDataType):
        scale, digits = int(body.Scale), bytes(body.Value or b"")
    elif isinstance(body, ua.ExtensionObject) and body.TypeId == ua.NodeId(_DECIMAL_TYPE) and len(body.Body or b"") > 2:
        scale, digits = int.from_bytes(body.Body[:2], "little", signed=True), body.Body[2:]
    else:
        raise ContractError(
            "not_a_number",
            f"its type is the structure {type(body).__name__}, which is no number; map one of its fields",
        )
    return float(Decimal(int.from_bytes(digits, "little", signed=True)).scaleb(-scale))


def _time(value: ua.DataValue, received_us: int) -> tuple[int, str | None]:
    """The source's time; else the server's, else that of reception, and then what is to be said about it."""
    source, server = microseconds(value.SourceTimestamp), microseconds(value.ServerTimestamp)
    if source is not None and possible(source, received_us):
        return source, None
    why = (
        "its source tells no time"
        if source is None
        else f"its source says {value.SourceTimestamp:%Y-%m-%d %H:%M:%SZ}, which can't be"
    )
    if server is not None and possible(server, received_us):
        return server, f"{why}; the server's time is taken"
    return received_us, f"{why}, and the server none that can be; the time of reception is taken"


def possible(t: int, received_us: int) -> bool:
    """Whether a clock may have said so: not before 2000, not over a day ahead of ours."""
    return _EARLIEST_US <= t <= received_us + _AHEAD_US


def microseconds(at: datetime | None) -> int | None:
    """µs UTC; None for no time, which some servers write as 1601-01-01."""
    if at is None:
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return None if aware.year <= 1601 else (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
