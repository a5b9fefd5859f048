"""What became of the heat: the same report as `sidestream twin heat --json`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from sidestream_store.connect import open_connection
from sidestream_twin.heat_report.load import load_heat_report
from sidestream_twin.heat_report.report import HeatReport
from sidestream_web.parameters import Time, ToTime, span
from sidestream_web.places import Places

router = APIRouter(tags=["twin"])
_PLACES = Places(3, "reports on heat")
"""Each question holds a connection of its own for as long as it takes, so few are answered at a time."""


@router.get(
    "/heat", summary="What became of the heat: supplied, usable, used, dumped, lost; pipes, exchangers, heat pumps"
)
def heat(
    request: Request,
    from_at: Annotated[
        Time | None, Query(alias="from", description="first time, ISO 8601 with zone; default: a day before `to`")
    ] = None,
    to_at: ToTime = None,
) -> HeatReport:
    """Per exchange energies in J with standard deviation, origin and completeness, and how well the need was met.

    Where `value` is null, `why` says why it isn't known and what to meter or to write into hub.yaml. Both times are
    widened to whole buckets of `bucket_s`; beyond now nothing is told. SI units throughout; docs/heat.md has the words.
    """
    within = span(from_at, to_at, "1m")
    dsn = request.app.state.settings.dsn
    with _PLACES.one(), open_connection(dsn, "web heat", autocommit=True) as connection:
        return load_heat_report(connection, within.start, within.stop, datetime.now(UTC))
