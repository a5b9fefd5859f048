"""`sidestream twin explain`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import ConfigurationError


def explain(
    number: str,
    /,
    *,
    dsn: Dsn,
    depth: Annotated[int, Parameter(help="Levels below the number; 0: only the number itself.")] = 8,
    readings: Annotated[int, Parameter(help="Inputs listed at each place; all are used, the rest is counted.")] = 5,
    as_known_on: Annotated[
        str | None, Parameter(help="As it was published then; without an offset in the hub's zone.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show the way from a number down to the readings, frames, corrections, sensors and configuration it rests on.

    Every step is derived again from what is listed below it, and compared with what is stored: ✓ the same to the last bit,
    ✗ not the same, – inputs are gone. Exit code 1 where something differs.

    `stream/fish-heat/heat_flow@2026-11-22T10:00` · `stream/fish-heat/heat_flow/1h@…` · `node/slag-silo/stock_mass` ·
    `agreement/heat-to-powerco` · `sensor/boiler-flow/1d@2026-11-21` · `lot/SS-BAG-000123`

    Parameters
    ----------
    number
        kind/id/quantity@time#revision; without a time the newest, without an offset in the hub's zone.
    """
    from sidestream_app.explain_text import tree_lines
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_twin.explain.kinds import explain as explained
    from sidestream_twin.explain.scope import Limits

    if depth < 0 or readings < 0:
        raise ConfigurationError("--depth and --readings are numbers from 0 on.")
    with open_connection(dsn, "explain", autocommit=True) as connection:
        zone = zone_of(connection)
        known_at = understood(as_known_on, zone, "--as-known-on") if as_known_on else None
        told = explained(connection, number, datetime.now(UTC), Limits(depth, readings), known_at)
    print(json.dumps(told.as_dict(), ensure_ascii=False) if as_json else "\n".join(tree_lines(told, zone)))
    return int(any(part.check is not None and part.check.outcome == "differs" for part in told.walk()))
