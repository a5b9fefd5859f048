"""What a driver could not use, counted by place and reason, for the agent's status: nothing vanishes silently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MOST = 20
"""Places and reasons told one by one; further ones are counted together."""

_OTHERS = ("elsewhere", "other")


@dataclass(slots=True)
class _Entry:
    count: int
    last: str
    at: datetime


@dataclass(slots=True)
class Rejected:
    """Counts every rejection; keeps the text of the last one of each kind."""

    _entries: dict[tuple[str, str], _Entry] = field(default_factory=dict)

    def add(self, where: str, reason: str, text: str) -> bool:
        """Counts one; whether this is the first of its kind."""
        key = (where, reason)
        if key not in self._entries and len(self._entries) >= MOST:
            key = _OTHERS
        entry, now = self._entries.get(key), datetime.now(UTC)
        if entry is None:
            self._entries[key] = _Entry(1, text, now)
            return True
        entry.count, entry.last, entry.at = entry.count + 1, text, now
        return False

    @classmethod
    def of(cls, told: Iterable[Mapping[str, Any]]) -> Rejected:
        """What `told` was made from."""
        entries = {
            (str(e["where"]), str(e["reason"])): _Entry(
                int(e["count"]), str(e["last"]), datetime.fromisoformat(e["at"])
            )
            for e in told
        }
        return cls(entries)

    def told(self) -> list[dict[str, Any]]:
        """For the status: where, reason, how many, the last one's text and time."""
        return [
            {"where": where, "reason": reason, "count": e.count, "last": e.last, "at": e.at.isoformat()}
            for (where, reason), e in list(self._entries.items())
        ]
