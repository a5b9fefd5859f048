"""When new live readings go behind the backlog: while nobody takes them, so that live is live again the moment somebody does.

Each lane is sent in order of seq. If an outage's readings stayed in lane `live`, the first new reading afterwards would wait
behind all of them. So once the hub has been silent for some seconds, new readings are gathered into large frames of lane
`bulk`; what is left in `live` is a few seconds' worth. Pure: no clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

SILENT_S = 5.0
"""The hub has acknowledged nothing, and the oldest live frame has waited, for this long."""

OLD_S = 30.0
MANY_FRAMES = 500
"""Bounds on lane `live` where the hub does acknowledge, but the line carries less than is measured."""

RECENT_S = 2.0


@dataclass(slots=True)
class Diversion:
    """Whether live readings are diverted now; `look` decides anew."""

    on: bool = False

    def look(self, frames: int, oldest_s: float, silent_s: float) -> bool:
        """Decides from what waits in lane `live`: how many frames, how long the oldest has, how long the hub was silent."""
        if self.on:
            self.on = frames > 0 and (oldest_s >= RECENT_S or frames > MANY_FRAMES // 2)
        else:
            unheard = oldest_s > SILENT_S and silent_s > SILENT_S
            self.on = frames > 0 and (unheard or oldest_s > OLD_S or frames > MANY_FRAMES)
        return self.on
