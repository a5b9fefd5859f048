"""When to say again that a sensor can't be read: at the beginning, and then once a minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

REMIND_S = 60.0


@dataclass(slots=True)
class Reminder:
    """Which sensors are in trouble and when that was last told; pure, with the time in monotonic seconds."""

    _told_s: dict[str, float] = field(default_factory=dict)

    def due(self, sensors: Iterable[str], now_s: float) -> list[str]:
        """Those of which it is to be told now; it then counts as told."""
        found = [s for s in dict.fromkeys(sensors) if now_s - self._told_s.get(s, float("-inf")) >= REMIND_S]
        self._told_s.update(dict.fromkeys(found, now_s))
        return found

    def well(self, sensors: Iterable[str]) -> None:
        """These can be read: their next trouble is told at once."""
        for sensor in sensors:
            self._told_s.pop(sensor, None)
