"""Stocks: how much lies where, how sure that is, and how far it is to empty and full."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Dashboard, Panel, Row, Step, Variable
from sidestream_dashboards.parts import GRID, TRUSTED, banner
from sidestream_dashboards.source import STOCKS

STOCK_CHOICE_SQL: Final = "SELECT name AS __text, node AS __value FROM sidestream_v.stock ORDER BY name"

NOW_SQL: Final = """
SELECT s.name AS stock, s.party_name AS owner, m.name AS material, s.mass_kg / 1000 AS mass_t, 2 * s.sd_kg / 1000 AS two_sd_t,
    s.min_kg / 1000 AS min_t, s.max_kg / 1000 AS max_t,
    100 * s.mass_kg / s.max_kg AS filled_pct,
    CASE WHEN s.mass_kg IS NULL THEN 'none' WHEN s.stale THEN 'stale' ELSE 'fresh' END AS age,
    s.origin, s.time AS figure_at,
    (SELECT string_agg(flag, ', ') FROM jsonb_array_elements_text(s.flags) flag) AS flags,
    s.inputs::text AS inputs
FROM sidestream_v.stock s
LEFT JOIN sidestream_v.material m ON m.id = s.material
ORDER BY s.name
"""

FILLED_SQL: Final = """
SELECT name AS stock, 100 * mass_kg / max_kg AS filled_pct FROM sidestream_v.stock
WHERE mass_kg IS NOT NULL AND max_kg > 0
ORDER BY filled_pct DESC
"""

_MASS_SQL: Final = """
WITH {grid}
SELECT g.bucket AS time, m.mass_t - m.two_sd_t AS low_t, m.mass_t + m.two_sd_t AS high_t,
    CASE WHEN m.trusted THEN m.mass_t END AS observed_t, CASE WHEN NOT m.trusted THEN m.mass_t END AS estimated_t,
    s.min_kg / 1000 AS min_t, s.max_kg / 1000 AS max_t
FROM grid g
CROSS JOIN width w
CROSS JOIN sidestream_v.stock s
LEFT JOIN LATERAL (
    -- the newest step of each point, each found by the index
    SELECT t.value / 1000 AS mass_t, 2 * t.sd / 1000 AS two_sd_t, t.origin IN {trusted} AS trusted
    FROM sidestream_v.twin_value t
    WHERE t.subject_kind = 'node' AND t.quantity = 'stock_mass' AND t.subject = s.node AND t.value IS NOT NULL
        AND t.time >= GREATEST(g.bucket, $__timeFrom()::timestamptz)
        AND t.time < LEAST(g.bucket + w.width, $__timeTo()::timestamptz + interval '1 us')
    ORDER BY t.time DESC LIMIT 1
) m ON true
WHERE s.node IN ($stock)
ORDER BY g.bucket
"""
MASS_SQL: Final = _MASS_SQL.format(grid=GRID, trusted=TRUSTED)

ORIGIN_SQL: Final = """
SELECT time, origin FROM (
    SELECT time, origin, lag(origin) OVER (ORDER BY time) IS DISTINCT FROM origin AS changed
    FROM sidestream_v.twin_value
    WHERE subject_kind = 'node' AND quantity = 'stock_mass' AND subject IN ($stock) AND $__timeFilter(time)
) step
WHERE changed
ORDER BY time
"""

FORECAST_SQL: Final = """
SELECT name AS stock, event, outcome, 100 * probability AS probability_pct, q50_at, q25_at, q75_at, q05_at, q95_at,
    horizon_at, net_flow_kg_s, 2 * net_flow_sd_kg_s AS two_sd_kg_s, origin, reason, issued_at, basis::text AS basis
