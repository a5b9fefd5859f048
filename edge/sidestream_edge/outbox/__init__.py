"""The durable outbox: what has been measured stays here until the hub says that it is committed."""

from __future__ import annotations

from sidestream_edge.outbox.aside import Draft
from sidestream_edge.outbox.glance import journal_end, journal_epochs, waiting_frames, waiting_lanes
from sidestream_edge.outbox.journal import read_journal
from sidestream_edge.outbox.lock import OutboxLock, lock_holder
from sidestream_edge.outbox.places import Backlog, Place, Stored
from sidestream_edge.outbox.room import Fullness, Refusal
from sidestream_edge.outbox.store import Outbox
from sidestream_edge.outbox.trouble import OutboxCorruptError, OutboxNotDurableError

__all__ = [
    "Backlog",
    "Draft",
    "Fullness",
    "Outbox",
    "OutboxCorruptError",
    "OutboxLock",
    "OutboxNotDurableError",
    "Place",
    "Refusal",
    "Stored",
    "journal_end",
    "journal_epochs",
    "lock_holder",
    "read_journal",
    "waiting_frames",
    "waiting_lanes",
]
