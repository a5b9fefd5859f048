"""Writes what has a key, in the caller's transaction: a run's epoch, frames at the ends of their lanes, the journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sidestream_contracts.frame import Lane, payload_hash
from sidestream_edge.outbox.aside import Draft
from sidestream_edge.outbox.schema import now_text


def insert_epoch(db: sqlite3.Connection, epoch: str, previous: str | None) -> int:
    """The number of the new epoch; epochs of which nothing is left are forgotten."""
    db.execute("DELETE FROM epoch WHERE id NOT IN (SELECT epoch_id FROM frame)")
    db.execute("DELETE FROM assigned WHERE epoch_id NOT IN (SELECT id FROM epoch)")
    insert = "INSERT INTO epoch (epoch, prev, started_at) VALUES (?, ?, ?) RETURNING id"
    return int(db.execute(insert, (epoch, previous, now_text())).fetchone()[0])


def insert_frames(
    db: sqlite3.Connection, drafts: Sequence[Draft], epoch_id: int, last: dict[Lane, int], journal_as: str | None
) -> None:
    """The drafts stand behind `last` of their lanes in that epoch, and in the journal where `journal_as` names it there."""
    seqs, rows, stored_at = dict(last), [], now_text()
    for draft in drafts:
        seqs[draft.lane] += 1
        digest = payload_hash(draft.payload)
        rows.append((draft.lane, epoch_id, seqs[draft.lane], draft.channel, draft.payload, digest, stored_at))
    db.executemany("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    if journal_as is not None:
        db.executemany(
            "INSERT INTO journal (epoch, lane, seq, channel, payload) VALUES (?, ?, ?, ?, ?)",
            [(journal_as, lane, seq, channel, payload) for lane, _, seq, channel, payload, _, _ in rows],
        )
    db.executemany(
        "INSERT OR REPLACE INTO assigned VALUES (?, ?, ?)", [(epoch_id, lane, n) for lane, n in seqs.items()]
    )
