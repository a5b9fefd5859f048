"""Where a number comes from: the same tree as `sidestream twin explain --json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Path, Query, Request

from sidestream_store.connect import open_connection
from sidestream_twin.explain.address import parse_address
from sidestream_twin.explain.kinds import explain as explained
from sidestream_twin.explain.scope import Limits
from sidestream_web.parameters import KnownOn, Time
from sidestream_web.places import Places

router = APIRouter(tags=["explain"])
_PLACES = Places(3, "questions where a number comes from")
"""Each question holds a connection of its own for as long as it takes, so few are answered at a time."""


@router.get("/explain/{number:path}", summary="The way from a number down to the readings it rests on, derived again")
def explain(
    request: Request,
    number: Annotated[
        str, Path(description="kind/id/quantity, e.g. stream/fish-heat/heat_flow; @time may follow", max_length=600)
    ],
    *,
    at: Annotated[Time | None, Query(description="the step that holds this time; default: the newest")] = None,
    revision: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="as it was published first (1), second …")
    ] = None,
    as_known_on: KnownOn = None,
    depth: Annotated[int, Query(ge=0, le=12, description="levels below the number")] = 8,
    readings: Annotated[int, Query(ge=0, le=200, description="inputs listed at each place")] = 5,
) -> dict[str, Any]:
    """A tree: `what`, `address`, `value`, `unit`, `sd` and its parts, `from`, `to`, `origin`, `rule`, `check`, `facts`, `inputs`.

    `check.outcome` is `equal` where the number was derived again from its inputs to the last bit, else `differs` or
    `not_possible`, and `check.why` says why. `left_out` counts inputs that are used and not listed.
    """
    address = parse_address(_raw(request, number))
    if at is not None or revision is not None:
        address = address.at_time(at or address.at, revision)
    dsn = request.app.state.settings.dsn
    with _PLACES.one(), open_connection(dsn, "web explain", autocommit=True) as connection:
        told = explained(connection, str(address), datetime.now(UTC), Limits(depth, readings), as_known_on)
    return told.as_dict()


def _raw(request: Request, decoded: str) -> str:
    """The path as it was sent: in a lot's code a slash or an @ that is written as %XX belongs to the code."""
    sent: bytes = request.scope.get("raw_path") or b""
    _, marker, rest = sent.decode("ascii", "replace").partition("/explain/")
    return rest if marker and rest.startswith("lot/") else unquote(decoded)
