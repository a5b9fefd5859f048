"""Takes what loggers post; answers yes only when it is on the disk, and counts what is sent again only once.

A body is one batch: it enters the outbox as a whole. A value is known again by sensor, source time and value, a whole body
by its hash, across restarts too. What comes without a time is stamped at its arrival and announced as at least once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from pathlib import Path

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_http import HttpDevice, HttpDriver
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Lane, Quality
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import BEAT_S, DriverContext
from sidestream_edge.drivers.bodies import Fault, Found
from sidestream_edge.drivers.http.body import read_body
from sidestream_edge.drivers.http.receipts import Receipts, body_hash
from sidestream_edge.drivers.http.server import AGAIN_S, Answer, Listener, Posted, refusal
from sidestream_edge.drivers.reminder import Reminder
from sidestream_edge.measurement import Batch, Mark, Reading, now_us

TOLD_FAULTS = 20
_POLL_S = 0.02
_LOCAL = ("127.", "localhost", "::1")


def build(config: HttpDriver, _base: Path, _edge: EdgeFile) -> HttpPush:
    """The listener of one section."""
    return HttpPush(config)


class HttpPush:
    """One listener; `lane` live."""

    type = "http"
    lane: Lane = "live"
    patience_s = 30.0

    def __init__(self, config: HttpDriver) -> None:
        self.id = config.id
        self._config = config
        self._where = f"HTTP listener {config.id} ({config.host}:{config.port})"
        self._reminder = Reminder()
        self._desk: queue.Queue[_Request] = queue.Queue(config.max_connections)
        self._turned_away: deque[tuple[str, Answer]] = deque(maxlen=100)

    def run(self, context: DriverContext) -> None:
        """Listens until stopped; where the port can't be had, tries again."""
        self._warn(context)
        receipts = Receipts(context.cursor)
        backoff = Backoff(first_s=0.5, longest_s=10.0)
        while not context.stopping:
            try:
                listener = Listener(self._config, self._take, lambda where, no: self._turned_away.append((where, no)))
            except OSError as error:
                context.problem(
                    f"{self._where} can't listen: {error.strerror}; is the port taken, the address this machine's?"
                )
                context.wait(backoff.next_s())
                continue
            self._serve(listener, receipts, context)

    def _warn(self, context: DriverContext) -> None:
        """Says it where anybody in the network may send."""
        open_paths = [device.path for device in self._config.devices if device.token is None]
        if open_paths and not self._config.host.startswith(_LOCAL):
            context.note(
                "token",
                f"{self._where}: anybody who reaches it may post to {', '.join(open_paths)}; give them a token.",
            )

    def _serve(self, listener: Listener, receipts: Receipts, context: DriverContext) -> None:
        thread = threading.Thread(target=listener.serve_forever, args=(0.1,), name=f"http-{self.id}", daemon=True)
        thread.start()
        context.good()
        waiting: deque[_Request] = deque()
        try:
            while not context.stopping:
                context.beat()
                self._answer_stored(waiting, receipts.stored(context.stored))
                self._tell_refusals(context)
                try:
                    request = self._desk.get(timeout=_POLL_S if waiting else BEAT_S)
                except queue.Empty:
                    continue
                if self._handle(request, receipts, context):
                    waiting.append(request)
        finally:
            listener.shutdown()
            listener.server_close()
            self._close(waiting, receipts.stored(context.stored))

    def _close(self, waiting: deque[_Request], stored: int) -> None:
        """Yes to what is stored, and to the rest: come back."""
        self._answer_stored(waiting, stored)
        while not self._desk.empty():
            waiting.append(self._desk.get_nowait())
        for request in waiting:
            request.answer(_not_now("the gateway is being stopped"))

    def _take(self, posted: Posted) -> Answer:
        """Called in a connection's thread: waits for the answer to what it brought."""
        request = _Request(posted)
        try:
            self._desk.put(request, timeout=self._config.timeout_s)
        except queue.Full:
            return _not_now("it has too much to do")
        return request.wait(self._config.timeout_s)

    def _handle(self, request: _Request, receipts: Receipts, context: DriverContext) -> bool:
        """Whether an answer is owed once it is stored; else it has been given."""
        device = request.posted.device
        if request.is_given_up:
            return False
        context.count("messages")
        try:
            found = read_body(device, request.posted.payload, request.posted.received_us)
        except ContractError as error:
            self._unusable([Fault(device.path, s.id, error.reason, str(error)) for s in device.sensors], context)
            request.answer(refusal(400, error.reason, str(error)))
            return False
        return self._hand_over(request, found, receipts, context)

    def _hand_over(self, request: _Request, found: Found, receipts: Receipts, context: DriverContext) -> bool:
        device = request.posted.device
        body = body_hash(device.path, request.posted.payload) if device.time is not None else None
        fresh, marks = self._fresh(device, found, known=body is not None and receipts.knows(body), context=context)
        readings = (*fresh, *found.stamped, *self._nulls(found.faults))
        request.number, cursor = receipts.cursor_with(body)
        if not context.hand_over(Batch(self.id, "live", readings=readings, cursor=cursor, marks=tuple(marks))):
            request.answer(_not_now("the outbox takes nothing now"))
            context.count("put_off")
            return False
        receipts.took(body)
        context.marks.keep(marks)
        self._reminder.well(reading.sensor for reading in (*fresh, *found.stamped))
        self._tell_faults(found.faults, context)
        context.count("repeated", len(found.timed) - len(fresh))
        request.result = _result(len(fresh) + len(found.stamped), len(found.timed) - len(fresh), found.faults)
        context.good()
        return True

    @staticmethod
    def _fresh(
        device: HttpDevice, found: Found, *, known: bool, context: DriverContext
    ) -> tuple[list[Reading], list[Mark]]:
        """What was not taken before."""
        if known:
            return [], []
        timed = found.timed
        if device.in_order:
            newest = {sensor.id: context.marks.newest(sensor.id) for sensor in device.sensors}
            timed = [reading for reading in timed if (at := newest[reading.sensor]) is None or reading.t > at]
        return context.marks.fresh(timed)

    def _nulls(self, faults: list[Fault]) -> list[Reading]:
        """`null` for sensors of which something unusable came: when that begins, and then once a minute."""
        sensors = [fault.sensor for fault in faults if fault.sensor]
        return [Reading(s, now_us(), None, Quality.BAD) for s in self._reminder.due(sensors, time.monotonic())]

    def _unusable(self, faults: list[Fault], context: DriverContext) -> None:
        self._tell_faults(faults[:1], context)
        nulls = self._nulls(faults)
        if nulls:
            context.offer(Batch(self.id, "live", readings=tuple(nulls)))

    def _tell_faults(self, faults: list[Fault], context: DriverContext) -> None:
        for fault in faults:
            whose = f" ({fault.sensor})" if fault.sensor else ""
            path = fault.where.split(" ")[0]
            context.reject(path, fault.reason, f"Driver {self.id}, {fault.where}{whose}: {fault.text}.")

    def _tell_refusals(self, context: DriverContext) -> None:
        while self._turned_away:
            where, answer = self._turned_away.popleft()
            context.reject(where, answer.body["reason"], f"{self._where}, {where}: {answer.body['error']}.")

    @staticmethod
    def _answer_stored(waiting: deque[_Request], stored: int) -> None:
        while waiting and waiting[0].number <= stored:
            request = waiting.popleft()
            request.answer(request.result)


