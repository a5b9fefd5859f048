"""Keys of a keyboard become codes, by the layout that the scanner is set to (US or German). Pure.

A code ends with Enter or Tab. Control with `]` is the group separator of GS1, as many scanners send it. A dead key of the
German layout and the letter or space after it are one character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from sidestream_edge.drivers.base import MAX_CODE
from sidestream_edge.drivers.lines import Fault

Layout = Literal["us", "de"]
EV_SYN, EV_KEY, SYN_DROPPED = 0, 1, 3
ENTER, KEYPAD_ENTER, TAB = 28, 96, 15
_SHIFTS, _CONTROLS, _ALT, _ALT_GR, _CAPS_LOCK = (42, 54), (29, 97), 56, 100, 58
_MODIFIERS = {*_SHIFTS, *_CONTROLS, _ALT, _ALT_GR, _CAPS_LOCK, 69, 125, 126}
_DEAD = {"^": "\u0302", "´": "\u0301", "`": "\u0300"}


class Event(NamedTuple):
    """One event of the kernel's input layer; `t` in µs UTC."""

    t: int
    type: int
    code: int
    value: int


def _rows(*rows: tuple[int, str, str, str]) -> dict[int, tuple[str, str, str]]:
    """Keys from their first number on: plain, with shift, with AltGr; a blank means: nothing (but for the space bar)."""
    found: dict[int, tuple[str, str, str]] = {57: (" ", " ", " ")}
    for first, plain, shifted, alt_gr in rows:
        for n, key in enumerate(plain):
            found[first + n] = (key, shifted[n], alt_gr[n].strip() if n < len(alt_gr) else "")
    for n, key in enumerate("789-456+1230."):
        found[71 + n] = (key, key, "")
    found[55], found[98] = ("*", "*", ""), ("/", "/", "")
    return found


LAYOUTS: dict[Layout, dict[int, tuple[str, str, str]]] = {
    "us": _rows(
        (2, "1234567890-=", "!@#$%^&*()_+", ""),
        (16, "qwertyuiop[]", "QWERTYUIOP{}", ""),
        (30, "asdfghjkl;'`", 'ASDFGHJKL:"~', ""),
        (43, "\\zxcvbnm,./", "|ZXCVBNM<>?", ""),
        (86, "\\", "|", ""),
    ),
    "de": _rows(
        (2, "1234567890ß´", '!"§$%&/()=?`', " ²³   {[]}\\ "),
        (16, "qwertzuiopü+", "QWERTZUIOPÜ*", "@ €        ~"),
        (30, "asdfghjklöä^", "ASDFGHJKLÖÄ°", ""),
        (43, "#yxcvbnm,.-", "'YXCVBNM;:_", "       µ   "),
        (86, "<", ">", "|"),
    ),
}


class Typed(NamedTuple):
    """A code, or what came instead of one, and when its last key was pressed (µs UTC)."""

    t: int
    line: str | Fault


class Keyboard:
    """Follows one keyboard; holds at most one unfinished code of bounded length."""

    def __init__(self, layout: Layout, terminator: Literal["enter", "tab"]) -> None:
        self._map = LAYOUTS[layout]
        self._dead = _DEAD if layout == "de" else {}
        self._ends = (TAB,) if terminator == "tab" else (ENTER, KEYPAD_ENTER)
        self._held: set[int] = set()
        self._capitals = False
        self._text = ""
        self._pending = ""
        self._fault: Fault | None = None

    @property
    def is_half(self) -> bool:
        """Whether a code has begun and not ended."""
        return bool(self._text or self._pending) or self._fault is not None

    def feed(self, events: Iterable[Event]) -> Iterator[Typed]:
        """The codes and faults that the events complete."""
        for event in events:
            if event.type == EV_SYN and event.code == SYN_DROPPED:
                self._fault = Fault("bad_lines", "keys were lost: they came faster than they were read")
            elif event.type == EV_KEY and event.code in _MODIFIERS:
                self._modifier(event)
            elif event.type == EV_KEY and event.value == 1:
                if event.code in self._ends:
                    if self.is_half:
                        yield Typed(event.t, self._end())
                else:
                    self._key(event.code)

    def cut(self) -> Fault | None:
        """Half a code that won't be finished; the next key begins a new one."""
        half, fault = self._text + self._pending, self._fault
        self._text, self._pending, self._fault = "", "", None
        if fault is not None or not half:
            return fault
        return Fault("half_lines", f"half a code of {len(half)} characters without its end: {half[:40]!r}; not taken")

    def _modifier(self, event: Event) -> None:
        if event.value == 0:
            self._held.discard(event.code)
        else:
            self._held.add(event.code)
            if event.code == _CAPS_LOCK and event.value == 1:
                self._capitals = not self._capitals

    def _end(self) -> str | Fault:
        text, fault = self._text + self._pending, self._fault
        self._text, self._pending, self._fault = "", "", None
        return fault or text

    def _key(self, code: int) -> None:
        if self._fault is not None:
            return
        char = self._char(code)
        if char is None:
            self._fault = Fault("bad_lines", f"after {self._text[:40]!r} came key {code}, which is no character")
            return
        if self._pending:
            mark, self._pending = self._pending, ""
            char = mark if char == " " else _composed(mark, char)
        elif char in self._dead:
            self._pending = char
            return
        self._text += char
        if len(self._text) > MAX_CODE:
            self._fault = Fault("bad_lines", f"a code is longer than {MAX_CODE} characters: {self._text[:40]!r}")
            self._text = ""

    def _char(self, code: int) -> str | None:
        plain, shifted, alt_gr = self._map.get(code, ("", "", ""))
        shift = any(key in self._held for key in _SHIFTS)
        if _ALT_GR in self._held:
            return alt_gr or None
        if _ALT in self._held:
            return None
        char = shifted if shift != (self._capitals and plain.isalpha()) else plain
        if any(key in self._held for key in _CONTROLS):
            return chr(ord(char.upper()) & 0x1F) if char and "A" <= char.upper() <= "_" else None
        return char or None


def _composed(mark: str, char: str) -> str:
    """One character where there is one for the mark and the letter, else both."""
    one = unicodedata.normalize("NFC", char + _DEAD[mark])
    return one if len(one) == 1 else mark + char