FROM sidestream_v.stock_forecast
ORDER BY probability DESC NULLS LAST, name, event
"""

BIAS_SQL: Final = """
SELECT n.name AS stock, s.name AS instrument, b.bias, 2 * b.sd AS two_sd, b.at
FROM sidestream_v.stock_bias b
JOIN sidestream_v.node n ON n.id = b.node
LEFT JOIN sidestream_v.sensor s ON s.id = b.source
ORDER BY abs(b.bias) DESC, n.name, b.source
"""

_FILL_STEPS: Final = (Step(look.DOUBT), Step(look.GOOD, 5), Step(look.DOUBT, 90), Step(look.WRONG, 100))

_NOW: Final = Panel(
    kind="table",
    title="Stocks now",
    description="The twin's estimate of the mass in each stock at the end of its latest step, from what flowed in and out, "
    "levels, weighings and scans. ± is two standard deviations (about 95 %), random and systematic errors together. "
    "Stale: older than three steps. Inputs name the sensors and the version of the configuration it came from.",
    sql=NOW_SQL,
    width=16,
    height=8,
    fields=(
        look.text("stock", "Stock", 200),
        look.number("mass_t", "Mass", look.TONNE, 2),
        look.number("two_sd_t", "± mass", look.TONNE, 2),
        look.gauge("filled_pct", "Filled", _FILL_STEPS),
        look.coloured("origin", "Origin", look.ORIGIN),
        look.coloured("age", "Freshness", look.AGE),
        look.moment("figure_at", "Figure of", ago=True),
        look.number("min_t", "Minimum", look.TONNE, 1),
        look.number("max_t", "Maximum", look.TONNE, 1),
        look.text("owner", "Owner"),
        look.text("material", "Material"),
        look.text("flags", "Remarks"),
        look.text("inputs", "Inputs"),
    ),
)

_FILLED: Final = Panel(
    kind="bargauge",
    title="Filled, share of maximum",
    description="The twin's latest estimate as a share of the stock's maximum in hub.yaml; uncertainty, origin and age "
    "stand in the table beside.",
    sql=FILLED_SQL,
    width=8,
    height=8,
    unit=look.PERCENT,
    decimals=0,
    steps=_FILL_STEPS,
    maximum=100,
    empty="No stock with a maximum has an estimate yet",
    fields=(look.text("stock", "Stock"), look.number("filled_pct", "Filled", look.PERCENT, 0)),
)

_FORECAST: Final = Panel(
    kind="table",
    title="When a stock overflows or runs dry: forecast",
    description="The twin's forecast, nothing measured: the probability that the limit is reached within the horizon, the middle of "
    "when, and the ends of the 50 % and the 90 % band; empty where they lie beyond the horizon. It rests on how the flows "
    "went lately (Basis), on what is agreed of unmetered ones and on planned stops. Net flow is that of the next hour, "
    "± two standard deviations. Made once a minute; see when it was issued.",
    sql=FORECAST_SQL,
    width=24,
    height=8,
    empty="No stock is foreseen yet",
    fields=(
        look.text("stock", "Stock", 200),
        look.text("event", "Event"),
        look.coloured("outcome", "Forecast", look.FORECAST),
        look.number("probability_pct", "Probability", look.PERCENT, 0),
        look.moment("q50_at", "Middle"),
        look.moment("q25_at", "50 % from"),
        look.moment("q75_at", "50 % to"),
        look.moment("q05_at", "90 % from"),
        look.moment("q95_at", "90 % to"),
        look.moment("horizon_at", "Horizon"),
        look.number("net_flow_kg_s", "Net flow", look.KILOGRAM_PER_SECOND, 3),
        look.number("two_sd_kg_s", "± net flow", look.KILOGRAM_PER_SECOND, 3),
        look.coloured("origin", "Origin", look.ORIGIN),
        look.coloured("reason", "Why not known", look.UNFORESEEN),
        look.moment("issued_at", "Issued", ago=True),
        look.text("basis", "Basis"),
    ),
)

_BIAS: Final = Panel(
    kind="table",
    title="What instruments are believed to read too much",
    description="Bias of each instrument of a stock as the twin's filter learned it from the others, in the instrument's own "
    "standard deviations (class limit / √3), positive where it reads high; ± is two standard deviations of what is known "
    "of it. Near ± 2 nothing was learned; beyond 1.7 for sure, the instrument is outside its class. Estimated.",
    sql=BIAS_SQL,
    width=24,
    height=6,
    empty="No filter has begun yet",
    fields=(
        look.text("stock", "Stock", 200),
        look.text("instrument", "Instrument", 300),
        look.number("bias", "Bias", look.NUMBER, 2),
        look.number("two_sd", "± bias", look.NUMBER, 2),
        look.moment("at", "As of", ago=True),
    ),
)

_MASS: Final = Panel(
    kind="timeseries",
    title="Mass in stock",
    description="The twin's estimate at the end of each step (the last one in each point's interval). The shaded band is "
    "± two standard deviations (about 95 %). A full line rests on an observation (measured, reconciled, counted by hand); "
    "a dashed one is an estimate or forecast. A gap is a time for which nothing is known. Minimum and maximum are those "
    "of hub.yaml.",
    sql=MASS_SQL,
    width=24,
    height=9,
    unit=look.TONNE,
    fields=(
        *look.band("low_t", "high_t", "blue"),
        look.line("observed_t", "observed", "blue", lineWidth=2),
        look.dashed("estimated_t", "estimated", look.DOUBT),
        look.dashed("min_t", "minimum", look.WRONG),
        look.dashed("max_t", "maximum", look.WRONG),
    ),
)

_ORIGIN: Final = Panel(
    kind="state-timeline",
    title="Where the figure came from",
    description="Origin of each step's estimate: measured or reconciled, counted by hand, estimated from flows alone, "
    "forecast. It has no uncertainty of its own; that of the mass is the band above.",
    sql=ORIGIN_SQL,
    width=24,
    height=3,
    mappings=look.ORIGIN,
    fields=(look.text("origin", "Origin"),),
)

DASHBOARD: Final = Dashboard(
    uid=STOCKS,
    title="Stocks",
    folder="operation",
    description="How much lies where, how sure is that, and which stock overflows or runs dry?",
    variables=(Variable("stock", "Stock", STOCK_CHOICE_SQL),),
    parts=(banner(), _NOW, _FILLED, _FORECAST, _BIAS, Row("$stock", repeat="stock"), _MASS, _ORIGIN),
)
