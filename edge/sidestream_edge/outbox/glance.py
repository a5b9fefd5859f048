"""Looks at an outbox from outside, while its agent runs or not, without disturbing it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sidestream_contracts.errors import DomainError


def waiting_frames(path: Path) -> int:
    """How many frames the hub has not yet acknowledged. DomainError where there is no outbox."""
    return int(_ask(path, "SELECT count(*) FROM frame")[0][0])


def journal_epochs(path: Path) -> set[str]:
    """Epochs of the agent's starts that the journal tells of. DomainError where there is no outbox."""
    return {str(row[0]) for row in _ask(path, "SELECT DISTINCT epoch FROM journal")}


def _ask(path: Path, question: str) -> list[Any]:
    if not path.exists():
        raise DomainError(f"There is no outbox {path}.")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute(question).fetchall()
