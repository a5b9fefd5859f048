"""Registers of a Modbus device: which are read together, and what their words mean. Pure.

Words are 16 bit, big-endian on the wire (Modbus Application Protocol 1.1b3, 4.2); how several words make one number is
not standardised, hence `word_order`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sidestream_contracts.edge import WORDS, ModbusRegister, RegisterType

MAX_WORDS = 125
"""Most registers in one read (Modbus Application Protocol 1.1b3, 6.3)."""

MAX_GAP = 8
"""Registers that nobody asked for but that are read along, since a request costs more than a few words."""

_FORMATS: dict[RegisterType, str] = {
    "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q", "float32": ">f", "float64": ">d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Registers that are read with one request."""

    table: Literal["holding", "input"]
    start: int
    count: int
    registers: tuple[ModbusRegister, ...]


def plan(registers: Iterable[ModbusRegister], max_gap: int = MAX_GAP) -> list[Block]:
    """The fewest reads that hold every register once, none longer than 125 words or across a gap above `max_gap`."""
    blocks: list[Block] = []
    for register in sorted(registers, key=lambda r: (r.table, r.register_)):
        start, end = register.register_, register.register_ + WORDS[register.type]
        last = blocks[-1] if blocks else None
        if last and last.table == register.table and start <= last.start + last.count + max_gap:
            count = max(last.count, end - last.start)
            if count <= MAX_WORDS:
                blocks[-1] = Block(last.table, last.start, count, (*last.registers, register))
                continue
        blocks.append(Block(register.table, start, end - start, (register,)))
    return blocks


def smaller(block: Block) -> list[Block]:
    """The same registers in smaller reads, for a device that refuses to be asked across addresses it does not have."""
    tight = plan(block.registers, max_gap=0)
    return tight if len(tight) > 1 else [only for register in block.registers for only in plan([register])]


def words_of(block: Block, register: ModbusRegister, words: Sequence[int]) -> Sequence[int]:
    """The words of `register` within the reply to `block`."""
    offset = register.register_ - block.start
    return words[offset : offset + WORDS[register.type]]


def decode(words: Sequence[int], register: ModbusRegister) -> float | None:
    """`raw * scale + offset`; None where the device holds no finite number (NaN, infinity)."""
    ordered = words if register.word_order == "big" else words[::-1]
    raw = struct.unpack(_FORMATS[register.type], struct.pack(f">{len(ordered)}H", *ordered))[0]
    value = float(raw) * register.scale + register.offset
    return value if math.isfinite(value) else None


def encode(raw: float, register: ModbusRegister) -> list[int]:
    """The words that `decode` reads as `raw * scale + offset`; for simulators and tests."""
    packed = struct.pack(_FORMATS[register.type], raw)
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    return words if register.word_order == "big" else words[::-1]
