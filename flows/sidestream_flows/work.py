"""The work itself, without Prefect: what a pass, an hour and a day consist of."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidestream_contracts.errors import SidestreamError, TransientError
from sidestream_flows.stats import Stats
from sidestream_store.connect import Connection, open_connection
from sidestream_store.maintenance import maintain
from sidestream_store.partitions import ensure_range
from sidestream_store.twin.passing import cancel
from sidestream_store.twin.upkeep import (
    Completeness,
    OpenQuarantine,
    hub_completeness,
    hub_timezone,
    open_quarantine,
    thin_out,
)
from sidestream_store.workers import BEAT_S, Identity, beat, farewell
from sidestream_twin.update import Limits, UpdateReport, update

LIMITS = Limits(readings=200_000)
"""A pass small enough to end within a second or so, since a process that is told to end waits for it."""

_LONGEST_REFRESH_S = 20.0
_AHEAD = timedelta(weeks=2)
_LINES = 20


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour's work found: partitions made ahead, and how much of what sensors should send has come."""

    partitions: int
    completeness: Completeness

    def remarks(self) -> list[str]:
        """What is worth a line in the log, the sum of it first."""
        silent = self.completeness.silent
        return [
            f"{self.partitions} partitions made ahead; {len(silent)} of {self.completeness.sensors} sensors incomplete",
            *(
                f"{sensor}: {share:.0%} of its readings came in the hour from {self.completeness.from_at:%H:%M} UTC"
                for sensor, share in silent[:_LINES]
            ),
        ]


@dataclass(frozen=True, slots=True)
class Day:
    """What a day's work found: agreements judged anew, checkpoints thinned out, what retention dropped, the quarantine."""

    agreements: int
    checkpoints: int
    quarantine: tuple[OpenQuarantine, ...]
    upkeep: tuple[str, ...] = ()

    def remarks(self) -> list[str]:
        """What is worth a line in the log, the sum of it first."""
        return [
            f"{self.agreements} agreements judged, {self.checkpoints} checkpoints thinned out",
            *self.upkeep,
            *(
                f"quarantine: {entry.readings} readings of {entry.device or 'an unknown device'}, {entry.reason}"
                for entry in self.quarantine[:_LINES]
            ),
        ]


class Work:
    """One connection to the hub's database, and what is done with it; one thing at a time."""

    def __init__(self, dsn: str, every_s: float = BEAT_S) -> None:
        self._dsn = dsn
        self._every_s = every_s
        self._who = Identity("flows")
        self.stats = Stats()
        self._connection: Connection | None = None
        self._one_at_a_time = threading.Lock()
        self._ended = threading.Event()

    def refresh(self) -> UpdateReport:
        """Passes until nothing is left, or until twenty seconds are over; TransientError when the database is away.

        Then the heartbeat says what was done.
        """
        began = time.monotonic()
        try:
            report = self._refresh(began)
        except SidestreamError as error:
            self.stats.failed += 1
            self.stats.trouble = str(error)
            raise
        self.stats.refreshed(report, began)
        with self._one_at_a_time:
            beat(self._connected(), self._who, self.stats.figures_told(), self._every_s)
        return report

    def _refresh(self, began: float) -> UpdateReport:
        with self._one_at_a_time:
            connection = self._connected()
            report = update(connection, limits=LIMITS)
            while report.more and not self._ended.is_set() and time.monotonic() - began < _LONGEST_REFRESH_S:
                report += update(connection, limits=LIMITS)
            return report

    def hour(self) -> Hour:
        """Partitions are there for two weeks to come; the completeness of the hour before this one."""
        now_at = datetime.now(UTC)
        with self._one_at_a_time:
            connection = self._connected()
            made = ensure_range(connection, now_at, now_at + _AHEAD)
            return Hour(made, hub_completeness(connection, now_at.replace(minute=0, second=0, microsecond=0)))

    def day(self) -> Day:
        """Periods that are over are judged as such, old checkpoints thinned out, what is too old dropped."""
        with self._one_at_a_time:
            connection = self._connected()
            report = update(connection, limits=LIMITS)
            thinned = thin_out(connection, datetime.now(UTC) - timedelta(days=2))
            upkeep = tuple(maintain(connection).remarks())
            return Day(report.agreements, thinned, tuple(open_quarantine(connection)), upkeep)

    def timezone(self) -> str:
        """The hub's time zone; ConfigurationError when no hub is applied."""
        with self._one_at_a_time:
            return hub_timezone(self._connected())

    def leave(self) -> None:
        """The connection is closed and the heartbeat gone, for nobody need look for a process that ended in good order.

        TransientError when the database is away: the heartbeat then goes by itself after an hour.
        """
        connection = self._connection
        if connection is not None and not connection.closed:
            with connection:
                farewell(connection, self._who)

    def end(self) -> None:
        """Whatever is being done is given up, from any thread; nothing of it stays in the database."""
        self._ended.set()
        connection = self._connection
        if connection is not None:
            cancel(connection)

    def _connected(self) -> Connection:
        if self._ended.is_set():
            raise TransientError("The process is ending; the next one takes the work up.")
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = open_connection(self._dsn, "flows", autocommit=True)
        return self._connection


CURRENT: ContextVar[Work] = ContextVar("sidestream_flows_work")
"""The work of this process. Flows find it here, because what is passed to a flow is written into Prefect's records."""
