"""How long to wait before a dead child is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.2
LONGEST_S = 5.0
HEALTHY_AFTER_S = 10.0


@dataclass(slots=True)
class Backoff:
    """Delays that double from 0.2 s to at most 5 s, and begin anew after a life of at least 10 s."""

    _next_s: float = FIRST_S

    def after(self, lived_s: float) -> float:
        """The delay in s before the next start, given how long the last life was."""
        delay_s = FIRST_S if lived_s >= HEALTHY_AFTER_S else self._next_s
        self._next_s = min(2 * delay_s, LONGEST_S)
        return delay_s
