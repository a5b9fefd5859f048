"""What could not be used, and whether this service itself is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_store.read import trouble as read
from sidestream_store.read.hub import hub_record
from sidestream_web.api.hub import ThePool

router = APIRouter(tags=["trouble"])


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Counts by device, reason and state; and the newest entries with their beginning as text."""

    counts: list[read.QuarantineCount]
    last: list[read.Quarantined]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well, in words."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """Whether this service can do its work: `down` answers with 503."""

    status: Literal["ok", "down"]
    checks: list[Check]
    live_clients: Annotated[int, Field(description="open live pages")]


@router.get("/quarantine", summary="Messages and readings that could not be used, and why")
async def quarantine(
    pool: ThePool, limit: Annotated[int, Query(ge=1, le=200, description="most entries in `last`")] = 20
) -> Quarantine:
    """Nothing is dropped silently: what is not in the series is here."""
    return Quarantine(await read.quarantine_counts(pool), await read.last_quarantined(pool, limit))


@router.get("/health", summary="Whether this service is well", responses={503: {"model": Health}})
async def health(pool: ThePool, request: Request, response: Response) -> Health:
    """200 when the database answers and a hub is applied, else 503; both with words."""
    checks = [await _database(pool)]
    if checks[0].ok:
        checks.append(await _hub(pool))
    failure = request.app.state.failure
    checks.append(Check("live reader", failure is None, "runs" if failure is None else f"ended: {failure!r}"))
    well = all(check.ok for check in checks)
    response.status_code = 200 if well else 503
    return Health("ok" if well else "down", checks, request.app.state.broadcaster.clients)


async def _database(pool: ThePool) -> Check:
    try:
        await read.database_answers(pool)
    except TransientError as error:
        return Check("database", False, str(error))
    return Check("database", True, "answers")


async def _hub(pool: ThePool) -> Check:
    try:
        hub = await hub_record(pool)
    except (TransientError, ConfigurationError) as error:
        return Check("hub", False, str(error))
    if hub is None:
        return Check("hub", False, "no hub file was applied; run `sidestream hub apply`")
    return Check("hub", True, f"{hub.id}, version {hub.version_id}")
