"""A line of the screen: what it is about, how it is, why, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Level = Literal["ok", "attention", "broken"]
RANK: dict[Level, int] = {"ok": 0, "attention": 1, "broken": 2}


@dataclass(frozen=True, slots=True)
class Line:
    """`todo` says what to do next; empty where nothing needs to be done."""

    subject: str
    level: Level
    text: str
    todo: str = ""


def duration(seconds: float) -> str:
    """A length of time as a person says it."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def size(count: float) -> str:
    """An amount of data as a person says it; decimal units."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.1f} GB" if count < 1000 else f"{count / 1000:.1f} TB"


def ago(at: datetime, now_at: datetime) -> str:
    """How long ago that was."""
    return f"{duration(max(0.0, (now_at - at).total_seconds()))} ago"
