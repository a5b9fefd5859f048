"""When the agent's status is told: at once after a change of state, every 10 s while only counters move, never twice a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sidestream_contracts.messages import Status

SHORTEST_S = 1.0
COUNTERS_S = 10.0


@dataclass(slots=True)
class StatusClock:
    """Remembers what was told last; pure, with the time given in monotonic seconds."""

    _told_s: float = field(default=float("-inf"))
    _looked_s: float = field(default=float("-inf"))
    _told: Status | None = None

    def may_look(self, now_s: float) -> bool:
        """Whether it is time to look at the status again: True at most once a second."""
        if now_s - self._looked_s < SHORTEST_S:
            return False
        self._looked_s = now_s
        return True

    def is_due(self, status: Status, now_s: float) -> bool:
        """Whether `status` is to be told now; it then counts as told."""
        if self._told is not None:
            changed = _state(status) != _state(self._told)
            counted = now_s - self._told_s >= COUNTERS_S and _content(status) != _content(self._told)
            if not changed and not counted:
                return False
        self._told, self._told_s = status, now_s
        return True


def _state(status: Status) -> Any:
    drivers = [(d.id, d.state, d.restarts, d.error) for d in status.drivers]
    sensors = {sensor.id for sensor in status.sensors}
    return status.state, status.epoch, status.parked, drivers, sensors, (status.model_extra or {}).get("trouble")


def _content(status: Status) -> dict[str, Any]:
    return status.model_dump(exclude={"at"})