class _Request:
    """What was posted, on its way to the disk; its connection's thread waits for the answer."""

    def __init__(self, posted: Posted) -> None:
        self.posted = posted
        self.number = 0
        self.result = refusal(500, "unfinished", "no answer was found")
        self.is_given_up = False
        self._answer: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def answer(self, answer: Answer) -> None:
        """Lets the connection's thread go on."""
        self._answer.put(answer)

    def wait(self, timeout_s: float) -> Answer:
        """The answer; after the time-out it is: come back, and then a repeat is known as one."""
        try:
            return self._answer.get(timeout=timeout_s)
        except queue.Empty:
            self.is_given_up = True
            return _not_now(f"it was not stored within {timeout_s:g} s")


def _not_now(why: str) -> Answer:
    return refusal(503, "not_stored", f"{why}; send it again", Retry_After=str(AGAIN_S))


def _result(taken: int, repeated: int, faults: list[Fault]) -> Answer:
    """Yes where something could be used, else no with what is wrong."""
    refused = [
        {"where": fault.where, "sensor": fault.sensor, "reason": fault.reason, "error": fault.text}
        for fault in faults[:TOLD_FAULTS]
    ]
    if faults and not taken and not repeated:
        return Answer(400, {"reason": faults[0].reason, "error": faults[0].text, "refused": refused})
    return Answer(200, {"stored": taken, "repeated": repeated, "refused": refused, "refused_count": len(faults)})
