"""The quarantine in full: page by page, one entry, explained; and for operators: replay and discard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from sidestream_store.connect import open_connection
from sidestream_store.quarantine import resolve
from sidestream_store.quarantine.entries import Selection
from sidestream_store.quarantine.explain import Explanation, as_text
from sidestream_store.quarantine.explain import explain as explained
from sidestream_store.read import quarantine as read
from sidestream_web import operators
from sidestream_web.api.hub import ThePool
from sidestream_web.errors import Problem, RefusedError
from sidestream_web.operators import TheOperator

router = APIRouter(prefix="/quarantine", tags=["trouble"])
writing = APIRouter(prefix="/quarantine", tags=["operators"], responses=operators.REFUSALS)
_LARGEST = 2**63 - 1
State = Literal["open", "replayed", "discarded"]
Number = Annotated[int, Path(ge=1, le=_LARGEST, description="the entry's number")]
EntryId = Annotated[int, Field(ge=1, le=_LARGEST)]
Device = Annotated[str | None, Query(description="only of this device: its id, or hub/party/device")]
ReasonCode = Annotated[str | None, Query(description="only of this reason, e.g. unknown_sensor")]
OfState = Annotated[State | None, Query(description="only in this state")]


@dataclass(frozen=True, slots=True)
class Groups:
    """Everything of a device, reason and state in one line."""

    groups: list[read.Group]


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of entries, newest first; `next` goes on, and is null on the last page."""

    entries: list[read.Item]
    next: Annotated[int | None, Field(description="`before` of the next page")]


@dataclass(frozen=True, slots=True)
class Whole:
    """One entry with the message as it came and what was done about it."""

    entry: read.Item
    properties: Annotated[list[tuple[str, str]], Field(description="MQTT user properties: epoch, lane, seq, hash, …")]
    raw_text: Annotated[str | None, Field(description="the message, or null where it is no text")]
    raw_hex: Annotated[str | None, Field(description="the message in hex where it is no text")]
    actions: list[read.Action]


@dataclass(frozen=True, slots=True)
class Actions:
    """What was done, newest first."""

    actions: list[read.Action]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each entry, and how many readings were taken over in all."""

    readings: int
    outcomes: list[resolve.Outcome]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Which(_Asked):
    """Which open entries: `ids`, or all that agree with what is named, or `all_open`."""

    ids: list[EntryId] = Field(default=[], max_length=1000)
    device: str | None = None
    reason: str | None = None
    sensor: str | None = None
    all_open: bool = False


class Discard(_Asked):
    """Which open entries will not be used, and why."""

    ids: list[EntryId] = Field(min_length=1, max_length=1000)
    why: str = Field(min_length=1, max_length=1000, description="stays on record")


@router.get("/groups", summary="What lies in quarantine, by device, reason and state")
async def groups(pool: ThePool, device: Device = None, reason: ReasonCode = None, state: OfState = None) -> Groups:
    """Newest first. `counted_…` says what of a group is only counted: of a flood, the first and last hundred are kept."""
    return Groups(await read.groups(pool, read.Filter(device, reason, state)))


@router.get("/entries", summary="Entries of the quarantine, page by page")
async def entries(
    pool: ThePool,
    *,
    device: Device = None,
    reason: ReasonCode = None,
    state: OfState = None,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="most entries in one answer")] = 100,
) -> Entries:
    """The entry that was kept last comes first."""
    found = await read.items(pool, read.Filter(device, reason, state), limit + 1, before)
    page = found[:limit]
    return Entries(page, page[-1].quarantine_id if len(found) > limit else None)


@router.get("/actions", summary="What was done about entries, by whom")
async def actions(
    pool: ThePool, limit: Annotated[int, Query(ge=1, le=1000, description="most steps in one answer")] = 100
) -> Actions:
    """Every mend, replay and discard, newest first."""
    return Actions(await read.actions(pool, limit))


@router.get("/entries/{quarantine_id}", summary="One entry as it came")
async def entry(pool: ThePool, quarantine_id: Number) -> Whole:
    """With the whole message as far as it was kept, and what was done about it."""
    item = await _item(pool, quarantine_id)
    whole = await read.whole(pool, quarantine_id)
    text = as_text(whole.raw)
    done = await read.actions(pool, 100, quarantine_id)
    return Whole(item, list(whole.properties), text, whole.raw.hex() if text is None else None, done)


@router.get("/entries/{quarantine_id}/explanation", summary="Why an entry could not be used, and what to do")
async def explanation(pool: ThePool, quarantine_id: Number) -> Explanation:
    """In words, with commands to type; `snippet` is the line for hub.yaml, which is a file and not changed from here."""
    item = await _item(pool, quarantine_id)
    whole = await read.whole(pool, quarantine_id)
    ended = f"{item.state} by {item.closed_by}: {item.closed_why}" if item.closed_at else None
    return explained(whole, await read.announced(pool, whole.device), ended=ended)


async def _item(pool: ThePool, quarantine_id: int) -> read.Item:
    found = await read.maybe_item(pool, quarantine_id)
    if found is None:
        message = (
            f"Quarantine has no entry {quarantine_id}; it may have aged out. /quarantine/entries lists what there is."
        )
        raise RefusedError(404, Problem(code="unknown_id", message=message, parameter="quarantine_id"))
    return found


@writing.post("/replay", summary="Check entries again with the hub as it is now, and take over what has become usable")
def replay(request: Request, who: TheOperator, which: Annotated[Which, Body()]) -> Outcomes:
    """Exactly once, however often it is asked. What can't be used even now stays open, with its reason."""
    selection = Selection(tuple(which.ids), which.device, which.reason, which.sensor)
    named = any((which.ids, which.device, which.reason, which.sensor))
    if named == which.all_open:
        message = "Name ids, a device, a reason or a sensor; or say all_open, and nothing else."
        raise RefusedError(422, Problem(code="bad_parameter", message=message, parameter="ids"))
    outcomes = request.app.state.settings.operators.replay(who.dsn, selection, who.name)
    return Outcomes(sum(outcome.readings for outcome in outcomes), outcomes)


@writing.post("/discard", summary="Decide that entries will not be used")
def discard(who: TheOperator, asked: Annotated[Discard, Body()]) -> Outcomes:
    """All of them or none. They stay, marked with who, when and why, until retention takes them."""
    with open_connection(who.dsn, "web operator", autocommit=True) as connection:
        return Outcomes(0, resolve.discard(connection, Selection(tuple(asked.ids)), asked.why, who.name))
