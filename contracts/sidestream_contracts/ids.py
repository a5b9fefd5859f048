"""Ids: short lower-case strings that mean the same thing for ever."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

ID_PATTERN = r"^[a-z][a-z0-9_-]{0,30}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known id most like `wrong`, or None when none is close enough to be a slip of the pen."""
    matches = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
