"""Lines of a status on the terminal: how it is, why, and what to do next."""

from __future__ import annotations

import sys
import textwrap

from sidestream_app.status.line import Level, Line

WORDS: dict[Level, str] = {"ok": "OK", "attention": "ATTENTION", "broken": "BROKEN"}
_COLOURS: dict[Level, str] = {"ok": "32", "attention": "33", "broken": "31;1"}
_SUBJECT = 12
_WIDTH = 118


def print_line(line: Line, subject_width: int = _SUBJECT) -> None:
    """The line, wrapped, with what to do below it."""
    margin = 11 + subject_width + 1
    head = f"{_painted(line.level)} {line.subject:<{subject_width}} "
    told = textwrap.wrap(line.text, _WIDTH - margin, break_on_hyphens=False) or [""]
    print(head + told[0])
    for more in told[1:]:
        print(" " * margin + more)
    if line.todo:
        print(
            textwrap.fill(line.todo, _WIDTH, initial_indent=" " * margin + "→ ", subsequent_indent=" " * (margin + 2))
        )


def _painted(level: Level) -> str:
    word = f"{WORDS[level]:<10}"
    return f"\x1b[{_COLOURS[level]}m{word}\x1b[0m" if sys.stdout.isatty() else word
