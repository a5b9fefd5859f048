"""`sidestream twin stop add|list|end`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.times import understood

if TYPE_CHECKING:
    from sidestream_store.stops import Stop

By = Annotated[str | None, Parameter(name="--by", help="Who says so; default: the user who is logged in.")]


def add(
    *,
    dsn: Dsn,
    from_: Annotated[str, Parameter(name="--from", help="Begin; without an offset in the hub's zone.")],
    why: Annotated[str, Parameter(name="--why", help="Why it stands still; stays on record.")],
    to: Annotated[str | None, Parameter(name="--to", help="End; left out: until further notice.")] = None,
    node: Annotated[str | None, Parameter(name="--node", help="Node that stands still, with its streams.")] = None,
    stream: Annotated[str | None, Parameter(name="--stream", help="Or a single stream.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Plan a stop: while it lasts, nothing is expected of an agreement's stream, nothing is breached, and forecasts of
    stocks count without it. A stop of the past may be added afterwards; the periods it touches are judged again.

    Example: sidestream twin stop add --node boiler --from 2026-12-24 --to 2026-12-27T06:00 --why "yearly inspection"
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.stops import Draft, add_stop

    with open_connection(dsn, "stop", autocommit=True) as connection:
        zone = zone_of(connection)
        from_at, to_at = understood(from_, zone, "--from"), understood(to, zone, "--to") if to else None
        stop = add_stop(connection, Draft(node, stream, from_at, to_at, why, by or getpass.getuser()))
    _tell([stop], zone, as_json=as_json)
    return 0


def list_(
    *,
    dsn: Dsn,
    past: Annotated[
        bool, Parameter(name="--past", negative=(), help="Also those that are over or taken back.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Stops that are planned or running, those of hub.yaml too, by their beginning."""
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.stops import list_stops

    with open_connection(dsn, "stop", autocommit=True) as connection:
        _tell(list_stops(connection, past=past), zone_of(connection), as_json=as_json)
    return 0


def end(
    stop_id: int,
    /,
    *,
    dsn: Dsn,
    at: Annotated[str | None, Parameter(name="--at", help="When it is over; default: now.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """End a stop earlier than planned; one that has not begun by then is taken back. That it was planned stays on record.

    Parameters
    ----------
    stop_id
        Its number, as `sidestream twin stop list` shows it.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.stops import end_stop

    with open_connection(dsn, "stop", autocommit=True) as connection:
        zone = zone_of(connection)
        when = understood(at, zone, "--at") if at else datetime.now(UTC)
        _tell([end_stop(connection, stop_id, when, by or getpass.getuser())], zone, as_json=as_json)
    return 0


def _tell(stops: list[Stop], zone: str, *, as_json: bool) -> None:
    from sidestream_app.judged_text import stop_line

    if as_json:
        print_json({"stops": [asdict(s) for s in stops]})
    else:
        print("\n".join(stop_line(stop, zone) for stop in stops) or "Nothing is planned to stand still.")
