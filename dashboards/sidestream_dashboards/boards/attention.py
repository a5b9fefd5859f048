"""Eight counts at the top of the overview: green at zero, orange above, each leading to the page that tells more."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Panel, Step
from sidestream_dashboards.source import LOTS, QUALITY, STOCKS

LIVE_SQL: Final = "SELECT count(*) AS live FROM sidestream_v.stream WHERE state = 'live'"
PLANNED_SQL: Final = """
SELECT count(*) AS planned FROM sidestream_v.stream WHERE state IN ('idea', 'agreed', 'building')
"""
AGREEMENTS_SQL: Final = """
SELECT count(*) AS agreements FROM (
    SELECT DISTINCT ON (agreement) status FROM sidestream_v.agreement_status
    WHERE period_from <= now() ORDER BY agreement, period_from DESC
) latest
WHERE status IN ('at_risk', 'breached')
"""
STOCKS_SQL: Final = """
SELECT count(*) AS stocks FROM sidestream_v.stock
WHERE mass_kg + 2 * sd_kg >= max_kg OR (mass_kg - 2 * sd_kg <= min_kg AND min_kg > 0)
"""
SENSORS_SQL: Final = """
SELECT count(*) AS sensors FROM sidestream_v.latest WHERE mark IN ('stale', 'bad', 'out_of_range', 'none')
"""
DEVICES_SQL: Final = "SELECT count(*) AS devices FROM sidestream_v.device WHERE state NOT IN ('online', 'manual')"
QUARANTINE_SQL: Final = """
SELECT COALESCE(sum(GREATEST(readings, count)), 0) AS quarantined FROM sidestream_v.quarantine WHERE state = 'open'
"""
LOST_SQL: Final = "SELECT count(*) AS lots FROM sidestream_v.lot WHERE place_unknown"


def _count(title: str, description: str, sql: str, link: str | None, steps: tuple[Step, ...]) -> Panel:
    return Panel(
        kind="stat",
        title=title,
        description=description + " An exact count of the database as it is now, not of the chosen time range.",
        sql=sql,
        width=3,
        height=3,
        unit=look.NUMBER,
        decimals=0,
        steps=steps,
        link=link,
    )


PANELS: Final = (
    _count("Live", "Exchanges whose stage of life is live today.", LIVE_SQL, None, look.NEUTRAL),
    _count(
        "Planned",
        "Exchanges that are an idea, agreed or being built: none of them flows.",
        PLANNED_SQL,
        None,
        (Step(look.PLANNED),),
    ),
    _count(
        "Agreements off track",
        "Agreements at risk or breached in the running period, as the twin judges with its uncertainty.",
        AGREEMENTS_SQL,
        None,
        look.ZERO_IS_GOOD,
    ),
    _count(
        "Stocks at a limit",
        "Stocks that may be at their minimum or maximum: the limit lies within two standard deviations of the estimate, "
        "or beyond it.",
        STOCKS_SQL,
        STOCKS,
        look.ZERO_IS_GOOD,
    ),
    _count(
        "Sensors not to trust",
        "Sensors whose latest value is stale, bad, out of range or was never seen.",
        SENSORS_SQL,
        QUALITY,
        look.ZERO_IS_GOOD,
    ),
    _count("Devices away", "Gateways that are offline or were never seen.", DEVICES_SQL, QUALITY, look.ZERO_IS_GOOD),
    _count(
        "In quarantine",
        "Readings (or whole messages) that could not be used and that nobody has dealt with yet.",
        QUARANTINE_SQL,
        QUALITY,
        look.ZERO_IS_GOOD,
    ),
    _count("Lots, place unknown", "Tagged lots whose place isn't known.", LOST_SQL, LOTS, look.ZERO_IS_GOOD),
)
