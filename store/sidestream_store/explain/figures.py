"""Published figures as they are stored, by name and time, also as they were in an earlier revision or known on a date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from sidestream_store.connect import Connection, transient_errors
from sidestream_store.twin.values import Subject


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a number's figures: the one of the step that holds `at` (None: the newest), in a revision, as known on a date."""

    at: datetime | None = None
    revision: int | None = None
    known_at: datetime | None = None

    def values(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {"at": self.at, "revision": self.revision, "known": self.known_at}


@dataclass(frozen=True, slots=True)
class Figure:
    """One step's figure in SI; `superseded_at` None: in force."""

    time: datetime
    step_s: int
    value: float | None
    sd_random: float | None
    sd_systematic: float | None
    origin: str
    completeness: float
    n: int
    inputs: dict[str, Any]
    flags: list[str]
    computed_at: datetime
    revision: int
    known_at: datetime
    superseded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an agreement stood in a period, amounts in SI; `superseded_at` None: in force."""

    period_from: datetime
    period_to: datetime
    delivered: float | None
    sd_random: float | None
    sd_systematic: float | None
    status: str
    reason: str
    reason_numbers: dict[str, Any]
    origin: str
    completeness: float
    computed_at: datetime
    revision: int
    known_at: datetime
    superseded_at: datetime | None


@contextmanager
def one_snapshot(connection: Connection) -> Iterator[None]:
    """All that is read inside is of one moment, whatever passes commit meanwhile; nothing can be written.

    `connection` is in autocommit mode. A question that takes over 20 s ends with TransientError.
    """
    with transient_errors("explain a number"), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL statement_timeout = '20s'")
        connection.execute("SET LOCAL timezone = 'UTC'")
        connection.execute("SET LOCAL jit = off")
        yield


def figure(connection: Connection, subject: Subject, wanted: Wanted) -> Figure | None:
    """The newest figure that begins at or before the wanted time; whether its step holds that time is the caller's to say."""
    values = {"kind": subject.kind, "subject": subject.id, "quantity": subject.quantity, **wanted.values()}
    with connection.cursor(row_factory=class_row(Figure)) as cursor:
        return cursor.execute(_FIGURE, values).fetchone()


def judgement(connection: Connection, agreement: str, wanted: Wanted) -> Judgement | None:
    """The judgement of the newest period that begins at or before the wanted time."""
    with connection.cursor(row_factory=class_row(Judgement)) as cursor:
        return cursor.execute(_JUDGEMENT, {"agreement": agreement, **wanted.values()}).fetchone()


def next_time(connection: Connection, subject: Subject, after: datetime) -> datetime | None:
    """Start of the first step after `after` that has a figure."""
    row = connection.execute(
        "SELECT time FROM sidestream_v.twin_value WHERE subject_kind = %s AND subject = %s AND quantity = %s AND time > %s"
        " ORDER BY time LIMIT 1",
        [subject.kind, subject.id, subject.quantity, after],
    ).fetchone()
    return row[0] if row else None


def revisions(connection: Connection, subject: Subject, at: datetime) -> list[tuple[int, datetime, datetime | None]]:
    """(revision, known since, superseded at) of every figure that was ever published for the step at `at`, oldest first."""
    return connection.execute(
        "SELECT revision, known_at, superseded_at FROM ("
        " SELECT subject_kind, subject, quantity, time, revision, known_at, NULL::timestamptz AS superseded_at FROM sidestream_v.twin_value"
        " UNION ALL SELECT subject_kind, subject, quantity, time, revision, known_at, superseded_at FROM sidestream_v.twin_value_history"
        ") r WHERE subject_kind = %s AND subject = %s AND quantity = %s AND time = %s ORDER BY revision",
        [subject.kind, subject.id, subject.quantity, at],
    ).fetchall()


def subjects(connection: Connection) -> list[Subject]:
    """Every number of the twin that has a figure now."""
    rows = connection.execute(
        "SELECT subject_kind, subject, quantity FROM sidestream_v.twin_latest ORDER BY 1, 2, 3"
    ).fetchall()
    return [Subject(*row) for row in rows]


def waiting(connection: Connection, sensors: list[str], from_at: datetime, to_at: datetime) -> bool:
    """Whether readings of these sensors in [from_at, to_at] wait to be computed again."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM sidestream_v.dirty WHERE sensor = ANY (%s) AND from_at <= %s AND to_at >= %s)",
        [sensors, to_at, from_at],
    ).fetchone()
    return bool(row and row[0])


def dropped_before(connection: Connection, sensor: str) -> tuple[datetime, datetime] | None:
    """The time of which retention has dropped the sensor's live readings; None where nothing was dropped."""
    row = connection.execute("SELECT from_at, before FROM sidestream_v.dropped WHERE sensor = %s", [sensor]).fetchone()
    return (row[0], row[1]) if row else None


_COLUMNS = "time, step_s, value, sd_random, sd_systematic, origin, completeness, n, inputs, flags, computed_at, revision, known_at"
_SUBJECT = "subject_kind = %(kind)s AND subject = %(subject)s AND quantity = %(quantity)s"
# Two branches, so that each goes to the end of its own index.
_FIGURE = f"""
SELECT * FROM (
    (SELECT {_COLUMNS}, NULL::timestamptz AS superseded_at FROM sidestream_v.twin_value
     WHERE {_SUBJECT} AND time <= COALESCE(%(at)s::timestamptz, 'infinity')
        AND (%(revision)s::int IS NULL OR revision = %(revision)s)
        AND (%(known)s::timestamptz IS NULL OR known_at <= %(known)s)
     ORDER BY time DESC LIMIT 1)
    UNION ALL
    (SELECT {_COLUMNS}, superseded_at FROM sidestream_v.twin_value_history
     WHERE {_SUBJECT} AND time <= COALESCE(%(at)s::timestamptz, 'infinity')
        AND (%(revision)s::int IS NOT NULL OR %(known)s::timestamptz IS NOT NULL)
        AND (%(revision)s::int IS NULL OR revision = %(revision)s)
        AND (%(known)s::timestamptz IS NULL OR (known_at <= %(known)s AND superseded_at > %(known)s))
     ORDER BY time DESC LIMIT 1)
) found ORDER BY time DESC LIMIT 1
"""  # noqa: S608  parts of our own
_JUDGEMENT = """
SELECT period_from, period_to, delivered, sd_random, sd_systematic, status, reason, reason_numbers, origin, completeness,
       computed_at, revision, known_at, superseded_at
FROM sidestream_v.agreement_judgement
WHERE agreement = %(agreement)s AND period_from <= COALESCE(%(at)s::timestamptz, 'infinity')
    AND CASE WHEN %(revision)s::int IS NOT NULL THEN revision = %(revision)s
             WHEN %(known)s::timestamptz IS NOT NULL
             THEN known_at <= %(known)s AND COALESCE(superseded_at, 'infinity') > %(known)s
             ELSE superseded_at IS NULL END
ORDER BY period_from DESC LIMIT 1
"""
