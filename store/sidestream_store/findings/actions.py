"""What people do about a finding: acknowledge, shelve for a time, unshelve. Each is a row that stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sidestream_contracts.errors import DomainError
from sidestream_contracts.spoken import readable
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.findings.read import Finding, finding_named

LONGEST_SHELF = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, when, and why."""

    by: str
    at: datetime
    reason: str | None = None

    def __post_init__(self) -> None:
        readable(self.reason or "", "The reason")
        if not readable(self.by, "The name of who does it"):
            raise DomainError("Say who does it, with --by; it stays on record.")


def acknowledge(connection: Connection, named: str, act: Act) -> Finding:
    """It is on record that somebody has seen this occurrence; DomainError where it was acknowledged before."""
    found = finding_named(connection, named)
    if found.acknowledged_at is not None:
        raise DomainError(
            f"{found.finding} was acknowledged already, at {found.acknowledged_at} by {found.acknowledged_by}."
        )
    return _done(connection, found, "acknowledge", act)


def shelve(connection: Connection, named: str, until_at: datetime, act: Act) -> Finding:
    """The condition, whichever occurrence, is not shown among what needs somebody until `until_at`; it comes back then.

    DomainError without a reason, and for a time that is over or more than a month ahead: what is put away for ever is lost.
    """
    found = finding_named(connection, named)
    if not (act.reason or "").strip():
        raise DomainError("Say why it is shelved, with --reason; it stays on record.")
    if not act.at < until_at <= act.at + LONGEST_SHELF:
        days = LONGEST_SHELF.days
        raise DomainError(f"It can be shelved until a time within the next {days} days, not until {until_at}.")
    return _done(connection, found, "shelve", act, until_at)


def unshelve(connection: Connection, named: str, act: Act) -> Finding:
    """It is shown again; DomainError where it is not shelved."""
    found = finding_named(connection, named)
    if found.shelved_until is None:
        raise DomainError(f"{found.finding} is not shelved; it is {found.state}.")
    return _done(connection, found, "unshelve", act)


def _done(connection: Connection, found: Finding, action: str, act: Act, until_at: datetime | None = None) -> Finding:
    with transient_errors(f"{action} a finding"):
        connection.execute(
            "INSERT INTO sidestream.finding_action (kind, subject, occurrence, action, until_at, reason, author, done_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [found.kind, found.subject, found.occurrence, action, until_at, act.reason, act.by.strip(), act.at],
        )
    return finding_named(connection, found.finding)
