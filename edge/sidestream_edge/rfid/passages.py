"""The sequence of places gives a direction: in, out, or past.

A gate is two places, one on either side. Who is read at one and then at the other has passed, once, however often both
read it; who turns round in the door has not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sidestream_edge.rfid.events import Event

MOST_REMEMBERED = 20_000
"""Tags whose last leave is remembered, whatever the clock says."""


@dataclass(slots=True)
class Passages:
    """Turns enter events into passages between the pairs of places in `pairs`, at most `within_s` apart.

    Remembers a tag for `within_s` after its last leave, and no longer.
    """

    pairs: frozenset[tuple[str, str]]
    within_s: float
    _left: dict[str, Event]

    def __init__(self, pairs: Iterable[tuple[str, str]], within_s: float = 30.0) -> None:
        self.pairs = frozenset(pairs)
        self.within_s = within_s
        self._left = {}

    def __len__(self) -> int:
        return len(self._left)

    def add(self, event: Event) -> Event | None:
        """The passage that this event completes, if any; events of a tag come in their order."""
        if event.kind == "leave":
            self._left.pop(event.tag, None)
            self._left[event.tag] = event
            self._forget(event.decided_us)
            return None
        left = self._left.pop(event.tag, None)
        if left is None or (left.place, event.place) not in self.pairs:
            return None
        gap_s = (event.t_us - left.t_us) / 1e6
        if gap_s > self.within_s:
            return None
        sd_s = math.sqrt((left.sd_s**2 + event.sd_s**2) / 4 + gap_s**2 / 12)
        confidence = left.confidence * event.confidence
        middle_us = (left.t_us + event.t_us) // 2
        return replace(event, kind="pass", t_us=middle_us, sd_s=sd_s, confidence=confidence, origin=left.place)

    def _forget(self, now_us: int) -> None:
        oldest_us = now_us - 2 * self.within_s * 1e6
        while self._left:
            tag, event = next(iter(self._left.items()))
            if event.decided_us >= oldest_us and len(self._left) <= MOST_REMEMBERED:
                return
            del self._left[tag]
