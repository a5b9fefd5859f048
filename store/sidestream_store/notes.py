"""Shift notes: what people write beside the numbers, with author and time; only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from psycopg.rows import class_row
from pydantic import Field

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import nearest
from sidestream_contracts.spoken import readable
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.read.words import Instant

_LONGEST = 4000
KINDS = ("node", "stream", "agreement", "sensor")


@dataclass(frozen=True, slots=True)
class About:
    """What a note is about; `subject` is empty where it is about the whole hub."""

    kind: str
    subject: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.subject}" if self.subject else "hub"


@dataclass(frozen=True, slots=True)
class NoteDraft:
    """A note as it is written. Raises DomainError for one that says nothing, is endless, or by nobody."""

    about: About
    from_at: datetime
    to_at: datetime
    text: str
    author: str

    def __post_init__(self) -> None:
        if not self.from_at <= self.to_at:
            raise DomainError(f"The note's time ends ({self.to_at}) before it begins ({self.from_at}).")
        if not 0 < len(readable(self.text, "The note")) <= _LONGEST:
            raise DomainError(f"A note has 1 to {_LONGEST} characters; this one has {len(self.text.strip())}.")
        if not readable(self.author, "The author's name"):
            raise DomainError("A note needs its author; say who with --by.")


@dataclass(frozen=True, slots=True)
class Note:
    """A note on record; `to_at` is not included, and is `from_at` for an instant."""

    note_id: int
    subject_kind: Annotated[str, Field(description="hub, node, stream, agreement or sensor")]
    subject: Annotated[str, Field(description="its id; empty for the hub")]
    from_at: Instant
    to_at: Instant
    text: str
    author: str
    written_at: Instant


@dataclass(frozen=True, slots=True)
class Asked:
    """Which notes: about one thing (None: anything), that touch [from_at, to_at) (None: any time), `limit` at most."""

    about: About | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    limit: int = 100


def about_named(connection: Connection, named: str) -> About:
    """What `node/silo`, `silo` or `hub` names; DomainError with the nearest where it names nothing or several things."""
    kind, _, subject = named.strip().partition("/")
    if named.strip() in ("", "hub"):
        return About("hub", "")
    with transient_errors("look up what a note is about"):
        rows: list[tuple[str, str]] = connection.execute(_SUBJECTS).fetchall()
    known = [About(*row) for row in rows]
    found = [a for a in known if str(a) == named.strip() or (not subject and a.subject == kind)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DomainError(f"{named!r} may be {' or '.join(map(str, found))}; write which.")
    names = {**{a.subject: str(a) for a in known}, **{str(a): str(a) for a in known}}
    like = nearest(named, names)
    raise DomainError(
        f"There is nothing called {named!r} in this hub." + (f" Did you mean {names[like]}?" if like else "")
    )


def add_note(connection: Connection, draft: NoteDraft, now_at: datetime) -> Note:
    """The note is on record for good."""
    about = draft.about
    with transient_errors("write a note"), connection.cursor(row_factory=class_row(Note)) as cursor:
        note = cursor.execute(
            "INSERT INTO sidestream.note (subject_kind, subject, from_at, to_at, text, author, written_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " RETURNING note_id, subject_kind, subject, from_at, to_at, text, author, written_at",
            [about.kind, about.subject, draft.from_at, draft.to_at, draft.text.strip(), draft.author.strip(), now_at],
        ).fetchone()
    assert note is not None
    return note


def notes(connection: Connection, asked: Asked) -> list[Note]:
    """The newest notes, by their time, newest first."""
    with transient_errors("read notes"), connection.cursor(row_factory=class_row(Note)) as cursor:
        return cursor.execute(NOTES, asked_values(asked)).fetchall()


def asked_values(asked: Asked) -> dict[str, Any]:
    """The question as parameters of `NOTES`."""
    about = asked.about
    return {
        "kind": about.kind if about else None,
        "subject": about.subject if about else None,
        "from": asked.from_at,
        "to": asked.to_at,
        "limit": asked.limit,
    }


NOTES = """
SELECT note_id, subject_kind, subject, from_at, to_at, text, author, written_at FROM sidestream_v.note
WHERE (%(kind)s::text IS NULL OR (subject_kind = %(kind)s AND subject = %(subject)s))
    AND (%(from)s::timestamptz IS NULL OR GREATEST(to_at, from_at + interval '1 us') > %(from)s)
    AND (%(to)s::timestamptz IS NULL OR from_at < %(to)s)
ORDER BY from_at DESC, note_id DESC LIMIT %(limit)s
"""
_SUBJECTS = """
SELECT 'node', id FROM sidestream_v.node UNION ALL SELECT 'stream', id FROM sidestream_v.stream
UNION ALL SELECT 'agreement', id FROM sidestream_v.agreement UNION ALL SELECT 'sensor', id FROM sidestream_v.sensor
ORDER BY 1, 2
"""
