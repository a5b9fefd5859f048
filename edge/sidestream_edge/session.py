"""What is said over one connection: status first, then frames as the window allows; acknowledgements, hello, commands.

No thread, no waiting: `advance` takes the events of a turn and publishes what may go out now.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from sidestream_contracts import failpoint
from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES, Lane, payload_hash
from sidestream_contracts.messages import Acknowledgement, Command, Status
from sidestream_contracts.topics import hello_topic
from sidestream_edge.clocksync import ClockWatch
from sidestream_edge.connection import (
    Confirmed,
    Connected,
    Connection,
    Event,
    Lost,
    PublishProperties,
    Received,
    Refused,
    packet_bytes,
    publish_properties,
)
from sidestream_edge.hubword import HubWord
from sidestream_edge.measurement import now_us
from sidestream_edge.outbox import Outbox, Place, Stored
from sidestream_edge.status import StatusClock
from sidestream_edge.suspicion import TRIALS, Suspicion
from sidestream_edge.window import Window, resend_after_s

log = structlog.get_logger()

FrameId = tuple[str, int, int]
"""Lane, epoch id, seq."""

IDLE_S = 0.5
BRIEF_S = 0.02
GOODBYE_S = 0.5
_TOO_LARGE = 149
_TAKEN_OVER = 142
_TAKEN_OVER_HINT = " by another client with our identity; do two gateways run with one edge.yaml?"
_HARMLESS_ENDS = {137, 138, 139, 141, 142, 152, 156, 157}
"""DISCONNECT reasons that say nothing of a frame: busy, banned, shutting down, keep-alive, taken over, administrative, moved."""


@dataclass(frozen=True, slots=True)
class _OnWire:
    """A frame whose PUBACK has not come."""

    frame: FrameId
    size_bytes: int
    since_s: float


class Session:
    """One connection's conversation; `lost` says why it is over."""

    def __init__(
        self,
        edge: EdgeFile,
        outbox: Outbox,
        connection: Connection,
        status: Callable[[], Status],
        suspicion: Suspicion[FrameId],
        *,
        hub_word: HubWord | None = None,
    ) -> None:
        self._hub_word = hub_word or HubWord()
        self._edge = edge
        self._outbox = outbox
        self._connection = connection
        self._status = status
        self._status_clock = StatusClock()
        self._clock_watch = ClockWatch()
        self._suspicion = suspicion
        self._window = Window()
        self._on_wire: dict[int, _OnWire] = {}
        self._more: dict[Lane, bool] = dict.fromkeys(LANES, True)
        self._limit = outbox.packet_limit
        self._receive_maximum = 65_535
        self._proven = False
        self.is_up = False
        self._trouble: str | None = None
        self._not_subscribed: str | None = None
        self.lost: str | None = None

    @property
    def trouble(self) -> str | None:
        """What is wrong while the connection stands, as a sentence."""
        return self._not_subscribed or self._trouble

    def idle_s(self) -> float:
        """How long nothing needs to be done unless something happens, in s."""
        return max(BRIEF_S, min(IDLE_S, self._window.next_due_s() - time.monotonic()))

    def advance(self, events: list[Event], *, woken: bool) -> None:
        """Takes in what happened, then publishes what is due; TransientError if the outbox can't be used now."""
        if woken:
            self._more = dict.fromkeys(LANES, True)
        for event in events:
            if self.lost is not None:
                break
            self._take(event)
        if self.lost is None and self.is_up:
            self._say_status()
            if self._proven:
                self._send_overdue()
                self._send_new()
            self._check_stalled()

    def say_goodbye(self, wake: socket.socket) -> None:
        """Leaves the retained status `offline` behind and waits shortly for the broker to confirm it."""
        status = self._status()
        body = Status(state="offline", epoch=status.epoch, at=status.at, agent=status.agent).model_dump_json().encode()
        mid = self._connection.publish(self._edge.address.topic("status"), body, retain=True) if self.is_up else None
        deadline_s = time.monotonic() + GOODBYE_S
        while mid is not None and time.monotonic() < deadline_s:
            for event in self._connection.turn(0.05, wake):
                if isinstance(event, Lost) or (isinstance(event, Confirmed) and event.mid == mid):
                    return

    def _take(self, event: Event) -> None:
        match event:
            case Connected(packet_limit_bytes, receive_maximum):
                self._begin(packet_limit_bytes, receive_maximum)
            case Received(topic, payload):
                self._received(topic, payload)
            case Confirmed(mid, refusal):
                self._confirmed(mid, refusal)
            case Refused(reason):
                self._not_subscribed = (
                    f"The broker will not let {self._edge.device} subscribe ({reason}), so no acknowledgement can come."
                    " Check the broker's access rules for this user."
                )
            case Lost():
                self._ended(event)

    def _begin(self, packet_limit: int | None, receive_maximum: int | None) -> None:
        self._outbox.remember_packet_limit("announced", packet_limit)
        if packet_limit is not None:
            self._outbox.remember_packet_limit("learnt", None)
        self._limit = self._outbox.packet_limit
        self._receive_maximum = receive_maximum or self._receive_maximum
        address = self._edge.address
        self._connection.subscribe([address.topic("ack"), address.topic("cmd"), hello_topic(address.hub)])
        self.is_up = True

    def _received(self, topic: str, payload: bytes) -> None:
        address = self._edge.address
        try:
            if topic == address.topic("ack"):
                ack = Acknowledgement.model_validate_json(payload)
                self._acknowledged(ack)
                self._hub_word.hear(ack)
            elif topic == address.topic("cmd"):
                self._command(Command.model_validate_json(payload))
            elif topic == hello_topic(address.hub):
                self._send_all_again()
        except ValidationError as error:
            log.warning("ignored what is no message v1", topic=topic, error=str(error).replace("\n", " "))

    def _command(self, command: Command) -> None:
        log.info("command", id=command.id, do=command.do)
        if command.do == "resend":
            self._send_all_again()
        else:
            self._status_clock = StatusClock()

    def _send_all_again(self) -> None:
        self._window.restart()
        self._more = dict.fromkeys(LANES, True)

    def _acknowledged(self, ack: Acknowledgement) -> None:
        try:
            gone = self._outbox.acknowledge(ack, self._window.places(ack.lane))
        except TransientError as error:
            # they stay in the outbox; out of the window they hold up nothing, and a later acknowledgement covers them too
            self._trouble = str(error)
            gone = self._outbox.covered(ack, self._window.places(ack.lane))
        if gone is None:
            log.warning(
                "ignored an acknowledgement of what was never sent", epoch=ack.epoch, lane=ack.lane, upto=ack.upto
            )
            return
        self._window.done(ack.lane, gone, time.monotonic())
        self._more[ack.lane] = True

    def _confirmed(self, mid: int, refusal: str | None) -> None:
        self._proven = True
        wire = self._on_wire.pop(mid, None)
        if wire is None:
            return
        if refusal is not None:
            self._trouble = f"The broker refused a frame of {self._edge.device}: {refusal}. It stays in the outbox and is sent again."
            return
        self._suspicion.delivered(wire.frame, wire.size_bytes)
        self._trouble = None

    def _ended(self, event: Lost) -> None:
        self.lost = f"{event.reason}{_TAKEN_OVER_HINT if event.code == _TAKEN_OVER else ''}"
        self.is_up = False
        if not event.by_peer or not self._proven or event.code in _HARMLESS_ENDS:
            return
        unconfirmed: Mapping[FrameId, int] = {wire.frame: wire.size_bytes for wire in self._on_wire.values()}
        convicted = self._suspicion.connection_lost(unconfirmed, says_too_large=event.code == _TOO_LARGE)
        if convicted is not None:
            self._park_convicted(convicted, unconfirmed[convicted])

    def _park_convicted(self, frame: FrameId, size: int) -> None:
        lane, epoch_id, seq = frame
        stored = self._outbox.get(lane, Place(epoch_id, seq))  # type: ignore[arg-type]
        if stored is not None:
            self._park(
                stored, size, size - 1, f"the broker ended the connection each time it was sent ({TRIALS} trials)"
            )
        self._outbox.remember_packet_limit("learnt", size - 1)

    def _park(self, stored: Stored, size: int, limit: int, reason: str) -> Stored:
        log.error("parked a frame that the broker will not carry", lane=stored.key.lane, seq=stored.key.seq, bytes=size,
                  limit=limit, reason=reason)  # fmt: skip
        return self._outbox.park(stored, limit, reason)

    def _say_status(self) -> None:
        now_s = time.monotonic()
        if self._status_clock.may_look(now_s):
            status = self._status()
            if self._status_clock.is_due(status, now_s):
                body = status.model_dump_json().encode()
                self._connection.publish(self._edge.address.topic("status"), body, retain=True)

    def _send_overdue(self) -> None:
        now_s = time.monotonic()
        on_wire = {wire.frame for wire in self._on_wire.values()}
        for lane, place in self._window.overdue(now_s):
            if (lane, place.epoch_id, place.seq) in on_wire or len(self._on_wire) >= self._receive_maximum:
                continue
            stored = self._outbox.get(lane, place)
            if stored is None:
                self._window.done(lane, [place])
            elif not self._send(stored):
                return

    def _send_new(self) -> None:
        if self._suspicion.suspect is not None:
            self._try_suspect(self._suspicion.suspect)
            return
        for lane in LANES:
            room = min(self._window.room(lane), self._receive_maximum - len(self._on_wire))
            while self._more[lane] and room > 0:
                found = self._outbox.waiting(lane, self._window.read_to(lane), min(room, 8))
                self._more[lane] = len(found) == min(room, 8)
                if not all(self._window.room(lane) > 0 and self._send(stored) for stored in found):
                    self._more[lane] = True
                    break
                room = min(self._window.room(lane), self._receive_maximum - len(self._on_wire))

    def _try_suspect(self, frame: FrameId) -> None:
        """Sends the suspect alone; everything else waits for the verdict, which takes three connections at most."""
        if self._on_wire:
            return
        lane, epoch_id, seq = frame
        stored = self._outbox.get(lane, Place(epoch_id, seq))  # type: ignore[arg-type]
        if stored is None:
            self._suspicion.acquit()
            return
        self._send(stored)
        self._window.restart()

    def _send(self, stored: Stored) -> bool:
        lane = stored.key.lane
        flights = self._window.times_sent(lane, stored.place)
        topic = self._edge.address.topic(stored.channel)
        properties = self._properties(stored, flights)
        size = packet_bytes(topic, stored.payload, properties)
        reason = self._unfit(stored, size)
        if reason is not None:
            stored = self._park(stored, size, self._limit or size, reason)
            properties = self._properties(stored, flights)
            size = packet_bytes(topic, stored.payload, properties)
        mid = self._connection.publish(topic, stored.payload, properties)
        if mid is None:
            return False
        failpoint.reach("edge.after_publish")
        now_s = time.monotonic()
        self._window.sent(lane, stored.place, size, now_s)
        self._on_wire[mid] = _OnWire((lane, stored.place.epoch_id, stored.place.seq), size, now_s)
        return True

    def _properties(self, stored: Stored, flights: int) -> PublishProperties:
        """The frame's key, and beside it when and by which clock this very publish was made."""
        told = [("sent", str(now_us())), ("sync", self._clock_watch.sync())]
        return publish_properties([*stored.key.properties(), *told], resend_after_s(flights + 1))

    def _unfit(self, stored: Stored, size: int) -> str | None:
        """Why the hub will never get this frame as it is, or None."""
        if self._limit is not None and size > self._limit:
            return "larger than the broker's maximum packet size"
        if payload_hash(stored.payload) != stored.key.hash:
            return "damaged on this gateway's disk: its bytes no longer match their hash"
        return None

    def _check_stalled(self) -> None:
        oldest_s = min((wire.since_s for wire in self._on_wire.values()), default=float("inf"))
        if time.monotonic() - oldest_s > self._edge.broker.keepalive_s:
            self.lost = f"it confirmed nothing for {self._edge.broker.keepalive_s} s"
            self.is_up = False
