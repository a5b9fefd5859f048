"""Findings as they stand, and what was done about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from psycopg.rows import class_row
from pydantic import Field

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import nearest
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.read.words import Instant

State = Literal["unacknowledged", "acknowledged", "shelved", "returned", "normal"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One occurrence of something out of order, in the words of ISA-18.2."""

    finding: Annotated[str, Field(description="its id: kind/subject#occurrence", examples=["sensor_stale/flow#2"])]
    kind: str
    subject: str
    occurrence: int
    subject_kind: str
    subject_id: str
    state: Annotated[
        State, Field(description="`returned`: to normal, but nobody has acknowledged it; `normal`: over and done with")
    ]
    severity: Annotated[
        Literal["alarm", "warning", "note"], Field(description="alarm: act now; warning: soon; note: know")
    ]
    sentence: Annotated[str, Field(description="what was so when it was raised")]
    remedy: Annotated[str, Field(description="what to do")]
    about: Annotated[str, Field(description="address of the number that shows it, for /explain")]
    since_at: Annotated[Instant, Field(description="since when it is so, by the data")]
    raised_at: Instant
    returned_at: Instant | None
    acknowledged_by: str | None
    acknowledged_at: Instant | None
    acknowledged_why: str | None
    shelved_by: str | None
    shelved_until: Instant | None
    shelved_why: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody did about a finding."""

    finding: str
    action: Literal["acknowledge", "shelve", "unshelve"]
    until_at: Instant | None
    reason: str | None
    author: str
    done_at: Instant


COLUMNS = (
    "finding, kind, subject, occurrence, subject_kind, subject_id, state, severity, sentence, remedy, about, since_at, raised_at,"
    " returned_at, acknowledged_by, acknowledged_at, acknowledged_why, shelved_by, shelved_until, shelved_why"
)
FINDINGS = f"""
SELECT {COLUMNS} FROM sidestream_v.finding WHERE %(all)s OR state <> 'normal'
ORDER BY state = 'normal', state = 'shelved', array_position(ARRAY['alarm', 'warning', 'note'], severity), raised_at DESC, finding
LIMIT %(limit)s
"""  # noqa: S608  columns of our own
ACTIONS = """
SELECT finding, action, until_at, reason, author, done_at FROM sidestream_v.finding_action
WHERE kind = %(kind)s AND subject = %(subject)s ORDER BY action_id
"""


def findings(connection: Connection, *, everything: bool = False, limit: int = 500) -> list[Finding]:
    """What is not over and done with (`everything`: that too), the most serious first, what is shelved last."""
    return _rows(connection, Finding, FINDINGS, {"all": everything, "limit": limit})


def finding_named(connection: Connection, named: str) -> Finding:
    """The finding of this id; without an occurrence the newest one. DomainError with the nearest where there is none."""
    name, _, number = named.strip().partition("#")
    kind, _, subject = name.partition("/")
    occurrence = int(number) if number.isdecimal() and len(number) < 10 else None
    query = (
        f"SELECT {COLUMNS} FROM sidestream_v.finding WHERE kind = %(kind)s AND subject = %(subject)s"  # noqa: S608
        " AND (%(occurrence)s::int IS NULL OR occurrence = %(occurrence)s) ORDER BY occurrence DESC LIMIT 1"
    )
    found = _rows(connection, Finding, query, {"kind": kind, "subject": subject, "occurrence": occurrence})
    if found and (occurrence is not None or not number):
        one: Finding = found[0]
        return one
    like = nearest(named, [each.finding for each in findings(connection, everything=True)])
    tip = f" Did you mean {like}?" if like else " `sidestream twin findings` shows those there are."
    raise DomainError(f"There is no finding {named!r}.{tip}")


def actions(connection: Connection, finding: Finding) -> list[Action]:
    """What was ever done about this condition, whichever occurrence, oldest first."""
    return _rows(connection, Action, ACTIONS, {"kind": finding.kind, "subject": finding.subject})


def _rows(connection: Connection, record: Any, query: str, values: dict[str, Any]) -> list[Any]:
    with transient_errors("read findings"), connection.cursor(row_factory=class_row(record)) as cursor:
        return cursor.execute(query, values).fetchall()
