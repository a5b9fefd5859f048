"""Heat: power and energy of each water stream with their uncertainty, and the meter's own register beside the twin's."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.boards.heat_energy import BY_DAY, BY_HOUR, CUMULATED, TABLE
from sidestream_dashboards.flows import flows
from sidestream_dashboards.model import Dashboard, Panel, Row, Variable
from sidestream_dashboards.parts import banner
from sidestream_dashboards.source import HEAT

STREAM_CHOICE_SQL: Final = """
SELECT s.name AS __text, s.id AS __value FROM sidestream_v.stream s
WHERE EXISTS (
    SELECT FROM sidestream_v.twin_latest t
    WHERE t.subject_kind = 'stream' AND t.subject = s.id AND t.quantity = 'heat_flow'
)
ORDER BY s.name
"""

ALL_SQL: Final = f"""
WITH {flows("heat_flow", coarsest="day")},
point AS (
    SELECT date_bin(w.width, f.time, timestamptz 'epoch') AS time, f.subject, sum(f.total) / sum(f.valued_s) / 1000 AS value
    FROM flow f
    CROSS JOIN width w
    GROUP BY 1, 2
),
named AS MATERIALIZED (
    SELECT id, name || CASE WHEN state = 'live' THEN '' ELSE ' (' || state || ', not running)' END AS name
    FROM sidestream_v.stream
)
SELECT p.time, n.name AS metric, p.value
FROM point p
JOIN named n ON n.id = p.subject
ORDER BY 1, 2
"""  # noqa: S608  pieces of our own

POWER_SQL: Final = f"""
WITH {flows("heat_flow", "register_heat_flow", coarsest="day")},
grid AS (
    SELECT generate_series(
        date_bin(width, $__timeFrom()::timestamptz, timestamptz 'epoch'), $__timeTo()::timestamptz, width
    ) AS bucket FROM width
),
point AS (
    SELECT date_bin(w.width, f.time, timestamptz 'epoch') AS bucket,
        sum(f.total) FILTER (WHERE f.quantity = 'heat_flow') AS total,
        sum(f.valued_s) FILTER (WHERE f.quantity = 'heat_flow') AS valued_s,
        sqrt(sum(f.variance) FILTER (WHERE f.quantity = 'heat_flow')
            + sum(f.systematic) FILTER (WHERE f.quantity = 'heat_flow') ^ 2) AS sd,
        bool_and(f.trusted) FILTER (WHERE f.quantity = 'heat_flow') AS trusted,
        sum(f.total) FILTER (WHERE f.quantity = 'register_heat_flow')
            / sum(f.valued_s) FILTER (WHERE f.quantity = 'register_heat_flow') / 1000 AS register_kw
    FROM flow f CROSS JOIN width w
    GROUP BY 1
)
SELECT g.bucket AS time, (p.total - 2 * p.sd) / p.valued_s / 1000 AS low_kw, (p.total + 2 * p.sd) / p.valued_s / 1000 AS high_kw,
    CASE WHEN p.trusted THEN p.total / p.valued_s / 1000 END AS measured_kw,
    CASE WHEN NOT p.trusted THEN p.total / p.valued_s / 1000 END AS estimated_kw,
    p.register_kw
FROM grid g
LEFT JOIN point p USING (bucket)
ORDER BY g.bucket
"""  # noqa: S608  pieces of our own

_TEMPERATURE: Final = """
SELECT r.bucket AS time,
    avg(r.mean * s.si_factor + s.si_offset) FILTER (WHERE s.role = 'supply_temperature') - 273.15 AS supply_c,
    avg(r.mean * s.si_factor + s.si_offset) FILTER (WHERE s.role = 'return_temperature') - 273.15 AS return_c
FROM sidestream_v.sensor s
JOIN sidestream_v.{rollup} r ON r.sensor_id = s.sensor_id
WHERE s.stream IN ($stream) AND s.role IN ('supply_temperature', 'return_temperature') AND $__timeFilter(r.bucket)
    AND r.n > 0 AND $__interval_ms {when} 600000
