"""What people write can't steer the terminal of who reads it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_contracts.errors import DomainError
from sidestream_contracts.spoken import readable


@given(st.text())
def test_what_is_taken_holds_no_control_character(text: str):
    """Whatever is written, either it is refused, or nothing but line ends and tabs in it is a control character."""
    steering = [c for c in text.replace("\r\n", "\n") if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    try:
        readable(text, "The note")
    except DomainError:
        assert steering or re.search("[\u202a-\u202e\u2066-\u2069]", text)
    else:
        assert not steering


@pytest.mark.parametrize(
    "text", ["Kari Åsen", "line one\nline two\tand 5 °C – “so”", "  stripped ", "10\N{NO-BREAK SPACE}t", "a\r\nb"]
)
def test_ordinary_writing_is_taken(text: str):
    assert readable(text, "The note") == text.strip()


@pytest.mark.parametrize("text", ["a\x1b[31mred", "a\0", "a\rb", "a\u202eb", "a\ud800"])
def test_what_could_steer_a_terminal_is_refused_with_its_place(text: str):
    with pytest.raises(DomainError, match=re.escape("The note has a character at place 2 that can't be shown (U+")):
        readable(text, "The note")
