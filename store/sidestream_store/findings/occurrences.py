"""The table of findings follows what is so: a condition that holds is raised once, and returns to normal when it is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from psycopg.types.json import Jsonb

from sidestream_store.connect import Connection

AWAY_S = 90.0
"""So long a condition must be away before it counts as returned to normal; what flickers is one occurrence."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A condition that holds. `kind` and `subject` name it; `about` is the address of the number that shows it."""

    kind: str
    subject: str
    subject_kind: str
    subject_id: str
    severity: str
    sentence: str
    remedy: str
    about: str
    since_at: datetime


_COLUMNS = tuple(field.name for field in fields(Raised))


def open_subjects(connection: Connection, kind: str) -> list[str]:
    """Subjects of which an occurrence of this kind has not returned to normal."""
    rows = connection.execute(
        "SELECT subject FROM sidestream.finding WHERE kind = %s AND returned_at IS NULL ORDER BY subject", [kind]
    ).fetchall()
    return [row[0] for row in rows]


def save_raised(
    connection: Connection, raised: Sequence[Raised], kept: Sequence[tuple[str, str]], now_at: datetime
) -> int:
    """Open occurrences are those of `raised` and of the (kind, subject) in `kept`; how many are new.

    `kept` are conditions that nobody can tell about now. One that holds again after it returned is the next occurrence.
    """
    rows = [
        {name: getattr(each, name) for name in _COLUMNS} | {"since_at": each.since_at.isoformat()} for each in raised
    ]
    names = [{"kind": kind, "subject": subject} for kind, subject in kept]
    found = connection.execute(
        _FOLLOW, {"rows": Jsonb(rows), "kept": Jsonb(names), "now": now_at, "away": AWAY_S}
    ).fetchone()
    return int(found[0]) if found else 0


_FOLLOW = """
WITH held AS MATERIALIZED (
    SELECT DISTINCT ON (kind, subject) * FROM jsonb_to_recordset(%(rows)s) AS r (kind text, subject text, subject_kind text,
        subject_id text, severity text, sentence text, remedy text, about text, since_at timestamptz)
    ORDER BY kind, subject, since_at, sentence
), so AS MATERIALIZED (
    SELECT kind, subject FROM held
    UNION SELECT kind, subject FROM jsonb_to_recordset(%(kept)s) AS k (kind text, subject text)
), standing AS MATERIALIZED (
    SELECT f.kind, f.subject, f.occurrence, f.away_at, so.kind IS NOT NULL AS holds
    FROM sidestream.finding f LEFT JOIN so USING (kind, subject) WHERE f.returned_at IS NULL
), followed AS (
    UPDATE sidestream.finding f SET
        away_at = CASE WHEN s.holds THEN NULL ELSE COALESCE(s.away_at, GREATEST(%(now)s, f.raised_at)) END,
        returned_at = CASE WHEN NOT s.holds AND s.away_at <= %(now)s - make_interval(secs => %(away)s) THEN s.away_at END
    FROM standing s
    WHERE (f.kind, f.subject, f.occurrence) = (s.kind, s.subject, s.occurrence)
        AND CASE WHEN s.holds THEN s.away_at IS NOT NULL
                 ELSE s.away_at IS NULL OR s.away_at <= %(now)s - make_interval(secs => %(away)s) END
), added AS (
    INSERT INTO sidestream.finding (kind, subject, occurrence, subject_kind, subject_id, severity, sentence, remedy, about,
        since_at, raised_at)
    SELECT kind, subject, 1 + COALESCE((
               SELECT max(occurrence) FROM sidestream.finding o WHERE o.kind = h.kind AND o.subject = h.subject), 0),
           subject_kind, subject_id, severity, sentence, remedy, about, since_at, %(now)s
    FROM held h WHERE NOT EXISTS (SELECT FROM standing s WHERE s.kind = h.kind AND s.subject = h.subject)
    RETURNING 1
)
SELECT count(*) FROM added
"""
