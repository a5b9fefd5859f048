"""The ingest process: take, check, apply once, then acknowledge; in this order, whatever dies in between.

Three threads work at the same time: `mqtt` reads from the broker, the main thread checks, `commit` brings to an end what is
checked. Each batch goes through them in order, so a batch is checked while the one before it is committed (docs/adr/0010).
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from sidestream_contracts import failpoint
from sidestream_contracts.metrics import LOOPBACK, Shown, show
from sidestream_ingest.arrivals import Arrival
from sidestream_ingest.committing import Committing
from sidestream_ingest.desk import Desk
from sidestream_ingest.heart import Heart
from sidestream_ingest.hints import HintPublisher
from sidestream_ingest.metrics import samples
from sidestream_ingest.patience import Patience
from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import BrokerAddress, Subscriber
from sidestream_store.catalogue import load_catalogue
from sidestream_store.connect import Connection
from sidestream_store.guard import check_writable
from sidestream_store.workers import Identity, farewell

_log = structlog.get_logger("ingest")
_CHECKED_AHEAD = 1
"""Batches that are checked and wait while one is committed: more would only take memory."""
_SWITCH_S = 0.0005
"""How soon a thread that waited for the database or the broker gets on while another computes; Python's own 5 ms, some ten
times in a commit, can leave the database idle. Reasoned, not measured."""

_COLLECT_EVERY = 50_000
"""Objects between two looks for cycles. Frames hold none, so Python's 700 would only have them looked through."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker runs; several with the same settings share the load."""

    dsn: str
    broker: BrokerAddress
    hints_address: str | None = None
    most_frames: int = 1_000
    flush_s: float = 0.03
    report_s: float = 10.0
    metrics_port: int | None = None
    metrics_host: str = LOOPBACK


def serve(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; what was taken and not committed by then comes again from the edge."""
    failpoint.arm()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(settings, stop).run()
    return 0


class Worker:
    """One connection to the broker, two to the database: the desk's, and the one on which batches are committed."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._desk = Desk()
        self._hints = HintPublisher(settings.hints_address) if settings.hints_address else None
        self._who = Identity("ingest")
        self._stats = Stats()
        self._at_desk = Patience("desk", settings.dsn, stop, self._stats)
        self._at_commit = Patience("commit", settings.dsn, stop, self._stats)
        self._committing = Committing(self._at_commit, self._stats, self._hint)
        self._under_way: deque[Future[None]] = deque()

    def run(self) -> None:
        """Takes and applies until told to stop; ConfigurationError where the database is not ready for it."""
        hub = self._at_desk.persist(_checked_hub)
        if hub is None:
            return
        subscriber = Subscriber(self._settings.broker, hub, self._who.worker)
        shown = self._show_metrics(subscriber)
        subscriber.start()
        try:
            with ThreadPoolExecutor(1, "commit") as committer:
                self._work(subscriber, committer)
        finally:
            subscriber.stop()
            self.leave()
            if self._hints:
                self._hints.close()
            if shown:
                shown.close()

    def _work(self, subscriber: Subscriber, committer: ThreadPoolExecutor) -> None:
        heart = Heart(self._who, self._stats, subscriber)
        reported_at = time.monotonic()
        while not self._stop.is_set():
            arrivals = subscriber.take(self._settings.most_frames, self._settings.flush_s, wait_s=0.2)
            batch = self._at_desk.persist(lambda c: self._desk.sort(c, arrivals)) if arrivals else None  # noqa: B023
            self._settle(_CHECKED_AHEAD)
            if batch is not None:
                self._under_way.append(committer.submit(self._committing.finish, subscriber, batch))
            subscriber.check()
            if heart.is_due():
                self._at_desk.persist(heart.beat)
            if time.monotonic() - reported_at > self._settings.report_s:
                reported_at = time.monotonic()
                _log.info("so far", **self._stats.summary(), queue_full=subscriber.times_full)

    def _settle(self, most: int) -> None:
        """Waits until no more than `most` batches are under way; raises what bringing one to its end raised."""
        while len(self._under_way) > most or (self._under_way and self._under_way[0].done()):
            self._under_way.popleft().result()

    def _show_metrics(self, subscriber: Subscriber) -> Shown | None:
        if self._settings.metrics_port is None:
            return None
        host = self._settings.metrics_host
        shown = show(lambda: samples(self._stats, subscriber), self._settings.metrics_port, host)
        _log.info("metrics", address=f"http://{host}:{shown.port}/metrics")
        return shown

    def handle(self, subscriber: Subscriber, arrivals: list[Arrival]) -> None:
        """The arrivals are committed, acknowledged and released when it returns, without a thread; less when told to stop."""
        batch = self._at_desk.persist(lambda c: self._desk.sort(c, arrivals))
        if batch is not None:
            self._committing.finish(subscriber, batch)

    def leave(self) -> None:
        """Ends the connections to the database; what is not committed comes again from the edge."""
        self._at_commit.close()
        self._at_desk.close(lambda c: farewell(c, self._who))  # a row that stays goes away by itself after an hour

    def _hint(self, sensor_ids: Collection[int]) -> None:
        if self._hints and sensor_ids:
            self._hints.send(self._desk.names.get(number, "") for number in sensor_ids)


def _checked_hub(connection: Connection) -> str:
    check_writable(connection)
    return load_catalogue(connection).hub
