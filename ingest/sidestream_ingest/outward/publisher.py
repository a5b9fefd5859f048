"""The publisher: what lies retained at the broker comes to equal what the hub gives out, whatever was there before.

Level, not edge: it compares what should lie there with what this connection has put there, and sends the difference.
It remembers nothing beyond a connection, so a restart of it, of the broker or of the database needs no special case.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_ingest.outward.link import Link
from sidestream_ingest.outward.messages import messages
from sidestream_ingest.subscriber import BrokerAddress
from sidestream_store.connect import Connection, open_connection
from sidestream_store.outward import Outward, outward_figures

_log = structlog.get_logger("publish")
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0
_REPORT_S = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the publisher runs: a login that reads the views is enough."""

    dsn: str
    broker: BrokerAddress
    every_s: float = 1.0


def serve(settings: Settings) -> int:
    """Runs until SIGTERM or SIGINT; what lies at the broker stays there, each figure with its own time."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Publisher(settings, stop).run()
    return 0


class Publisher:
    """One connection to the database, one to the broker at a time."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._connection: Connection | None = None
        self._wanted: Mapping[str, bytes] | None = None
        self._hub = ""
        self._read_at = float("-inf")
        self.published = self.cleared = 0

    def run(self) -> None:
        """Publishes until told to stop; ConfigurationError where there is no hub, or the broker's rules forbid it."""
        delay_s = _FIRST_DELAY_S
        try:
            while not self._stop.is_set():
                self._read_when_due()
                if not self._hub:
                    self._stop.wait(delay_s)
                    continue
                try:
                    link = Link(self._settings.broker, self._hub, secrets.token_hex(4))
                except TransientError as error:
                    _log.warning("waiting for the broker", error=str(error), again_in_s=delay_s)
                    self._stop.wait(delay_s)
                    delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
                    continue
                delay_s = _FIRST_DELAY_S
                self._serve_link(link)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _serve_link(self, link: Link) -> None:
        _log.info("connected to the broker", hub=self._hub)
        put: dict[str, bytes] = {}
        reported_at = time.monotonic()
        try:
            while link.up and not self._stop.is_set():
                self._read_when_due()
                if self._wanted is not None:
                    self._send(link, self._wanted, put)
                link.wait(max(0.02, min(0.2, self._read_at + self._settings.every_s - time.monotonic())))
                if time.monotonic() - reported_at > _REPORT_S:
                    reported_at = time.monotonic()
                    _log.info("so far", published=self.published, cleared=self.cleared, given=len(put))
            if not self._stop.is_set():
                _log.warning("lost the broker")
            link.drain(1.0)
        finally:
            link.close()

    def _send(self, link: Link, wanted: Mapping[str, bytes], put: dict[str, bytes]) -> None:
        """Sends what differs, as far as there is room; the rest follows when PUBACKs have made room."""
        put.update(dict.fromkeys(link.lying() - put.keys(), b""))  # b"": something unknown lies there
        for topic in [topic for topic in put if topic not in wanted]:
            if not link.publish(topic, b""):
                return
            del put[topic]
            self.cleared += 1
        for topic, payload in wanted.items():
            if put.get(topic) != payload:
                if not link.publish(topic, payload):
                    return
                put[topic] = payload
                self.published += 1

    def _read_when_due(self) -> None:
        """Figures not older than `every_s`; while the database is away the last ones stay."""
        if time.monotonic() - self._read_at < self._settings.every_s:
            return
        self._read_at = time.monotonic()
        try:
            if self._connection is None:
                self._connection = open_connection(self._settings.dsn, "publish", autocommit=True)
            self._take(outward_figures(self._connection))
        except TransientError as error:
            _log.warning("waiting for the database", error=str(error))
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _take(self, outward: Outward) -> None:
        if self._hub and outward.hub != self._hub:
            raise ConfigurationError(f"The database was hub {self._hub!r} and is now {outward.hub!r}; start again.")
        self._hub = outward.hub
        self._wanted = messages(outward)
