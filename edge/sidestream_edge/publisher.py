"""Sends what waits in the outbox and takes the hub's acknowledgements: one thread, one connection at a time.

Guarantees: nothing leaves the outbox before the hub's own acknowledgement; nothing is published while offline; each lane
goes out in order; at most 64 frames are unacknowledged; a frame that the broker will not carry is parked, so that it can
hold up nothing. What goes wrong is kept in `trouble` and logged once per change.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.errors import SidestreamError, TransientError
from sidestream_contracts.messages import Status
from sidestream_edge.backoff import Backoff
from sidestream_edge.connection import Connection, Will
from sidestream_edge.hubword import HubWord
from sidestream_edge.outbox import Outbox
from sidestream_edge.session import Session
from sidestream_edge.suspicion import Suspicion

log = structlog.get_logger()

LASTED_S = 5.0
"""A connection that stood this long was a good one: the next attempt comes soon."""
MANY_ENDS = 3
SOON_S = 30.0
"""So many connections that stood and ended within this time are a sign of more than a bad line."""


class Publisher:
    """Runs from `start` to `stop`; `wake` says that something was stored."""

    def __init__(self, edge: EdgeFile, outbox: Outbox, status: Callable[[], Status]) -> None:
        self._edge = edge
        self._outbox = outbox
        self._status = status
        self._suspicion: Suspicion[tuple[str, int, int]] = Suspicion()
        self._backoff = Backoff(first_s=0.1, longest_s=1.0)
        self._stop = threading.Event()
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._failure: SidestreamError | None = None
        self._up_s = time.monotonic()
        self._ends_s: deque[float] = deque(maxlen=MANY_ENDS)
        self.trouble: str | None = None
        self.connected = False
        self.hub_word = HubWord()
        self.ends = 0
        """Connections that stood and then ended, since the start."""

    def start(self) -> None:
        """Begins to connect and send; returns at once."""
        self._thread.start()

    def wake(self) -> None:
        """Makes the thread look at the outbox now; may be called from any thread, costs next to nothing."""
        try:
            self._wake_w.send(b"w")
        except BlockingIOError:
            return  # so many wakes are waiting that one more says nothing new

    def check(self) -> None:
        """Raises what made the thread give up, if it did."""
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise SidestreamError("The publisher thread ended; its traceback stands above. Start the edge agent again.")

    def stop(self, timeout_s: float) -> None:
        """Says goodbye to the broker and ends, waiting for at most `timeout_s`; frames stay in the outbox."""
        self._stop.set()
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._wake_r.close()
            self._wake_w.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            try:
                self._connect_and_serve()
            except TransientError as error:
                self._note(str(error))
            except SidestreamError as error:
                self._note(str(error))
                self._failure = error
                return
            now_s = time.monotonic()
            if now_s - began_s >= LASTED_S:
                self._backoff.reset()
            self._backoff.longest_s = min(15.0, max(1.0, (now_s - self._up_s) / 20))
            self._stop.wait(self._backoff.next_s())

    def _connect_and_serve(self) -> None:
        address, broker = self._edge.address, self._edge.broker
        will = self._status().model_copy(update={"state": "offline"})
        will_body = Status(state="offline", epoch=will.epoch, at=will.at, agent=will.agent).model_dump_json().encode()
        client_id = f"{address.hub}.{address.party}.{address.device}"
        connection = Connection(broker, client_id, Will(address.topic("status"), will_body))
        session = Session(self._edge, self._outbox, connection, self._status, self._suspicion, hub_word=self.hub_word)
        was_up = False
        try:
            while not self._stop.is_set() and session.lost is None:
                events = connection.turn(session.idle_s(), self._wake_r)
                woken = self._drain_wakes()
                session.advance(events, woken=woken)
                self.connected = session.is_up
                was_up = was_up or session.is_up
                if session.is_up:
                    self._up_s = time.monotonic()
                    self._note(session.trouble or self._flaps())
            if session.lost is None:
                session.say_goodbye(self._wake_r)
        finally:
            self.connected = False
            if session.lost is None:
                connection.close()
            else:
                connection.abandon()
        if session.lost is not None:
            if was_up:
                self.ends += 1
                self._ends_s.append(time.monotonic())
            gone = f"The broker {broker.host}:{broker.port} is gone: {session.lost}. Connecting again."
            raise TransientError(" ".join(filter(None, [gone, self._flaps()])))

    def _flaps(self) -> str | None:
        """Said while good connections have just ended again and again; not every broker says why it ends one."""
        if len(self._ends_s) < MANY_ENDS or time.monotonic() - self._ends_s[0] > SOON_S:
            return None
        own = self._edge.address
        return (
            f"The broker's line ended {MANY_ENDS} times within {SOON_S:.0f} s: is the network sound, or does another client"
            f" use our identity ({own.hub}.{own.party}.{own.device})?"
        )

    def _drain_wakes(self) -> bool:
        try:
            return bool(self._wake_r.recv(4096))
        except BlockingIOError:
            return False

    def _note(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is None:
            log.info("connected to the broker", host=self._edge.broker.host, port=self._edge.broker.port)
        else:
            log.warning(trouble)
