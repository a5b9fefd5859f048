"""Finds the frame that a broker won't carry when the broker doesn't say so and only drops the connection.

Pure. A frame is convicted only by a trial: sent alone on a connection that had just worked, it must see three connections
end. Frames no larger than one that already passed, or up to 4 kB, are never suspected, so that a broker that is killed
again and again, or a line that flaps, convicts nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

SMALLEST_BYTES = 4096
TRIALS = 3

K = TypeVar("K")


@dataclass(slots=True)
class Suspicion(Generic[K]):
    """What is known of the broker's unspoken limit; `K` identifies a frame."""

    passed_bytes: int = SMALLEST_BYTES
    suspect: K | None = None
    _losses: int = field(default=0)

    def delivered(self, key: K, size_bytes: int) -> None:
        """The broker confirmed a packet of this size."""
        self.passed_bytes = max(self.passed_bytes, size_bytes)
        if key == self.suspect:
            self.acquit()

    def acquit(self) -> None:
        """Nobody is suspected any more."""
        self.suspect, self._losses = None, 0

    def connection_lost(self, unconfirmed: Mapping[K, int], *, says_too_large: bool = False) -> K | None:
        """The frame to be parked, when this loss convicts one; `unconfirmed` are packet sizes the broker had not confirmed.

        To be called only when the peer ended a connection over which something had already been confirmed.
        """
        alone = len(unconfirmed) == 1 and self.suspect in unconfirmed
        if alone and self.suspect is not None:
            self._losses += 1
            if says_too_large or self._losses >= TRIALS:
                convicted = self.suspect
                self.acquit()
                return convicted
            return None
        large = {key: size for key, size in unconfirmed.items() if size > self.passed_bytes}
        if large and self.suspect not in large:
            self.suspect, self._losses = max(large, key=lambda key: large[key]), 0
        return None
