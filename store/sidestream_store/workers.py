"""Who works on this database now: each long-lived process keeps one row up to date, the heartbeat that others read."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

from psycopg.types.json import Jsonb

from sidestream_store.connect import Connection, transient_errors

Kind = Literal["ingest", "flows"]
Figure = str | float | int | bool | None

BEAT_S = 5.0
"""How often a process says that it is there; three beats missed and it counts as gone."""

_FORGOTTEN_AFTER = "1 hour"


@dataclass(frozen=True, slots=True)
class Identity:
    """One process as it is told apart from all others, for as long as it runs."""

    kind: Kind
    worker: str = field(default_factory=lambda: secrets.token_hex(4))
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = field(default_factory=lambda: version("sidestream"))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def beat(connection: Connection, who: Identity, figures: Mapping[str, Figure], every_s: float = BEAT_S) -> None:
    """The process's row says that it was there now, by the database's clock; rows silent for an hour are gone.

    TransientError when the database is away: the next beat says the same. ConfigurationError when its schema is too old.
    """
    with transient_errors("save the heartbeat"), connection.transaction():
        connection.execute(
            "INSERT INTO sidestream.worker AS w (worker, kind, host, pid, version, started_at, seen_at, every_s, figures)"
            " VALUES (%s, %s, %s, %s, %s, %s, now(), %s, %s)"
            " ON CONFLICT (worker) DO UPDATE SET seen_at = excluded.seen_at, figures = excluded.figures",
            [who.worker, who.kind, who.host, who.pid, who.version, who.started_at, every_s, Jsonb(dict(figures))],
        )
        # SKIP LOCKED: another worker may be clearing away the same rows, and none waits for the other
        connection.execute(
            "DELETE FROM sidestream.worker WHERE worker IN (SELECT worker FROM sidestream.worker"
            " WHERE seen_at < now() - %s::interval FOR UPDATE SKIP LOCKED)",
            [_FORGOTTEN_AFTER],
        )


def farewell(connection: Connection, who: Identity) -> None:
    """The process's row is gone: it ended in good order, and nobody needs to look for it."""
    with transient_errors("take the heartbeat away"), connection.transaction():
        connection.execute("DELETE FROM sidestream.worker WHERE worker = %s", [who.worker])
