"""Keys become codes by the layout, whatever was held; what is no character spoils its own code only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_edge.drivers.lines import Fault
from sidestream_edge.drivers.scanner.codes import Affixes
from sidestream_edge.drivers.scanner.keys import ENTER, EV_KEY, LAYOUTS, TAB, Event, Keyboard

SHIFT, CONTROL, ALT, ALT_GR, CAPS = 42, 29, 56, 100, 58


def press(*codes: int) -> list[Event]:
    """Keys held together: all down in order, then up."""
    return [Event(7, EV_KEY, c, 1) for c in codes] + [Event(8, EV_KEY, c, 0) for c in reversed(codes)]


def keys_of(layout: str, text: str) -> list[Event]:
    """What a scanner types for `text`; written from the table the other way round."""
    found = []
    for char in text:
        code, level = next((c, row.index(char)) for c, row in LAYOUTS[layout].items() if char in row)
        found += press(*{0: (), 1: (SHIFT,), 2: (ALT_GR,)}[level], code)
        if layout == "de" and char in "^´`":
            found += press(57)
    return found


def typed(layout: str, events: list[Event], terminator: str = "enter") -> list[str | Fault]:
    return [line for _, line in Keyboard(layout, terminator).feed(events)]


@pytest.mark.parametrize("layout", ["us", "de"])
@given(data=st.data())
def test_every_character_of_a_layout_can_be_typed(layout: str, data: st.DataObject) -> None:
    alphabet = sorted({char for row in LAYOUTS[layout].values() for char in row if char})
    text = data.draw(st.text(st.sampled_from(alphabet), min_size=1, max_size=40))
    assert typed(layout, keys_of(layout, text) + press(ENTER)) == [text]


def test_the_letters_that_layouts_disagree_on() -> None:
    """Keys 21 and 44 are Y and Z on one keyboard and Z and Y on the other; 12 with shift is `_` or `?`."""
    events = press(21) + press(44) + press(SHIFT, 12) + press(ENTER)
    assert typed("us", events) == ["yz_"]
    assert typed("de", events) == ["zy?"]


def test_a_gs1_code_keeps_its_group_separators() -> None:
    events = keys_of("us", "]C10109521") + press(CONTROL, 27) + keys_of("us", "10ABC") + press(ENTER)
    assert typed("us", events) == ["]C10109521\x1d10ABC"]


def test_dead_keys_caps_lock_and_tab() -> None:
    assert typed("de", press(13) + press(18) + press(ENTER)) == ["é"]
    assert typed("us", press(CAPS) + press(30) + press(2) + press(SHIFT, 30) + press(ENTER)) == ["A1a"]
    assert typed("us", press(30) + press(ENTER) + press(TAB), "tab") != ["a"]
    assert typed("us", press(30) + press(TAB), "tab") == ["a"]


def test_a_key_that_is_no_character_spoils_its_code_and_no_other() -> None:
    events = press(30) + press(59) + press(31) + press(ENTER) + press(32) + press(ENTER) + press(ALT, 71) + press(ENTER)
    first, second, third = typed("us", events)
    assert (first.counter, second, third.counter) == ("bad_lines", "d", "bad_lines")
    assert "key 59" in first.text


def test_lost_keys_and_half_a_code_are_no_codes() -> None:
    dropped = [*press(30), Event(9, 0, 3, 0), *press(31), *press(ENTER), *press(32), *press(ENTER)]
    lost, good = typed("us", dropped)
    assert "keys were lost" in lost.text
    assert good == "d"
    keyboard = Keyboard("us", "enter")
    assert list(keyboard.feed(press(30) + press(31))) == []
    assert keyboard.is_half
    assert "half a code of 2 characters" in keyboard.cut().text
    assert not keyboard.is_half


def test_auto_repeat_adds_nothing_and_memory_is_bounded() -> None:
    assert typed("us", [Event(1, EV_KEY, 30, 1), Event(1, EV_KEY, 30, 2), *press(ENTER)]) == ["a"]
    (fault,) = typed("us", press(30) * 600 + press(ENTER))
    assert "longer than 512" in fault.text


def test_prefix_and_suffix_are_taken_away_and_missed() -> None:
    affixes = Affixes("~", "!!")
    assert affixes.code_of("~42!!") == "42"
    assert "prefix" in affixes.code_of("42!!").text
    assert "suffix" in affixes.code_of("~42").text
    assert "no code" in affixes.code_of("~!!").text
    assert Affixes().code_of("42") == "42"
