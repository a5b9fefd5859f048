"""What registers could mean: the true reading is always among those shown, and the range tells which are possible."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.edge_modbus import WORDS, ModbusRegister
from sidestream_edge.drivers.modbus.meanings import ORDERS, all_readings, explain, four_readings, meaning, other_scales
from sidestream_edge.drivers.modbus.registers import decode, encode
from sidestream_edge.probe.guess import Guess, Text, byte_order, guesses
from sidestream_edge.probe.spans import Span

KEYS = {
    "ABCD": {},
    "CDAB": {"word_order": "little"},
    "BADC": {"byte_order": "little"},
    "DCBA": {"word_order": "little", "byte_order": "little"},
}
HELD = struct.unpack(">HH", struct.pack(">f", 12.5))


def register(**changes: object) -> ModbusRegister:
    return ModbusRegister.model_validate({"id": "a", "register": 0, **changes})


@given(st.sampled_from(ORDERS), st.sampled_from(sorted(WORDS)), st.integers(0, 2**15 - 1))
def test_the_declared_reading_stands_first_and_is_what_the_driver_reads(order, kind, raw):
    one = register(type=kind, scale=0.5, offset=1.0, **KEYS[order])
    words = encode(raw, one)
    first, *others = four_readings(words, one)
    assert first.value == decode(words, one)
    assert len(others) == (1 if kind.endswith("16") else 3)
    assert len({each.order for each in (first, *others)}) == len(others) + 1


@pytest.mark.parametrize("order", ORDERS)
def test_bytes_stand_as_manufacturers_letter_them(order):
    """A device whose order is `order` puts the letters of 12.5 = 41 48 00 00 in that order on the wire."""
    by_letter = dict(zip("ABCD", struct.pack(">f", 12.5), strict=True))
    wire = bytes(by_letter[letter] for letter in order)
    assert meaning(struct.unpack(">HH", wire), "float32", order).value == 12.5
    assert decode(list(struct.unpack(">HH", wire)), register(type="float32", **KEYS[order])) == 12.5


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=4).filter(lambda words: len(words) != 3))
def test_every_reading_is_shown_once_and_none_is_refused(words):
    found = all_readings(words)
    assert len(found) == len({(each.type, each.order) for each in found}) == {1: 4, 2: 12, 4: 12}[len(words)]
    assert all(each.in_range is None for each in found)


def test_a_wrong_word_order_is_explained_with_the_reading_in_range():
    wrong = register(type="float32", word_order="little")
    lines = list(explain(HELD, wrong, (0.0, 40.0)))
    assert lines[0].startswith(
        "raw words 4148 0000: read as 2.34185e-41 (CDAB; type: float32, word_order: little), hardly"
    )
    assert "could mean 12.5 (ABCD; type: float32), in range" in lines


def test_a_wrong_scale_is_explained_with_the_scales_that_fit():
    assert other_scales(2150, 0.0, (10.0, 30.0)) == [0.01]
    lines = list(explain([2150], register(type="uint16"), (10.0, 30.0)))
    assert lines[0].endswith("read as 2150 (ABCD; type: uint16), out of range")
    assert lines[-1] == "or, with another scale, in range: scale 0.01"


def test_a_wrong_type_is_explained_with_the_type_that_fits():
    lines = list(explain(HELD, register(type="uint32"), (0.0, 40.0)))
    assert "or, as another type, 12.5 (ABCD; type: float32), in range" in lines


@given(st.sampled_from(ORDERS), st.lists(st.floats(0.01, 1e5), min_size=4, max_size=20))
def test_the_byte_order_of_a_device_with_floats_is_found(order, values):
    """Real measurements have digits in their low words, so that no other order makes sense of all pairs."""
    digits = [value + value / 7 for value in values]
    one = register(type="float32", **KEYS[order])
    span = Span(100, tuple(word for value in digits for word in encode(value, one)))
    found = byte_order([span])
    best = sum(meaning(span.words[n : n + 2], "float32", found).sensible for n in range(0, len(span.words), 2))
    assert best == len(digits)


def test_one_whole_number_beside_a_zero_is_no_float_with_swapped_bytes():
    assert byte_order([Span(0, (0, 0, 0, 4550, 0, 0))]) == "ABCD"
    assert byte_order([Span(0, (0, 0, *reversed(HELD)))]) == "CDAB"


def test_text_floats_and_whole_numbers_are_told_apart():
    words = (*struct.unpack(">4H", b"HEAT-12\0"), *HELD, 0, 0, 215, 0)
    text, value, whole = guesses(Span(10, words), "ABCD")
    assert text == Text(10, "HEAT-12")
    assert isinstance(value, Guess)
    assert (value.register, value.likely.value, value.likely.type) == (14, 12.5, "float32")
    assert isinstance(whole, Guess)
    assert (whole.register, whole.likely.value, whole.likely.type) == (18, 215.0, "uint16")
