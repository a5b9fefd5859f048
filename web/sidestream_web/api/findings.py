"""What the twin raises and what people wrote: findings and notes; operators acknowledge, shelve and write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from sidestream_store.connect import Connection, open_connection
from sidestream_store.findings import actions, read
from sidestream_store.findings.actions import Act
from sidestream_store.findings.read import Action, Finding
from sidestream_store.notes import NOTES, About, Asked, Note, NoteDraft, about_named, add_note, asked_values
from sidestream_store.read.pool import query
from sidestream_web import operators
from sidestream_web.api.hub import ThePool
from sidestream_web.operators import Operator, TheOperator
from sidestream_web.parameters import Time

router = APIRouter(tags=["findings"])
writing = APIRouter(tags=["operators"], responses=operators.REFUSALS)
FindingId = Annotated[str, Field(max_length=300, description="its id; without #n its newest occurrence")]
Reason = Annotated[str, Field(max_length=2000)]


class Acknowledge(BaseModel):
    """Somebody has seen it."""

    model_config = ConfigDict(extra="forbid")
    finding: FindingId
    reason: Reason | None = None


class Shelve(BaseModel):
    """Not now: it comes back at `until`, a month ahead at most."""

    model_config = ConfigDict(extra="forbid")
    finding: FindingId
    until: Time
    reason: Reason


class WriteNote(BaseModel):
    """A note beside the numbers; it stays for good."""

    model_config = ConfigDict(extra="forbid")
    about: Annotated[str, Field(max_length=100, description="node/…, stream/…, agreement/…, sensor/…, or hub")]
    text: Annotated[str, Field(min_length=1, max_length=4000)]
    from_at: Annotated[Time | None, Field(description="default: now")] = None
    to_at: Annotated[Time | None, Field(description="not included; default: an instant")] = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is out of order, the most serious first, what is shelved last."""

    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes, newest first."""

    notes: list[Note]


@router.get("/findings", summary="What is out of order, since when, and what to do")
async def findings(
    pool: ThePool,
    *,
    everything: Annotated[bool, Query(alias="all", description="also what is over and done with")] = False,
    limit: Annotated[int, Query(ge=1, le=1000, description="most findings in one answer")] = 500,
) -> Findings:
    """Each occurrence once, in the words of ISA-18.2: unacknowledged, acknowledged, shelved, returned, normal."""
    return Findings(await query(pool, Finding, read.FINDINGS, all=everything, limit=limit))


@router.get("/findings/actions", summary="Who acknowledged or shelved a condition, when and why")
async def finding_actions(
    pool: ThePool,
    kind: Annotated[str, Query(max_length=100, description="of the finding")],
    subject: Annotated[str, Query(max_length=200, description="of the finding")],
) -> list[Action]:
    """Of all its occurrences, oldest first; never edited."""
    return await query(pool, Action, read.ACTIONS, kind=kind, subject=subject)


@router.get("/notes", summary="Shift notes")
async def notes(
    pool: ThePool,
    *,
    kind: Annotated[str | None, Query(description="hub, node, stream, agreement or sensor; with `subject`")] = None,
    subject: Annotated[str | None, Query(description="only about this one")] = None,
    from_at: Annotated[Time | None, Query(alias="from", description="only of this time on")] = None,
    to_at: Annotated[Time | None, Query(alias="to", description="only of before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="most notes in one answer")] = 100,
) -> Notes:
    """Those whose time touches the asked one, newest first."""
    asked = Asked(About(kind, subject or "") if kind else None, from_at, to_at, limit)
    return Notes(await query(pool, Note, NOTES, **asked_values(asked)))


@writing.post("/notes", summary="Write a note")
def write_note(who: TheOperator, said: Annotated[WriteNote, Body()]) -> Note:
    """It can't be edited or deleted; a mistake is mended by another note."""
    now_at = datetime.now(UTC)
    from_at = said.from_at or now_at
    with _connected(who) as connection:
        about = about_named(connection, said.about)
        return add_note(connection, NoteDraft(about, from_at, said.to_at or from_at, said.text, who.name), now_at)


@writing.post("/findings/acknowledge", summary="Say that somebody has seen a finding")
def acknowledge(who: TheOperator, asked: Annotated[Acknowledge, Body()]) -> Finding:
    """Of this occurrence; it stays until it returns to normal."""
    with _connected(who) as connection:
        return actions.acknowledge(connection, asked.finding, Act(who.name, datetime.now(UTC), asked.reason))


@writing.post("/findings/shelve", summary="Put a condition aside until a time")
def shelve(who: TheOperator, asked: Annotated[Shelve, Body()]) -> Finding:
    """Whichever occurrence; alerts leave it out, and it comes back by itself."""
    with _connected(who) as connection:
        return actions.shelve(connection, asked.finding, asked.until, Act(who.name, datetime.now(UTC), asked.reason))


@writing.post("/findings/unshelve", summary="Let a shelved condition come back now")
def unshelve(who: TheOperator, asked: Annotated[Acknowledge, Body()]) -> Finding:
    """It is shown again."""
    with _connected(who) as connection:
        return actions.unshelve(connection, asked.finding, Act(who.name, datetime.now(UTC), asked.reason))


def _connected(who: Operator) -> Connection:
    return open_connection(who.dsn, "web operator", autocommit=True)
