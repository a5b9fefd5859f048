"""Reads the journal: every payload that an agent ever took in, for honest counting of what was sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sidestream_contracts.errors import DomainError


def read_journal(path: Path, after: int = 0) -> Iterator[bytes]:
    """Payload bytes of every frame stored in the outbox at `path` while `outbox.journal` was on, oldest first.

    With `after` only what came after that mark of `journal_end`.

    May be read while the agent runs. DomainError where there is no outbox.
    """
    if not path.exists():
        raise DomainError(f"There is no outbox {path}, so no journal to read.")
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        for (payload,) in db.execute("SELECT payload FROM journal WHERE id > ? ORDER BY id", [after]):
            yield bytes(payload)