GROUP BY r.bucket
"""
TEMPERATURE_SQL: Final = (
    _TEMPERATURE.format(rollup="rollup_1m", when="<")
    + "UNION ALL"
    + _TEMPERATURE.format(rollup="rollup_1h", when=">=")
    + "ORDER BY 1\n"
)

STATE_SQL: Final = """
SELECT s.name AS stream, s.state AS lifecycle, s.since::text AS since, t.value / 1000 AS heat_kw, 2 * t.sd / 1000 AS two_sd_kw,
    t.origin, CASE WHEN t.stale THEN 'stale' ELSE 'fresh' END AS age, 100 * t.completeness AS completeness_pct,
    t.time AS figure_at, (SELECT string_agg(flag, ', ') FROM jsonb_array_elements_text(t.flags) flag) AS flags,
    t.inputs::text AS inputs
FROM sidestream_v.stream s
JOIN sidestream_v.twin_latest t ON t.subject_kind = 'stream' AND t.subject = s.id AND t.quantity = 'heat_flow'
WHERE s.id IN ($stream)
ORDER BY s.name
"""

_STATE: Final = Panel(
    kind="table",
    title="Heat streams now",
    description="The twin's latest step of each heat stream, computed from volume and temperatures (IAPWS-IF97) and "
    "reconciled where possible. ± is two standard deviations (about 95 %). The stage of life tells whether it counts as "
    "an exchange: a meter on a stream that isn't live may still show heat. Stale: older than three steps.",
    sql=STATE_SQL,
    width=24,
    height=6,
    fields=(
        look.text("stream", "Stream", 220),
        look.coloured("lifecycle", "Stage of life", look.LIFECYCLE),
        look.text("since", "Since"),
        look.number("heat_kw", "Heat", look.KILOWATT, 1),
        look.number("two_sd_kw", "± heat", look.KILOWATT, 1),
        look.coloured("origin", "Origin", look.ORIGIN),
        look.coloured("age", "Freshness", look.AGE),
        look.number("completeness_pct", "Measured share", look.PERCENT, 0),
        look.moment("figure_at", "Figure of", ago=True),
        look.text("flags", "Remarks"),
        look.text("inputs", "Inputs"),
    ),
)

_ALL: Final = Panel(
    kind="timeseries",
    title="Heat of all chosen streams",
    description="Mean of the twin's steps in each point's interval, measured, reconciled or estimated alike; band and "
    "origin are below, stream by stream. A stream that isn't live is named as not running.",
    sql=ALL_SQL,
    width=12,
    height=8,
    unit=look.KILOWATT,
)

_POWER: Final = Panel(
    kind="timeseries",
    title="Heat, with the meter's own register",
    description="Heat of the stream as the twin computes it, mean of each point's interval, positive from supplier to "
    "receiver. The band is ± two standard deviations: random errors average out over the interval, systematic ones (class "
    "limit/√3) don't. Dashed orange: estimated or forecast. Dotted: the rise of the meter's own energy register, not used "
    "by the twin. A gap is a time without a figure.",
    sql=POWER_SQL,
    width=14,
    height=9,
    unit=look.KILOWATT,
    fields=(
        *look.band("low_kw", "high_kw", "blue"),
        look.line("measured_kw", "measured", "blue", lineWidth=2),
        look.dashed("estimated_kw", "estimated", look.DOUBT),
        look.line("register_kw", "meter's own register", "purple", lineStyle={"fill": "dot", "dash": [2, 6]}),
    ),
)

_TEMPERATURES: Final = Panel(
    kind="timeseries",
    title="Supply and return temperature",
    description="Mean of the good and uncertain readings of each minute (of each hour in a long time range), as measured, "
    "converted to °C. Uncertainty is that of the sensors: see their ± on the page of data quality and devices.",
    sql=TEMPERATURE_SQL,
    width=10,
    height=9,
    unit=look.CELSIUS,
    decimals=1,
    empty="No temperature of this stream was measured in this time",
    fields=(look.line("supply_c", "supply", "red"), look.line("return_c", "return", "blue")),
)

DASHBOARD: Final = Dashboard(
    uid=HEAT,
    title="Heat",
    folder="operation",
    description="How much heat flows, is it used, and does the twin agree with the meter?",
    variables=(Variable("stream", "Stream", STREAM_CHOICE_SQL),),
    parts=(
        banner(),
        _STATE,
        _ALL,
        TABLE,
        Row("$stream", repeat="stream"),
        _POWER,
        _TEMPERATURES,
        BY_HOUR,
        BY_DAY,
        CUMULATED,
    ),
)
