"""Parameters that several addresses share: refused with a sentence where they make no sense, never guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query, Request
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BeforeValidator

from sidestream_store.read.hub import HubRecord, Sensor, hub_record, sensors
from sidestream_store.read.pool import Pool
from sidestream_store.read.series import Bucket, Cursor
from sidestream_web.errors import Problem, RefusedError, bad_parameter, unknown_id

DEFAULT_SPAN: dict[Bucket, timedelta] = {
    "raw": timedelta(hours=1),
    "1m": timedelta(days=1),
    "1h": timedelta(days=30),
    "1d": timedelta(days=365),
}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_PLUS_READ_AS_SPACE = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")


def _mend_zone(text: object) -> object:
    """An unescaped `+01:00` in an address arrives as ` 01:00`."""
    return _PLUS_READ_AS_SPACE.sub("+", text) if isinstance(text, str) and "T" in text else text


Time = Annotated[AwareDatetime, BeforeValidator(_mend_zone)]
FromTime = Annotated[
    Time | None,
    Query(alias="from", description="first time, ISO 8601 with zone; default: 1 h (raw), 1 d, 30 d, 365 d before `to`"),
]
ToTime = Annotated[Time | None, Query(alias="to", description="end, not included, ISO 8601 with zone; default: now")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="most rows in one answer")]
KnownOn = Annotated[
    Time | None,
    Query(description="figures as they were published then, ISO 8601 with zone; default: as they are known now"),
]
After = Annotated[str | None, Query(description="`next` of the page before, to go on from there")]


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to before `stop`, both UTC."""

    start: datetime
    stop: datetime


def pool_of(request: Request) -> Pool:
    """The pool of the running application."""
    pool: Pool = request.app.state.pool
    return pool


def only_known(request: Request) -> None:
    """A parameter that the address does not have is refused: a slip of the pen must not answer another question."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = [field.alias for field in route.dependant.query_params]
    for name in request.query_params:
        if name not in known:
            listed = f"allowed: {', '.join(known)}" if known else "this address takes none"
            raise bad_parameter(name, f"There is no parameter {name!r} here; {listed}.", known, name)


def only_text(request: Request) -> None:
    """A NUL or half a surrogate pair, in the path or a parameter, is refused: no id, code or time holds one."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if _NO_TEXT.search(str(value)):
            raise bad_parameter(name, f"{name!r} is {value!r}, which holds a character that no text has.")


def span(from_at: datetime | None, to_at: datetime | None, bucket: Bucket) -> Span:
    """The asked span, or the default one that ends at `to_at` or now; RefusedError where it is empty."""
    try:
        stop = (to_at or datetime.now(UTC)).astimezone(UTC)
        start = from_at.astimezone(UTC) if from_at else stop - DEFAULT_SPAN[bucket]
    except OverflowError as error:
        raise bad_parameter("from", "'from' and 'to' must lie in the years 1 to 9999, in UTC.") from error
    if start >= stop:
        raise bad_parameter("from", f"'from' ({start.isoformat()}) is not before 'to' ({stop.isoformat()}).")
    return Span(start, stop)


def resolution(from_at: datetime | None, to_at: datetime | None) -> Bucket:
    """The finest bucket that gives a span a few thousand points; minutes where no start is given."""
    if from_at is None:
        return "1m"
    length = (to_at or datetime.now(UTC)) - from_at
    for bucket, most in _FINE_UP_TO.items():
        if length <= most:
            return bucket
    return "1d"


_FINE_UP_TO: dict[Bucket, timedelta] = {"raw": timedelta(hours=1), "1m": timedelta(days=2), "1h": timedelta(days=120)}


def start_of(after: str | None, within: Span) -> Cursor:
    """Where a page begins: at the span's start, or where the page before ended."""
    if after is None:
        return Cursor(within.start)
    try:
        time, key, skip = after.split("~")
        cursor = Cursor(datetime.fromisoformat(time), int(key), int(skip))
    except ValueError:
        cursor = None
    if (
        cursor is None
        or cursor.time.tzinfo is None
        or not _can_be(cursor)
        or not within.start <= cursor.time < within.stop
    ):
        raise bad_parameter(
            "after", f"'after' is {after!r}; give the 'next' of the page before, with the same 'from' and 'to'."
        )
    return cursor


def _can_be(cursor: Cursor) -> bool:
    """Numbers that a database can hold, so that a made-up cursor is refused here."""
    return 0 <= cursor.skip < 2**31 and -(2**63) <= cursor.key < 2**63


def cursor_text(cursor: Cursor | None) -> str | None:
    """The cursor as `next` of an answer."""
    return f"{cursor.time.isoformat().replace('+00:00', 'Z')}~{cursor.key}~{cursor.skip}" if cursor else None


async def the_hub(pool: Pool) -> HubRecord:
    """The hub; RefusedError 503 while no hub file was applied."""
    hub = await hub_record(pool)
    if hub is None:
        raise RefusedError(
            503,
            Problem(code="no_hub", message="No hub file was applied to this database yet; run `sidestream hub apply`."),
        )
    return hub


async def the_sensor(pool: Pool, sensor: str) -> Sensor:
    """The sensor of that id; RefusedError 404 that names the nearest known one."""
    known = {row.id: row for row in await sensors(pool)}
    if sensor not in known:
        raise unknown_id("sensor", sensor, known, "sensor")
    return known[sensor]
