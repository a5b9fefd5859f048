"""Sparkplug B payloads as bytes: read into plain values, and the one command that this host sends.

The message layout (field numbers and types, Sparkplug 3.0, chapter 6) is declared here and given to the protobuf runtime, so
that neither generated code nor the .proto file, which has another licence, is part of Sidestream.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from sidestream_contracts.errors import ContractError

_F = descriptor_pb2.FieldDescriptorProto
_LAYOUT: dict[str, tuple[tuple[str, int, int | str, bool], ...]] = {
    "Payload": (
        ("timestamp", 1, _F.TYPE_UINT64, False), ("metrics", 2, "Metric", True), ("seq", 3, _F.TYPE_UINT64, False),
        ("uuid", 4, _F.TYPE_STRING, False), ("body", 5, _F.TYPE_BYTES, False),
    ),
    "Metric": (
        ("name", 1, _F.TYPE_STRING, False), ("alias", 2, _F.TYPE_UINT64, False), ("timestamp", 3, _F.TYPE_UINT64, False),
        ("datatype", 4, _F.TYPE_UINT32, False), ("is_historical", 5, _F.TYPE_BOOL, False),
        ("is_transient", 6, _F.TYPE_BOOL, False), ("is_null", 7, _F.TYPE_BOOL, False),
        ("properties", 9, "PropertySet", False), ("int_value", 10, _F.TYPE_UINT32, False),
        ("long_value", 11, _F.TYPE_UINT64, False), ("float_value", 12, _F.TYPE_FLOAT, False),
        ("double_value", 13, _F.TYPE_DOUBLE, False), ("boolean_value", 14, _F.TYPE_BOOL, False),
        ("string_value", 15, _F.TYPE_STRING, False),
    ),
    "PropertySet": (("keys", 1, _F.TYPE_STRING, True), ("values", 2, "PropertyValue", True)),
    "PropertyValue": (
        ("type", 1, _F.TYPE_UINT32, False), ("is_null", 2, _F.TYPE_BOOL, False), ("int_value", 3, _F.TYPE_UINT32, False),
        ("long_value", 4, _F.TYPE_UINT64, False), ("string_value", 8, _F.TYPE_STRING, False),
    ),
}  # fmt: skip
_VALUES = ("int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value")

TYPES = (
    "Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean",
    "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File", "Template",
)  # fmt: skip
"""Names of the data types by number; arrays follow from 22."""

_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
_NUMERIC = range(1, 12)
_BOOLEAN = 11
_COMPRESSED = "SPBV1.0_COMPRESSED"
REBIRTH = "Node Control/Rebirth"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it came: by name, by alias, or both; `raw` is None where it has no value that is a number or text."""

    name: str | None
    alias: int | None
    time_ms: int | None
    datatype: int | None
    raw: int | float | bool | str | None = None
    is_null: bool = False
    historical: bool = False
    unit: str | None = None
    quality_code: int | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A whole message."""

    time_ms: int | None
    seq: int | None
    metrics: tuple[Metric, ...]

    def number(self, name: str) -> int | None:
        """The whole number under `name`; None where there is none."""
        found = [metric.raw for metric in self.metrics if metric.name == name]
        return int(found[0]) if found and isinstance(found[0], int | float) else None


def decode(data: bytes) -> Payload:
    """What the bytes say; ContractError `not_sparkplug` or `compressed`."""
    message = _class("Payload")()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise ContractError("not_sparkplug", f"{len(data)} bytes are no Sparkplug B payload ({error})") from error
    if message.uuid == _COMPRESSED:
        raise ContractError("compressed", "compressed payloads are not read; turn compression off at the edge node")
    return Payload(_of(message, "timestamp"), _of(message, "seq"), tuple(_metric(metric) for metric in message.metrics))


def rebirth_command(time_ms: int) -> bytes:
    """NCMD that asks an edge node for all its births."""
    message = _class("Payload")()
    message.timestamp = time_ms
    metric = message.metrics.add()
    metric.name, metric.timestamp, metric.datatype, metric.boolean_value = REBIRTH, time_ms, _BOOLEAN, True
    data: bytes = message.SerializeToString()
    return data


def number(raw: float | bool | str | None, datatype: int | None) -> float:
    """The value as a number; ContractError `not_a_number` that names the data type, for what can't be one."""
    if isinstance(raw, str) or raw is None or (datatype is not None and datatype not in _NUMERIC):
        raise ContractError("not_a_number", f"data type {type_name(datatype)} is no number")
    bits = _SIGNED_BITS.get(datatype or 0)
    if bits is not None and isinstance(raw, int):
        low = raw & ((1 << bits) - 1)
        return float(low - (1 << bits) if low >> (bits - 1) else low)
    return float(raw)


def type_name(datatype: int | None) -> str:
    """`Int16`, `DataSet`, …"""
    if datatype is None:
        return "unknown"
    return TYPES[datatype] if datatype < len(TYPES) else f"array or later type {datatype}"


def _metric(message: Any) -> Metric:
    properties = dict(zip(message.properties.keys, message.properties.values, strict=False))
    raw = next((getattr(message, name) for name in _VALUES if message.HasField(name)), None)
    return Metric(
        _of(message, "name") or None, _of(message, "alias"), _of(message, "timestamp"), _of(message, "datatype"), raw,
        message.is_null, message.is_historical, _unit(properties), _quality(properties),
    )  # fmt: skip


def _unit(properties: dict[str, Any]) -> str | None:
    for key in ("engUnit", "Engineering Units", "engineeringUnits", "unit", "units"):
        if key in properties and properties[key].string_value:
            return str(properties[key].string_value)
    return None


def _quality(properties: dict[str, Any]) -> int | None:
    told = properties.get("Quality")
    return None if told is None else int(_of(told, "int_value") or _of(told, "long_value") or 0)


def _of(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


@cache
def _class(name: str) -> Any:
    """The runtime's class; in a pool of its own, so that another Sparkplug library in the process disturbs nothing."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sidestream.sparkplug.{name}"))


def _file() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sidestream_sparkplug.proto", package="sidestream.sparkplug")
    for name, fields in _LAYOUT.items():
        message = file.message_type.add(name=name)
        for field, number_, kind, repeated in fields:
            added = message.field.add(name=field, number=number_)
            added.label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
            if isinstance(kind, str):
                added.type, added.type_name = _F.TYPE_MESSAGE, f".sidestream.sparkplug.{kind}"
            else:
                added.type = kind
    return file
