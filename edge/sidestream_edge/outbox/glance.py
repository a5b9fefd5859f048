"""Looks at an outbox from outside, while its agent runs or not, without disturbing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sidestream_contracts.errors import DomainError
from sidestream_contracts.messages import LaneStatus


def waiting_frames(path: Path) -> int:
    """How many frames the hub has not yet acknowledged, with those that are still being gathered. DomainError where there is no outbox."""
    frames = int(_ask(path, "SELECT count(*) FROM frame")[0][0])
    has_spool = _ask(path, "SELECT 1 FROM sqlite_master WHERE name = 'spool'")
    return frames + (int(_ask(path, "SELECT count(*) FROM spool")[0][0]) if has_spool else 0)


def waiting_lanes(path: Path) -> list[LaneStatus]:
    """What waits in each lane, and since when. DomainError where there is no outbox."""
    rows = _ask(path, "SELECT lane, count(*), min(stored_at) FROM frame GROUP BY lane")
    return [
        LaneStatus(lane=lane, frames=count, oldest_at=datetime.fromisoformat(oldest)) for lane, count, oldest in rows
    ]


def frames_made(path: Path) -> int:
    """How many frames the agent has stored in its newest epoch, acknowledged ones too. DomainError where there is no outbox."""
    newest = "SELECT COALESCE(sum(last_seq), 0) FROM assigned WHERE epoch_id = (SELECT max(id) FROM epoch)"
    return int(_ask(path, newest)[0][0])


def journal_end(path: Path) -> int:
    """A mark behind the journal's last entry, 0 where there is no outbox yet; what comes later lies after it."""
    return int(_ask(path, "SELECT COALESCE(max(id), 0) FROM journal")[0][0]) if path.exists() else 0


def journal_epochs(path: Path, after: int) -> set[str]:
    """Epochs of the agent's starts that the journal tells of after the mark. DomainError where there is no outbox."""
    return {str(row[0]) for row in _ask(path, "SELECT DISTINCT epoch FROM journal WHERE id > ?", after)}


def _ask(path: Path, question: str, *values: object) -> list[Any]:
    if not path.exists():
        raise DomainError(f"There is no outbox {path}.")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        try:
            return db.execute(question, values).fetchall()
        except sqlite3.OperationalError as error:
            raise DomainError(f"{path} can't be looked into now: {error}.") from error
