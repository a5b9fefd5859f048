"""Pieces that every dashboard uses: the banner that says whether the figures are made up, and shared SQL."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards.look import DOUBT, GOOD
from sidestream_dashboards.model import Panel

_BANNER_SQL: Final = """
SELECT name || CASE WHEN synthetic THEN ': SYNTHETIC, every figure here is made up' ELSE ': measured figures' END AS hub
FROM sidestream_v.hub
"""


def banner() -> Panel:
    """The first panel of every dashboard: whose figures these are, and whether they are real."""
    patterns = ((".*SYNTHETIC.*", DOUBT), (".*measured figures", GOOD))
    return Panel(
        kind="stat",
        title="Hub",
        description="Which hub this is, and whether its figures are measured or synthetic (made up for a demo or test), "
        "as hub.yaml says. A name, not a number: it has no uncertainty.",
        sql=_BANNER_SQL,
        width=24,
        height=2,
        text=True,
        mappings=tuple(
            {"type": "regex", "options": {"pattern": pattern, "result": {"color": color, "index": index}}}
            for index, (pattern, color) in enumerate(patterns)
        ),
    )


TRUSTED: Final = "('measured', 'reconciled', 'manual')"
"""Origins that rest on an observation of the step itself; anything else is drawn as an estimate."""

GRID: Final = """
width AS MATERIALIZED (
    SELECT GREATEST($__interval_ms * interval '1 ms', make_interval(secs => step_s)) AS width FROM sidestream_v.hub
),
grid AS (
    SELECT generate_series(
        date_bin(width, $__timeFrom()::timestamptz, timestamptz 'epoch'), $__timeTo()::timestamptz, width
    ) AS bucket FROM width
)"""
"""CTEs `width` and `grid`: one row for each point drawn, so that a gap in the data is a gap in the line."""

LIVE: Final = """
stage AS (
    SELECT g.stream, g.state, g.since::timestamp AT TIME ZONE h.timezone AS from_at,
        COALESCE(
            lead(g.since) OVER (PARTITION BY g.stream ORDER BY g.since)::timestamp AT TIME ZONE h.timezone, 'infinity'
        ) AS to_at
    FROM sidestream_v.stream_stage g CROSS JOIN sidestream_v.hub h
),
live AS (SELECT stream, from_at, to_at FROM stage WHERE state = 'live')"""
"""CTE `live`: when each exchange was live, in the hub's calendar; outside of it a meter's figure is no exchange."""
