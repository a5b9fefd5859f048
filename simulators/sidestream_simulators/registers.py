"""Numbers as Modbus words: the inverse of what an edge agent does, from the same register map in `edge.yaml`."""

from __future__ import annotations

import struct

from sidestream_contracts.edge_modbus import ModbusRegister

_FORMAT = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "int64": ">q",
    "uint64": ">Q",
    "float32": ">f",
    "float64": ">d",
}


def encode(register: ModbusRegister, value: float, *, rolls_over: bool = False) -> list[int]:
    """The 16-bit words of `value`, so that `raw * scale + offset` gives it back to the register's resolution.

    An integer that does not fit is held at the end of its type, as a transmitter does; with `rolls_over` it starts
    again from the other end, as a counter does. Word order `little` puts the least significant word first. A coil or
    discrete input is 1 where the raw value is not zero.
    """
    raw = (value - register.offset) / register.scale
    if register.is_bit:
        return [int(round(raw) != 0)]
    packed = struct.pack(_FORMAT[register.type], raw if "float" in register.type else _whole(register, raw, rolls_over))
    words = [word for (word,) in struct.iter_unpack(">H", packed)]
    ordered = words if register.word_order == "big" else words[::-1]
    return ordered if register.byte_order == "big" else [(word & 0xFF) << 8 | word >> 8 for word in ordered]


def _whole(register: ModbusRegister, raw: float, rolls_over: bool) -> int:
    bits = int(register.type.lstrip("uint"))
    low = 0 if register.type.startswith("u") else -(1 << (bits - 1))
    whole = round(raw)
    if rolls_over:
        return (whole - low) % (1 << bits) + low
    return min(max(whole, low), low + (1 << bits) - 1)
