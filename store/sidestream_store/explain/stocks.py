"""What a stock's filter remembered before a step."""

from __future__ import annotations

from datetime import datetime

from sidestream_store.connect import Connection
from sidestream_store.twin.stocks import Checkpoint


def checkpoint_before(connection: Connection, node: str, at: datetime, step_s: int) -> Checkpoint | None:
    """The newest memory of the node's filter at or before `at`; None: it begins with what was first heard of the stock."""
    row = connection.execute(
        "SELECT floor(extract(epoch FROM at) / %s)::bigint, state FROM sidestream_v.stock_checkpoint"
        " WHERE node = %s AND at <= %s ORDER BY at DESC LIMIT 1",
        [step_s, node, at],
    ).fetchone()
    return Checkpoint(*row) if row else None
