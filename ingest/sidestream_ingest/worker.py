"""The ingest process: take, check, apply once, then acknowledge; in this order, whatever dies in between."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from sidestream_contracts import failpoint
from sidestream_contracts.errors import ContractError, TransientError
from sidestream_contracts.metrics import LOOPBACK, Shown, show
from sidestream_ingest.arrivals import Arrival
from sidestream_ingest.desk import Desk
from sidestream_ingest.heart import Heart
from sidestream_ingest.hints import HintPublisher
from sidestream_ingest.metrics import samples
from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import BrokerAddress, Subscriber
from sidestream_store.batch import CheckedFrame
from sidestream_store.catalogue import load_catalogue
from sidestream_store.connect import Connection, open_connection
from sidestream_store.delivery import Applied, apply_frames
from sidestream_store.guard import check_writable
from sidestream_store.ledger import acknowledgements
from sidestream_store.partitions import Partitions
from sidestream_store.workers import Identity, farewell

_log = structlog.get_logger("ingest")
Result = TypeVar("Result")
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker runs; several with the same settings share the load."""

    dsn: str
    broker: BrokerAddress
    hints_address: str | None = None
    most_frames: int = 500
    flush_s: float = 0.03
    report_s: float = 10.0
    metrics_port: int | None = None
    metrics_host: str = LOOPBACK


def serve(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; what was taken and not committed by then comes again from the edge."""
    failpoint.arm()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(settings, stop).run()
    return 0


class Worker:
    """One connection to the broker, one to the database."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._connection: Connection | None = None
        self._desk = Desk()
        self._partitions = Partitions()
        self._hints = HintPublisher(settings.hints_address) if settings.hints_address else None
        self._who = Identity("ingest")
        self._stats = Stats()

    def run(self) -> None:
        """Takes and applies until told to stop; ConfigurationError where the database is not ready for it."""
        hub = self._persist(_checked_hub)
        if hub is None:
            return
        subscriber = Subscriber(self._settings.broker, hub, self._who.worker)
        shown = self._show_metrics(subscriber)
        heart = Heart(self._who, self._stats, subscriber)
        subscriber.start()
        reported_at = time.monotonic()
        try:
            while not self._stop.is_set():
                arrivals = subscriber.take(self._settings.most_frames, self._settings.flush_s, wait_s=0.2)
                if arrivals:
                    self.handle(subscriber, arrivals)
                subscriber.check()
                if heart.is_due():
                    self._persist(heart.beat)
                if time.monotonic() - reported_at > self._settings.report_s:
                    reported_at = time.monotonic()
                    _log.info("so far", **self._stats.summary(), queue_full=subscriber.times_full)
        finally:
            subscriber.stop()
            self.leave()
            if self._hints:
                self._hints.close()
            if shown:
                shown.close()

    def _show_metrics(self, subscriber: Subscriber) -> Shown | None:
        if self._settings.metrics_port is None:
            return None
        host = self._settings.metrics_host
        shown = show(lambda: samples(self._stats, subscriber), self._settings.metrics_port, host)
        _log.info("metrics", address=f"http://{host}:{shown.port}/metrics")
        return shown

    def handle(self, subscriber: Subscriber, arrivals: list[Arrival]) -> None:
        """Each step is a transaction of its own that is repeated until it is committed, so none is done twice over."""
        batch = self._persist(lambda c: self._desk.sort(c, arrivals))
        if batch is None:
            return
        live = [f.readings.time_us for f in batch.frames if not f.recorded]
        self._persist(lambda c: self._partitions.ensure(c, live))
        self._deliver(batch.frames)
        if batch.loose:
            loose = self._persist(lambda c: apply_frames(c, [], batch.loose))
            if loose is not None:
                self._count(loose)
        self._persist(lambda c: self._desk.save_statuses(c, batch))
        acks = self._persist(lambda c: acknowledgements(c, [f.ledger_key for f in batch.frames])) or []
        failpoint.reach("ingest.before_ack")
        for device_id, ack in acks:
            subscriber.acknowledge(batch.senders[device_id], ack)
            self._stats.acknowledgements += 1
        failpoint.reach("ingest.after_ack")
        failpoint.reach("ingest.before_puback")
        subscriber.release(arrivals)
        failpoint.reach("ingest.after_puback")

    def _deliver(self, frames: list[CheckedFrame]) -> None:
        """All frames in one transaction; a batch with a poison frame is halved until that frame stands alone."""
        try:
            applied = self._persist(lambda c: self._apply(c, frames)) if frames else None
        except ContractError as error:
            if len(frames) > 1:
                middle = len(frames) // 2
                self._deliver(frames[:middle])
                self._deliver(frames[middle:])
                return
            applied = self._quarantine(frames[0], error)
        if applied is not None:
            self._count(applied)

    def _apply(self, connection: Connection, frames: list[CheckedFrame]) -> Applied:
        with self._stats.commit():
            return apply_frames(connection, frames)

    def _quarantine(self, frame: CheckedFrame, error: ContractError) -> Applied | None:
        try:
            return self._persist(lambda c: apply_frames(c, [frame.refused(error)]))
        except ContractError as again:
            # not acknowledged, so the edge keeps it; the hub's other devices go on
            _log.error(
                "not even quarantine takes a frame", topic=frame.message.topic, seq=frame.key.seq, error=str(again)
            )
            return None

    def _count(self, applied: Applied) -> None:
        self._stats.applied(applied)
        if self._hints and applied.sensor_ids:
            self._hints.send(self._desk.names.get(number, "") for number in applied.sensor_ids)

    def leave(self) -> None:
        """Ends the connection to the database; what is not committed comes again from the edge."""
        if self._connection is None:
            return
        with suppress(TransientError):  # its row then goes away by itself after an hour
            farewell(self._connection, self._who)
        self._connection.close()

    def _persist(self, work: Callable[[Connection], Result]) -> Result | None:
        """The result of `work` on a good connection, however long the database is away; None when told to stop."""
        delay_s = _FIRST_DELAY_S
        while not self._stop.is_set():
            try:
                if self._connection is None:
                    self._connection = open_connection(self._settings.dsn, "ingest", autocommit=True)
                result = work(self._connection)
            except TransientError as error:
                _log.warning("waiting for the database", error=str(error), again_in_s=delay_s)
                self._stats.waits(str(error))
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                self._stop.wait(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            else:
                self._stats.works()
                return result
        return None


def _checked_hub(connection: Connection) -> str:
    check_writable(connection)
    return load_catalogue(connection).hub
