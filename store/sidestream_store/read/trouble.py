"""What went wrong: quarantined messages and readings, devices that are silent, and whether the database answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sidestream_store.read.pool import Pool, query, read_view
from sidestream_store.read.words import Instant


@dataclass(frozen=True, slots=True)
class QuarantineCount:
    """How much of one device is kept apart for one reason."""

    device: Annotated[str, Field(description="hub/party/device as the topic says; empty where it can't be read")]
    reason: Annotated[str, Field(description="machine-readable and stable")]
    state: str
    messages: Annotated[int, Field(description="how often such a message came")]
    readings: Annotated[int, Field(description="how many readings could not be used")]
    first_at: Instant
    last_at: Instant


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One kept message or reading with its reason in a sentence and its beginning as text."""

    quarantine_id: int
    device: str
    reason: str
    detail: str
    sensor: str | None
    topic: str
    first_at: Instant
    last_at: Instant
    count: int
    readings: int
    state: str
    raw_bytes: int
    raw_text: Annotated[str, Field(description="the first 4 000 characters, bytes that are no text escaped")]


@dataclass(frozen=True, slots=True)
class Device:
    """A publishing agent as it last reported itself (`at`: its own clock; `received_at`: the hub's)."""

    device: str
    party: str
    name: str
    state: Annotated[str, Field(description="online, offline or 'never seen'")]
    at: Instant | None
    received_at: Instant | None
    body: Annotated[Any, Field(description="the whole status message: drivers, outbox, parked frames")]
    last_reading_at: Annotated[Instant | None, Field(description="newest reception of any reading of its sensors")]
    open_quarantine: Annotated[int | None, Field(description="readings of it that wait in quarantine")]


async def quarantine_counts(pool: Pool) -> list[QuarantineCount]:
    """What is kept apart, by device, reason and state; newest first."""
    return await query(
        pool,
        QuarantineCount,
        """
        SELECT device, reason, state, sum(count)::bigint AS messages, sum(readings)::bigint AS readings,
               min(first_at) AS first_at, max(last_at) AS last_at
        FROM sidestream_v.quarantine GROUP BY device, reason, state ORDER BY max(last_at) DESC
        """,
    )


async def last_quarantined(pool: Pool, limit: int = 20) -> list[Quarantined]:
    """What was quarantined last, newest first."""
    return await read_view(
        pool, Quarantined, "quarantine", "ORDER BY last_at DESC, quarantine_id DESC LIMIT %(limit)s", limit=limit
    )


async def devices(pool: Pool) -> list[Device]:
    """Every agent of the hub, by id."""
    return await query(
        pool,
        Device,
        """
        SELECT d.device, d.party, d.name, d.state, d.at, d.received_at, d.body, l.last_reading_at,
               d.open_quarantine::bigint AS open_quarantine
        FROM sidestream_v.device d
        LEFT JOIN (
            SELECT device, max(received_at) AS last_reading_at FROM sidestream_v.latest GROUP BY device
        ) l USING (device)
        ORDER BY d.device
        """,
    )


async def database_answers(pool: Pool) -> None:
    """Returns when the database has answered; TransientError when it does not."""
    await query(pool, _One, "SELECT 1 AS one")


@dataclass(frozen=True, slots=True)
class _One:
    one: int
