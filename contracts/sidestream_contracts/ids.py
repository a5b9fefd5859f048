"""Ids: short lower-case strings that mean the same thing for ever."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

ID_PATTERN = r"^[a-z][a-z0-9_-]{0,30}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


def nearest(wrong: str, known: Iterable[str], likeness: float = 0.5) -> str | None:
    """The known id most like `wrong`, or None when none is close enough (0 to 1) to be a slip of the pen."""
    matches = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=likeness)
    return matches[0] if matches else None


def unknown(what: str, value: str, known: Iterable[str]) -> str:
    """A sentence for an id that does not exist: the nearest one that does, or all of them."""
    known = sorted(known)
    guess = nearest(value, known)
    if guess:
        return f"there is no {what} {value!r}; did you mean {guess!r}?"
    return f"there is no {what} {value!r}; known: {', '.join(known) or 'none'}"
