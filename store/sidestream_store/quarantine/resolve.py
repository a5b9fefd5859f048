"""How an entry ends: replayed, with whatever of it became usable, or discarded. Each step goes on record with its author."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from sidestream_contracts.errors import ContractError, DomainError
from sidestream_contracts.spoken import readable
from sidestream_store import ledger, telemetry
from sidestream_store.batch import CheckedFrame
from sidestream_store.connect import Connection, open_connection, transient_errors
from sidestream_store.quarantine.entries import Entry, Selection, lock_open, select_open
from sidestream_store.quarantine.keep import Quarantined, insert_leftovers


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry: its state now, how many readings became usable, and a sentence."""

    quarantine_id: int
    device: str
    reason: str
    sensor: str | None
    state: str
    readings: int
    outcome: str
    left: tuple[tuple[str, int], ...] = ()
    """Reasons for which readings of it can't be used even now, with their number."""


@contextmanager
def one_replay(connection: Connection) -> Iterator[None]:
    """All that is done inside is committed together, or nothing is.

    TransientError: the database went away. ContractError `database_refused`: it can't hold what the entry brings.
    """
    try:
        with transient_errors("replay"), connection.transaction():
            yield
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ContractError("database_refused", f"The database refuses what the entry brings: {error}") from error


def apply_replayed(connection: psycopg.Connection, entry: Entry, frame: CheckedFrame) -> Outcome:
    """What of the entry can be used is committed under its frame's own ledger row, once; what can't is open as before.

    Runs in the caller's transaction, in which the entry is locked. DomainError, changing nothing, where the ledger has
    another frame under the key.
    """
    left = tuple((item.reason, item.readings) for item in frame.quarantine)
    usable = len(frame.readings) + len(frame.scans)
    if not usable and _is_unchanged(entry, frame.quarantine):
        detail = frame.quarantine[0].detail
        connection.execute(
            "UPDATE sidestream.quarantine SET detail = %s WHERE quarantine_id = %s", [detail, entry.quarantine_id]
        )
        return _outcome(entry, "open", 0, f"Still not usable: {detail}", left)
    frame_id = ledger.own_row(connection, frame)
    telemetry.write(connection, {frame.ledger_key: frame}, {frame.ledger_key: frame_id})
    ledger.add_readings(connection, frame, usable)
    insert_leftovers(connection, frame.quarantine, from_id=entry.quarantine_id)
    return _outcome(entry, "replayed", usable, _replayed_words(usable, left), left)


def _is_unchanged(entry: Entry, left: Sequence[Quarantined]) -> bool:
    return len(left) == 1 and left[0].reason == entry.reason and left[0].sensor == entry.sensor


def _replayed_words(usable: int, left: Sequence[tuple[str, int]]) -> str:
    words = f"{usable} reading{'' if usable == 1 else 's'} taken over"
    if not left:
        return f"{words}."
    reasons = ", ".join(f"{count} {reason}" for reason, count in left[:5])
    return f"{words}; still in quarantine, as entries of their own: {reasons}{' …' if len(left) > 5 else ''}."


def _outcome(entry: Entry, state: str, readings: int, words: str, left: tuple[tuple[str, int], ...] = ()) -> Outcome:
    return Outcome(entry.quarantine_id, entry.device, entry.reason, entry.sensor, state, readings, words, left)


def refused(entry: Entry, why: str) -> Outcome:
    """An entry that was not touched, and why."""
    return _outcome(entry, entry.state, 0, why)


def record(connection: psycopg.Connection, action: str, author: str, outcome: Outcome) -> None:
    """The step is on record, and an entry that ended says who ended it and why."""
    if outcome.state != "open":
        connection.execute(
            "UPDATE sidestream.quarantine SET state = %s, replayed_readings = %s, closed_at = now(), closed_by = %s,"
            " closed_why = %s WHERE quarantine_id = %s AND state = 'open'",
            [outcome.state, outcome.readings, author, outcome.outcome, outcome.quarantine_id],
        )
    connection.execute(
        "INSERT INTO sidestream.quarantine_action (author, action, quarantine_id, device, reason, readings, outcome)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [author, action, outcome.quarantine_id, outcome.device, outcome.reason, outcome.readings, outcome.outcome],
    )


def record_mend(dsn: str, entry: Entry, author: str, words: str) -> None:
    """It is on record that hub.yaml was mended because of this entry."""
    with open_connection(dsn, "mend", autocommit=True) as connection, transient_errors("record a mend"):
        record(connection, "mend", author, _outcome(entry, "open", 0, words))


def discard(connection: Connection, selection: Selection, why: str, author: str) -> list[Outcome]:
    """Every open entry that is meant is `discarded`, all or none; its bytes stay until retention takes them.

    DomainError for an empty reason or author, and for an id that is not open.
    """
    if not readable(why, "The reason") or not readable(author, "The author's name"):
        raise DomainError("A discard needs a reason and the name of who decided it; both stay on record.")
    done = []
    with transient_errors("discard quarantine entries"), connection.transaction():
        found = select_open(connection, selection)
        _all_there(selection.ids, found)
        for quarantine_id in found:
            entry = lock_open(connection, quarantine_id)
            if entry is None:
                continue
            done.append(_outcome(entry, "discarded", 0, why.strip()))
            record(connection, "discard", author.strip(), done[-1])
    return done


def _all_there(wanted: Iterable[int], found: Sequence[int]) -> None:
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise DomainError(
            f"Not open, or not there: {', '.join(f'#{number}' for number in missing[:10])}. Nothing was discarded; "
            "`sidestream quarantine list --state open` shows what is open."
        )
