"""Registers of a Modbus device: which are read together, and what their words mean. Pure.

Words are 16 bit, big-endian on the wire (Modbus Application Protocol 1.1b3, 4.2); how several words make one number is
not standardised, hence `word_order`, and some devices turn the bytes of a word round, hence `byte_order`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sidestream_contracts.edge_modbus import ModbusRegister, RegisterType, Table

MAX_WORDS = 125
"""Most registers in one read (Modbus Application Protocol 1.1b3, 6.3)."""

MAX_BITS = 2000
"""Most coils or discrete inputs in one read (6.1)."""

MAX_GAP = 8
"""Registers that nobody asked for but that are read along, since a request costs more than a few words."""

_FORMATS: dict[RegisterType, str] = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q", "float32": ">f", "float64": ">d",
}  # fmt: skip

Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""The bytes of a 32-bit number as they come; A is the most significant. Longer numbers likewise."""

_ORDERS: dict[tuple[str, str], Order] = {
    ("big", "big"): "ABCD", ("little", "big"): "CDAB", ("big", "little"): "BADC", ("little", "little"): "DCBA",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that are read with one request."""

    table: Table
    start: int
    count: int
    registers: tuple[ModbusRegister, ...]


def plan(registers: Iterable[ModbusRegister], max_gap: int = MAX_GAP) -> list[Block]:
    """The fewest reads that hold every register once, none longer than 125 words (2 000 bits) or across a gap above `max_gap`."""
    blocks: list[Block] = []
    for register in sorted(registers, key=lambda r: (r.table, r.register_)):
        start, end = register.register_, register.register_ + register.width
        last = blocks[-1] if blocks else None
        if last and last.table == register.table and start <= last.start + last.count + max_gap:
            count = max(last.count, end - last.start)
            if count <= (MAX_BITS if register.is_bit else MAX_WORDS):
                blocks[-1] = Block(last.table, last.start, count, (*last.registers, register))
                continue
        blocks.append(Block(register.table, start, end - start, (register,)))
    return blocks


def smaller(block: Block) -> list[Block]:
    """The same registers in smaller reads, for a device that refuses to be asked across addresses it does not have."""
    tight = plan(block.registers, max_gap=0)
    if len(tight) > 1:
        return tight
    middle = (len(block.registers) + 1) // 2
    return [part for half in (block.registers[:middle], block.registers[middle:]) for part in plan(half, max_gap=0)]


def words_of(block: Block, register: ModbusRegister, words: Sequence[int]) -> Sequence[int]:
    """The words of `register` within the reply to `block`."""
    offset = register.register_ - block.start
    return words[offset : offset + register.width]


def decode(words: Sequence[int], register: ModbusRegister) -> float | None:
    """`raw * scale + offset`; None where the device holds no finite number (NaN, infinity)."""
    raw = words[0] if register.is_bit else raw_number(words, register.type, order_of(register))
    value = float(raw) * register.scale + register.offset
    return value if math.isfinite(value) else None


def encode(raw: float, register: ModbusRegister) -> list[int]:
    """The words that `decode` reads as `raw * scale + offset`; for simulators and tests."""
    if register.is_bit:
        return [int(bool(raw))]
    packed = struct.pack(_FORMATS[register.type], raw)
    return _turned(struct.unpack(f">{len(packed) // 2}H", packed), order_of(register))


def order_of(register: ModbusRegister) -> Order:
    """Its byte order in the manufacturers' letters."""
    return _ORDERS[register.word_order, register.byte_order]


def raw_number(words: Sequence[int], kind: RegisterType, order: Order) -> float:
    """The number that `words` are when read as `kind` in `order`; may be NaN or infinite."""
    turned = _turned(words, order)
    number: float = struct.unpack(_FORMATS[kind], struct.pack(f">{len(turned)}H", *turned))[0]
    return number


def _turned(words: Sequence[int], order: Order) -> list[int]:
    """From one order to ABCD or back, which is the same."""
    ordered = list(words) if order in {"ABCD", "BADC"} else list(words[::-1])
    return ordered if order in {"ABCD", "CDAB"} else [(word & 0xFF) << 8 | word >> 8 for word in ordered]
