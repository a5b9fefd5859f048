"""What the twin raises and what the shift wrote: two tables that stand on the overview."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Panel

FINDINGS_SQL: Final = """
SELECT severity, state, sentence, remedy, since_at, COALESCE(shelved_by, acknowledged_by) AS who,
    COALESCE(shelved_why, acknowledged_why) AS why, shelved_until, finding, about
FROM sidestream_v.finding
WHERE state <> 'normal'
ORDER BY state = 'shelved', array_position(ARRAY['alarm', 'warning', 'note'], severity), raised_at DESC, finding
LIMIT 200
"""
NOTES_SQL: Final = """
SELECT from_at, to_at, CASE WHEN subject = '' THEN subject_kind ELSE subject_kind || '/' || subject END AS about, text, author
FROM sidestream_v.note
WHERE GREATEST(to_at, from_at + interval '1 us') > $__timeFrom()::timestamptz AND from_at < $__timeTo()::timestamptz
ORDER BY from_at DESC, note_id DESC
LIMIT 200
"""
_SEVERITY: Final = look.words(
    ("alarm", "alarm", look.WRONG), ("warning", "warning", look.DOUBT), ("note", "note", look.PLANNED)
)
_STATE: Final = look.words(
    ("unacknowledged", "nobody has seen it", look.DOUBT),
    ("acknowledged", "acknowledged", look.PLANNED),
    ("shelved", "shelved", look.PLANNED),
    ("returned", "well again, not acknowledged", look.GOOD),
)

FINDINGS: Final = Panel(
    kind="table",
    title="Findings",
    description="What is out of order now, each occurrence once, with what to do; what is shelved stands last. The sentence "
    "tells what was so when it was raised: `sidestream twin explain NUMBER` tells how it is. Acknowledge or shelve with "
    "`sidestream twin acknowledge` and `shelve`. Alerts leave out what is shelved.",
    sql=FINDINGS_SQL,
    width=24,
    height=8,
    empty="Nothing is out of order",
    fields=(
        look.coloured("severity", "Severity", _SEVERITY, 100),
        look.coloured("state", "State", _STATE, 150),
        look.text("sentence", "What", 480),
        look.text("remedy", "To do", 420),
        look.moment("since_at", "Since", ago=True),
        look.text("who", "By"),
        look.text("why", "Why"),
        look.moment("shelved_until", "Shelved until"),
        look.text("finding", "Finding"),
        look.text("about", "Number"),
    ),
)
NOTES: Final = Panel(
    kind="table",
    title="Shift notes",
    description="What people wrote about the chosen time, with `sidestream twin note add`. Notes are never edited.",
    sql=NOTES_SQL,
    width=24,
    height=6,
    empty="Nobody wrote a note about this time",
    fields=(
        look.moment("from_at", "From"),
        look.moment("to_at", "To"),
        look.text("about", "About"),
        look.text("text", "Note", 640),
        look.text("author", "Author"),
    ),
)
