"""What the hub lets this agent know beside what is committed: its clock, and what it could not use and why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sidestream_contracts.messages import Acknowledgement

KEPT_S = 600.0
"""How long a refusal stands that the hub does not repeat."""

CLOCK_OFF_S = 60.0
_MOST = 50


class HubWord:
    """Heard in the publisher's thread, read by others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        self.acknowledged_at: datetime | None = None
        """When the hub last said that something is committed, by this gateway's clock."""
        self.clock_off_s: float | None = None
        """This gateway's clock minus the hub's, give or take the way of a message; None if the hub told no time."""

    def hear(self, ack: Acknowledgement) -> None:
        """Takes in what an acknowledgement says beside the keys."""
        now_at = datetime.now(UTC)
        self.acknowledged_at = now_at
        if ack.at is not None:
            self.clock_off_s = (now_at - ack.at).total_seconds()
        with self._lock:
            for refusal in ack.refused:
                entry = {
                    "sensor": refusal.sensor,
                    "reason": refusal.reason,
                    "text": refusal.text,
                    "at": now_at.isoformat(),
                }
                self._refused.pop((refusal.sensor or "", refusal.reason), None)
                self._refused[refusal.sensor or "", refusal.reason] = self._clock(), entry
            while len(self._refused) > _MOST:
                del self._refused[next(iter(self._refused))]

    def refused(self) -> list[dict[str, Any]]:
        """What the hub could not use in the last ten minutes: sensor, reason, sentence, time."""
        with self._lock:
            return [entry for at_s, entry in self._refused.values() if self._clock() - at_s < KEPT_S]

    @property
    def trouble(self) -> str | None:
        """That the clock is far off, as a sentence."""
        off_s = self.clock_off_s
        if off_s is None or abs(off_s) < CLOCK_OFF_S:
            return None
        return (
            f"This gateway's clock is {_length(abs(off_s))} {'ahead of' if off_s > 0 else 'behind'} the hub's. Set it and keep it"
            " right by NTP (timedatectl set-ntp true); readings carry its time."
        )


def _length(seconds: float) -> str:
    for size, name in ((31_557_600, "years"), (86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
