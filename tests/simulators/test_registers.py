"""A value survives the way into Modbus words and back, to the register's resolution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from sidestream_contracts.edge_modbus import WORDS, ModbusRegister
from sidestream_simulators.registers import encode

TYPES = sorted(WORDS)
BITS = {name: 16 * words for name, words in WORDS.items()}


def register(kind: str, word_order: str = "big", scale: float = 1.0, offset: float = 0.0) -> ModbusRegister:
    return ModbusRegister.model_validate(
        {"id": "r", "register": 0, "type": kind, "word_order": word_order, "scale": scale, "offset": offset}
    )


def decode(words: list[int], kind: str, word_order: str) -> float:
    datatype = ModbusClientMixin.DATATYPE[kind.upper()]
    return ModbusClientMixin.convert_from_registers(words, datatype, word_order=word_order)


@given(
    kind=st.sampled_from(TYPES),
    word_order=st.sampled_from(["big", "little"]),
    scale=st.sampled_from([1.0, 0.1, 0.01, 0.001]),
    offset=st.sampled_from([0.0, -50.0, 273.15]),
    share=st.floats(0.0, 1.0),
)
def test_pymodbus_reads_back_what_was_encoded(
    kind: str, word_order: str, scale: float, offset: float, share: float
) -> None:
    one = register(kind, word_order, scale, offset)
    span = min(2.0 ** (BITS[kind] - 1) - 1, 1e9)
    value = share * span * scale + offset
    words = encode(one, value)
    assert len(words) == WORDS[kind]
    back = decode(words, kind, word_order) * scale + offset
    resolution = scale / 2 if "int" in kind else abs(value - offset) * 1e-7
    assert back == pytest.approx(value, abs=resolution + 1e-9 * abs(value) + 1e-9)


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [("uint16", -3, 0), ("uint16", 70_000, 65_535), ("int16", -40_000, -32_768), ("int32", 3e9, 2**31 - 1)],
)
def test_a_value_beyond_its_type_is_held_at_the_end(kind: str, value: float, held: int) -> None:
    assert decode(encode(register(kind), value), kind, "big") == held


@pytest.mark.parametrize(
    ("kind", "value", "rolled"), [("uint16", 65_536 + 7, 7), ("uint32", 2**32 + 5, 5), ("int16", 32_768, -32_768)]
)
def test_a_counter_beyond_its_type_starts_again(kind: str, value: float, rolled: int) -> None:
    assert decode(encode(register(kind), value, rolls_over=True), kind, "big") == rolled
