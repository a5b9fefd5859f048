"""The local bus: ZeroMQ PUSH from every driver to PULL in the agent, one line per lane.

A line holds a bounded number of batches. When the agent stops taking from a lane (outbox full, disk full) that line fills
and its drivers see it at once, while the other lanes flow on. A driver in a process of its own is stood for by a thread here
(`isolation`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

import zmq

from sidestream_contracts.frame import LANES, Lane
from sidestream_edge.measurement import Batch, Mark, Reading, Scan

DEPTH: dict[Lane, int] = {"scan": 64, "live": 32, "bulk": 2}
"""Batches that either end of a line holds; a bulk batch carries up to a thousand readings, the others a few."""

_TAKE_AT_ONCE: dict[Lane, int] = {"scan": 32, "live": 32, "bulk": 1}
_LEFT_OPEN: list[zmq.Context[zmq.Socket[bytes]]] = []
"""Contexts with lines of hung drivers: ending one would wait for ever, and so would its garbage collection."""


class Bus:
    """The agent's end: receives batches lane by lane. Made before any driver starts."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=0)
        self._pulls: dict[Lane, zmq.Socket[bytes]] = {}
        for lane in LANES:
            pull = self._context.socket(zmq.PULL)
            pull.set_hwm(DEPTH[lane])
            pull.bind(_address(lane))
            self._pulls[lane] = pull
        self.refusing: dict[Lane, str] = {}
        """Lanes from which the agent takes nothing now, with the reason; read by drivers whose line is full."""

    def line(self, lane: Lane) -> Line:
        """A driver's end for `lane`; to be made, used and closed in the driver's own thread."""
        return Line(self._context, lane)

    def receive(self, lanes: Collection[Lane], timeout_s: float) -> Iterator[Batch]:
        """Batches that wait in `lanes`, a few at a time; waits up to `timeout_s` for the first."""
        poller = zmq.Poller()
        for lane in lanes:
            poller.register(self._pulls[lane], zmq.POLLIN)
        ready = dict(poller.poll(max(0, round(timeout_s * 1000))))
        for lane in lanes:
            for _ in range(_TAKE_AT_ONCE[lane] if self._pulls[lane] in ready else 0):
                try:
                    message = self._pulls[lane].recv(zmq.NOBLOCK)
                except zmq.Again:
                    break
                yield decode(message)

    def close(self, *, all_lines_closed: bool) -> None:
        """Ends the agent's side; what a hung driver still holds open stays so until the process ends."""
        for pull in self._pulls.values():
            pull.close(linger=0)
        if all_lines_closed:
            self._context.term()
        else:
            _LEFT_OPEN.append(self._context)


class Line:
    """A driver's end: `offer` never waits for more than its time-out and never drops."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], lane: Lane) -> None:
        self._push = context.socket(zmq.PUSH)
        self._push.set_hwm(DEPTH[lane])
        self._push.setsockopt(zmq.LINGER, 0)
        self._push.connect(_address(lane))

    def close(self) -> None:
        """Ends this line; what it has handed over stays with the agent."""
        self._push.close()

    def offer(self, batch: Batch) -> bool:
        """True when the agent's side has taken the batch; False when the line is full and nothing was sent."""
        try:
            self._push.send(encode(batch), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def _address(lane: Lane) -> str:
    return f"inproc://{lane}"


def encode(batch: Batch) -> bytes:
    """The batch as bytes."""
    body = [batch.driver, batch.lane, batch.clock, batch.readings, batch.scans, batch.cursor, batch.marks]
    return json.dumps(body, separators=(",", ":")).encode()


def decode(message: bytes) -> Batch:
    """The batch that `encode` made into `message`; ValueError or TypeError for other bytes."""
    driver, lane, clock, readings, scans, cursor, marks = json.loads(message)
    return Batch(
        driver, lane, clock, tuple(Reading(*r) for r in readings), tuple(Scan(*s) for s in scans), cursor,
        tuple(Mark(*m) for m in marks),
    )  # fmt: skip
