"""Which frames are on their way: at most 64 that the hub has not acknowledged, shared fairly between the lanes.

Pure bookkeeping, no clock and no I/O. Each lane has 8 places that no other can take, so that bulk never starves and an
alarm never waits behind a backlog. How many bytes of bulk may be under way is learnt from how soon the hub acknowledges them:
much on a fast line, so that a backlog drains at its speed; about one frame on a slow one, so that little stands between a
new scan and the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidestream_contracts.frame import LANES, Lane
from sidestream_edge.outbox import Place

TOTAL = 64
RESERVED = 8
CAP: dict[Lane, int] = {"scan": 48, "live": 48, "bulk": 32}
CAP_BYTES: dict[Lane, int] = {"scan": 1 << 20, "live": 1 << 20, "bulk": 1 << 22}
FIRST_BULK_BYTES = 1 << 15
"""Before anything is known of the line: four seconds of one with 64 kbit/s, and doubled with each quick round trip."""
LEAST_BULK_BYTES = 1 << 14
FAST_S = 0.3
SLOW_S = 1.0
"""A round trip of bulk, from sending to the hub's acknowledgement, below which it gets more room, and above which less."""

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0


@dataclass(slots=True)
class Flight:
    """A frame that was sent: when last and when it is due again (monotonic seconds), and how often it went out."""

    size_bytes: int
    sent_s: float
    due_s: float
    sent: int


class Window:
    """Frames in flight by lane and place, and how far each lane was read from the outbox."""

    def __init__(self) -> None:
        self._flights: dict[Lane, dict[Place, Flight]] = {lane: {} for lane in LANES}
        self._read_to: dict[Lane, Place | None] = dict.fromkeys(LANES)
        self._cap_bytes = {**CAP_BYTES, "bulk": FIRST_BULK_BYTES}

    def restart(self) -> None:
        """Forgets what was sent: after a hub's hello every lane begins again at its oldest frame."""
        for lane in LANES:
            self._flights[lane].clear()
            self._read_to[lane] = None

    def read_to(self, lane: Lane) -> Place | None:
        """The last frame of `lane` that was sent for the first time; the next new one stands behind it."""
        return self._read_to[lane]

    def room(self, lane: Lane) -> int:
        """How many more frames of `lane` may be sent now."""
        mine = self._flights[lane]
        if mine and sum(f.size_bytes for f in mine.values()) >= self._cap_bytes[lane]:
            return 0
        used = {name: len(flights) for name, flights in self._flights.items()}
        kept_for_others = sum(max(0, RESERVED - used[other]) for other in LANES if other != lane)
        return max(0, min(CAP[lane] - used[lane], TOTAL - sum(used.values()) - kept_for_others))

    def sent(self, lane: Lane, place: Place, size_bytes: int, now_s: float) -> float:
        """Notes a frame as sent and returns its re-send time-out in s: 2 s, doubled each time, at most 5 min."""
        before = self._flights[lane].get(place)
        times = before.sent + 1 if before else 1
        wait_s = resend_after_s(times)
        self._flights[lane][place] = Flight(size_bytes, now_s, now_s + wait_s, times)
        if before is None:
            self._read_to[lane] = max(place, self._read_to[lane] or place)
        return wait_s

    def times_sent(self, lane: Lane, place: Place) -> int:
        """How often the frame at `place` has gone out since the last restart."""
        flight = self._flights[lane].get(place)
        return flight.sent if flight else 0

    def overdue(self, now_s: float) -> list[tuple[Lane, Place]]:
        """Frames whose acknowledgement is late, lanes by priority and in order of seq."""
        return [
            (lane, p) for lane in LANES for p in sorted(self._flights[lane]) if self._flights[lane][p].due_s <= now_s
        ]

    def next_due_s(self) -> float:
        """Monotonic time at which the next frame is due again; infinite when none is in flight."""
        return min((f.due_s for flights in self._flights.values() for f in flights.values()), default=float("inf"))

    def places(self, lane: Lane) -> list[Place]:
        """What of `lane` is in flight."""
        return sorted(self._flights[lane])

    def done(self, lane: Lane, places: Iterable[Place], acknowledged_s: float | None = None) -> None:
        """Takes frames out that are gone from the outbox, or that were acknowledged at the monotonic `acknowledged_s`."""
        ended = [flight for place in places if (flight := self._flights[lane].pop(place, None)) is not None]
        first = [flight for flight in ended if flight.sent == 1]  # of others it is not known which time was answered
        if lane == "bulk" and acknowledged_s is not None and first:
            self._learn(acknowledged_s - min(flight.sent_s for flight in first), sum(f.size_bytes for f in first))

    def _learn(self, round_trip_s: float, size_bytes: int) -> None:
        now = self._cap_bytes["bulk"]
        if round_trip_s < FAST_S:
            self._cap_bytes["bulk"] = min(CAP_BYTES["bulk"], now + size_bytes)
        elif round_trip_s > SLOW_S:
            self._cap_bytes["bulk"] = max(LEAST_BULK_BYTES, now // 2)

    def __len__(self) -> int:
        return sum(len(flights) for flights in self._flights.values())


def resend_after_s(times_sent: int) -> float:
    """How long to wait for the hub's acknowledgement of a frame that has gone out `times_sent` times."""
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(times_sent - 1, 20)))
