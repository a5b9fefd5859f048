"""How long to wait before trying again: soon at first, then longer, with a random part so that many don't come at once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubles from `first_s` to `longest_s`; each wait is drawn from the upper half of its span."""

    first_s: float
    longest_s: float
    _times: int = field(default=0)

    def next_s(self) -> float:
        """The next wait in seconds."""
        span_s = min(self.longest_s, self.first_s * 2.0 ** min(self._times, 30))
        self._times += 1
        return span_s * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing

    def reset(self) -> None:
        """It worked: the next wait is short again."""
        self._times = 0
