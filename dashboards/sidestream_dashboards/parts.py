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
width AS (
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

_FLOWS: Final = """
asked AS (
    SELECT COALESCE(sum(extract(epoch FROM $__timeTo()::timestamptz - GREATEST($__timeFrom()::timestamptz, (
        SELECT min(x.bucket) FROM sidestream_v.twin_sum_1h x WHERE x.subject = t.subject AND x.quantity = t.quantity
    )))), 0) AS length_s
    FROM sidestream_v.twin_latest t WHERE subject_kind = 'stream' AND quantity IN ({quantities}){chosen}
),
level AS (
    SELECT CASE WHEN a.length_s / h.step_s <= 20000 THEN 'step' WHEN a.length_s / 900 <= 20000 THEN 'quarter'
            ELSE 'hour' END AS level,
        CASE WHEN a.length_s / h.step_s <= 20000 THEN h.step_s WHEN a.length_s / 900 <= 20000 THEN 900
            ELSE 3600 END AS level_s,
        a.length_s / 10000 AS wanted_s
    FROM asked a CROSS JOIN sidestream_v.hub h
),
width AS (
    SELECT GREATEST($__interval_ms * interval '1 ms', make_interval(secs => level_s * ceil(wanted_s / level_s))) AS width FROM level
),
flow AS (
    SELECT subject, quantity, time, value * step_s AS total, (sd_random * step_s) ^ 2 AS variance,
        sd_systematic * step_s AS systematic, step_s::float8 AS valued_s, origin IN {trusted} AS trusted
    FROM sidestream_v.twin_value
    WHERE (SELECT level FROM level) = 'step' AND subject_kind = 'stream' AND quantity IN ({quantities}){chosen}
        AND $__timeFilter(time) AND value IS NOT NULL
    UNION ALL
    SELECT subject, quantity, bucket, total, variance_random, sd_systematic, valued_s, trusted FROM sidestream_v.twin_sum
    WHERE (SELECT level FROM level) = 'quarter' AND quantity IN ({quantities}){chosen} AND $__timeFilter(bucket)
    UNION ALL
    SELECT subject, quantity, bucket, total, variance_random, sd_systematic, valued_s, trusted FROM sidestream_v.twin_sum_1h
    WHERE (SELECT level FROM level) = 'hour' AND quantity IN ({quantities}){chosen} AND $__timeFilter(bucket)
)"""


def flows(*quantities: str, chosen: bool = True) -> str:
    """CTEs `flow` and `width`: flows of streams with total (J or kg) and deviations, and how wide a point should be.

    From the twin's steps, or, where those would be more than 20 000 rows, from sums per quarter of an hour or hour; a
    point is so wide that there are at most about 10 000. `chosen`: only the streams of the variable $stream.
    """
    listed = ", ".join(f"'{quantity}'" for quantity in quantities)
    return _FLOWS.format(quantities=listed, trusted=TRUSTED, chosen=" AND subject IN ($stream)" if chosen else "")
