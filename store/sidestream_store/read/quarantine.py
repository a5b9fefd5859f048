"""The quarantine for whoever reads only views: groups, entries page by page, one entry with its bytes, what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, LiteralString

from pydantic import Field

from sidestream_contracts.errors import DomainError
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_store.quarantine.entries import Entry
from sidestream_store.read.pool import Pool, query, read_view
from sidestream_store.read.words import Instant


@dataclass(frozen=True, slots=True)
class Group:
    """Everything of one device, reason and state; `counted_*` is the part of it of which no bytes are kept."""

    device: Annotated[str, Field(description="hub/party/device as the topic says; empty where it can't be read")]
    reason: str
    state: Annotated[str, Field(description="open, replayed or discarded")]
    entries: Annotated[int, Field(description="entries with their bytes")]
    messages: Annotated[int, Field(description="how often such a message came")]
    readings: Annotated[int, Field(description="how many readings could not be used")]
    counted_messages: int
    counted_readings: int
    sensors: int
    a_sensor: str | None
    first_at: Instant
    last_at: Instant
    newest_id: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are asked for; `device` is an id or hub/party/device."""

    device: str | None = None
    reason: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One entry without its bytes."""

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
    counted_only: Annotated[bool, Field(description="stands for messages of which no bytes are kept")]
    cut: Annotated[bool, Field(description="only the beginning of the message is kept")]
    from_id: Annotated[int | None, Field(description="the entry that this one was left over from")]
    replayed_readings: int
    closed_at: Instant | None
    closed_by: str | None
    closed_why: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """One step that somebody took about an entry."""

    at: Instant
    author: str
    action: str
    quarantine_id: int
    device: str
    reason: str
    readings: Annotated[int, Field(description="how many readings became usable by it")]
    outcome: str


_WANTED: LiteralString = (
    "WHERE (%(device)s::text IS NULL OR device = %(device)s OR split_part(device, '/', 3) = %(device)s)"
    " AND (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(state)s::text IS NULL OR state = %(state)s) "
)


async def groups(pool: Pool, wanted: Filter, limit: int = 500) -> list[Group]:
    """What is kept apart, by device, reason and state; newest first."""
    return await read_view(
        pool,
        Group,
        "quarantine_group",
        _WANTED + "ORDER BY last_at DESC, device, reason LIMIT %(limit)s",
        **_values(wanted),
        limit=limit,
    )


async def items(pool: Pool, wanted: Filter, limit: int, before: int | None = None) -> list[Item]:
    """Entries, the one that was kept last first; `before` goes on below an entry's number."""
    return await read_view(
        pool,
        Item,
        "quarantine",
        _WANTED
        + "AND (%(before)s::bigint IS NULL OR quarantine_id < %(before)s) ORDER BY quarantine_id DESC LIMIT %(limit)s",
        **_values(wanted),
        before=before,
        limit=limit,
    )


def _values(wanted: Filter) -> dict[str, str | None]:
    return {"device": wanted.device, "reason": wanted.reason, "state": wanted.state}


async def maybe_item(pool: Pool, quarantine_id: int) -> Item | None:
    """One entry, or None when there is none of this number."""
    found = await read_view(pool, Item, "quarantine", "WHERE quarantine_id = %(id)s", id=quarantine_id)
    return found[0] if found else None


async def item(pool: Pool, quarantine_id: int) -> Item:
    """One entry; DomainError when there is none of this number."""
    found = await maybe_item(pool, quarantine_id)
    if found is None:
        raise DomainError(f"Quarantine has no entry #{quarantine_id}; it may have aged out.")
    return found


async def whole(pool: Pool, quarantine_id: int) -> Entry:
    """One entry with its bytes; DomainError when there is none of this number."""
    one = await item(pool, quarantine_id)
    (bare,) = await query(
        pool,
        _Bytes,
        "SELECT r.raw, q.properties FROM sidestream_v.quarantine_raw r JOIN sidestream_v.quarantine q USING (quarantine_id)"
        " WHERE quarantine_id = %(id)s",
        id=quarantine_id,
    )
    return Entry(
        one.quarantine_id, one.device, one.reason, one.detail, one.sensor, one.topic,
        tuple((name, value) for name, value in bare.properties), bytes(bare.raw), one.raw_bytes, one.counted_only,
        one.first_at, one.last_at, one.count, one.readings, one.state,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Bytes:
    raw: bytes
    properties: Any


async def announced(pool: Pool, device: str) -> dict[str, AnnouncedSensor]:
    """The sensors that a device (hub/party/device) announced in its newest status, by id."""
    _, party, name = (*device.split("/"), "", "", "")[:3]
    rows = await read_view(
        pool,
        _Announced,
        "announced_sensor",
        "WHERE party = %(party)s AND device = %(device)s",
        party=party,
        device=name,
    )
    return {
        row.sensor: AnnouncedSensor(id=row.sensor, driver=row.driver, unit=row.unit, quantity=row.quantity)
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class _Announced:
    sensor: str
    driver: str
    unit: str | None
    quantity: str | None


async def actions(pool: Pool, limit: int, quarantine_id: int | None = None) -> list[Action]:
    """What was done, newest first; about one entry where its number is given."""
    return await read_view(
        pool,
        Action,
        "quarantine_action",
        "WHERE %(id)s::bigint IS NULL OR quarantine_id = %(id)s ORDER BY action_id DESC LIMIT %(limit)s",
        id=quarantine_id,
        limit=limit,
    )
