"""Registers: what is encoded is decoded, and blocks read every register once without a read that is too long."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_modbus import WORDS, ModbusRegister
from sidestream_edge.drivers.modbus.registers import MAX_GAP, MAX_WORDS, decode, encode, plan, smaller, words_of

RAW = {
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**53), 2**53),
    "uint64": st.integers(0, 2**53),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
}


def register(**changes: object) -> ModbusRegister:
    return ModbusRegister.model_validate({"id": "a", "register": 0, **changes})


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("kind", sorted(RAW))
def test_every_type_and_word_order_survives_the_round_trip(kind: str, order: str) -> None:
    @given(RAW[kind])
    def round_trip(raw: float) -> None:
        one = register(type=kind, word_order=order)
        assert decode(encode(raw, one), one) == raw

    round_trip()


@pytest.mark.parametrize(
    ("words", "changes", "value"),
    [
        ([0x41C8, 0x0000], {"type": "float32"}, 25.0),
        ([0x0000, 0x41C8], {"type": "float32", "word_order": "little"}, 25.0),
        ([0xFFFE], {"type": "int16"}, -2.0),
        ([0x0001, 0x0002], {"type": "uint32"}, 65538.0),
        ([215], {"scale": 0.1, "offset": -10.0}, 11.5),
        ([0x7FC0, 0x0000], {"type": "float32"}, None),
        ([0xFF80, 0x0000], {"type": "float32"}, None),
        ([65535], {"scale": 1e308}, None),
    ],
)
def test_words_of_known_devices(words: list[int], changes: dict, value: float | None) -> None:
    """Reference values by hand from IEEE 754 and two's complement; no finite number means None."""
    found = decode(words, register(**changes))
    assert found == value if value is None else math.isclose(found, value, rel_tol=1e-12)


REGISTERS = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(sorted(WORDS)), st.sampled_from(["holding", "input"])),
    min_size=1,
    max_size=60,
)


@given(REGISTERS)
def test_blocks_hold_every_register_once_and_none_is_too_long(wanted: list[tuple[int, str, str]]) -> None:
    registers = [
        register(id=f"r{n}", register=at, type=kind, table=table) for n, (at, kind, table) in enumerate(wanted)
    ]
    blocks = plan(registers)
    assert sorted(r.id for block in blocks for r in block.registers) == sorted(r.id for r in registers)
    for block in blocks:
        assert 0 < block.count <= MAX_WORDS
        words = list(range(block.count))
        for one in block.registers:
            assert one.table == block.table
            assert list(words_of(block, one, words)) == [
                one.register_ - block.start + k for k in range(WORDS[one.type])
            ]


@given(REGISTERS)
def test_a_refused_block_falls_apart_until_each_register_stands_alone(wanted: list[tuple[int, str, str]]) -> None:
    registers = [
        register(id=f"r{n}", register=at, type=kind, table=table) for n, (at, kind, table) in enumerate(wanted)
    ]
    blocks = plan(registers)
    for _ in range(8):
        blocks = [part for block in blocks for part in (smaller(block) if len(block.registers) > 1 else [block])]
    assert all(len(block.registers) == 1 for block in blocks)
    assert sorted(block.registers[0].id for block in blocks) == sorted(r.id for r in registers)


def test_near_registers_share_a_read_and_far_ones_do_not() -> None:
    near, far = register(id="b", register=1 + MAX_GAP), register(id="c", register=40)
    assert [(b.start, b.count) for b in plan([far, register(), near])] == [(0, 2 + MAX_GAP), (40, 1)]
