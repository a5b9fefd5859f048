"""Exchange overview: is each exchange running as agreed, now, and what needs attention. Exceptions first."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.boards import attention, findings
from sidestream_dashboards.flows import flows
from sidestream_dashboards.model import Dashboard, Panel, Step
from sidestream_dashboards.parts import LIVE, banner
from sidestream_dashboards.source import HEAT, OVERVIEW

EXCHANGES_SQL: Final = """
SELECT e.name AS exchange, s.name AS supplier, r.name AS receiver, m.name AS material, e.state AS lifecycle,
    e.since::text AS since,
    CASE
        WHEN e.state IN ('idea', 'agreed', 'building') THEN 'planned'
        WHEN e.state <> 'live' THEN e.state
        WHEN count(e.value) = 0 THEN 'live_no_data'
        WHEN bool_or(e.stale) THEN 'live_stale'
        WHEN bool_and(e.origin IN ('measured', 'reconciled', 'manual')) THEN 'live'
        ELSE 'live_estimated'
    END AS status,
    max(e.value) FILTER (WHERE e.quantity = 'heat_flow') / 1000 AS heat_kw,
    max(2 * e.sd) FILTER (WHERE e.quantity = 'heat_flow') / 1000 AS heat_two_sd_kw,
    max(e.value) FILTER (WHERE e.quantity = 'mass_flow') AS mass_flow_kg_s,
    max(2 * e.sd) FILTER (WHERE e.quantity = 'mass_flow') AS mass_flow_two_sd_kg_s,
    string_agg(DISTINCT e.origin, ', ') FILTER (WHERE e.state = 'live') AS origin,
    100 * min(e.completeness) FILTER (WHERE e.state = 'live') AS completeness_pct,
    max(e.time) FILTER (WHERE e.state = 'live') AS figure_at
FROM sidestream_v.exchange e
LEFT JOIN sidestream_v.party s ON s.id = e.source_party
LEFT JOIN sidestream_v.party r ON r.id = e.target_party
LEFT JOIN sidestream_v.material m ON m.id = e.material
GROUP BY e.stream, e.name, s.name, r.name, m.name, e.state, e.since
ORDER BY e.state <> 'live', e.name
"""

AGREEMENTS_SQL: Final = """
SELECT DISTINCT ON (a.agreement) a.name AS agreement, s.name AS exchange, s.state AS lifecycle, a.status, a.reason,
    a.delivered, 2 * a.sd AS two_sd, a.expected_so_far, a.agreed, a.unit,
    100 * a.delivered / NULLIF(a.expected_so_far, 0) AS share_pct, a.tolerance_pct, a.period, a.period_from, a.period_to,
    a.origin, 100 * a.completeness AS completeness_pct, 100 * a.probability AS probability_pct,
    NULLIF(a.stopped_s, 0) AS stopped_s, a.evidence::text AS evidence
FROM sidestream_v.agreement_status a
LEFT JOIN sidestream_v.stream s ON s.id = a.stream
WHERE a.period_from <= now()
ORDER BY a.agreement, a.period_from DESC
"""

AGREED_SHARE_SQL: Final = """
SELECT agreement, share_pct FROM (
    SELECT DISTINCT ON (a.agreement) a.name AS agreement, 100 * a.delivered / NULLIF(a.expected_so_far, 0) AS share_pct
    FROM sidestream_v.agreement_status a
    JOIN sidestream_v.stream s ON s.id = a.stream AND s.state = 'live'
    WHERE a.period_from <= now()
    ORDER BY a.agreement, a.period_from DESC
) latest
WHERE share_pct IS NOT NULL
ORDER BY share_pct
"""

_FLOW_SQL: Final = """
WITH {live},
{flows},
point AS (
    SELECT date_bin(w.width, f.time, timestamptz 'epoch') AS time, f.subject, sum(f.total) / sum(f.valued_s) / {divisor} AS value
    FROM flow f
    CROSS JOIN width w
    JOIN live l ON l.stream = f.subject AND f.time >= l.from_at AND f.time < l.to_at
    GROUP BY 1, 2
),
named AS MATERIALIZED (SELECT id, name FROM sidestream_v.stream)
SELECT p.time, n.name AS metric, p.value
FROM point p
JOIN named n ON n.id = p.subject
ORDER BY 1, 2
"""
HEAT_FLOW_SQL: Final = _FLOW_SQL.format(
    live=LIVE, flows=flows("heat_flow", chosen=False, coarsest="day"), divisor="1000"
)
MASS_FLOW_SQL: Final = _FLOW_SQL.format(live=LIVE, flows=flows("mass_flow", chosen=False, coarsest="day"), divisor="1")

_EXCHANGES: Final = Panel(
    kind="table",
    title="Exchanges",
    description="Each exchange with its stage of life and, only where it is live, what flows in the twin's latest step. "
    "± is two standard deviations (about 95 %) of that step. Origin tells whether the figure was measured, reconciled "
    "with its neighbours, or estimated; a figure older than three steps is called stale. A planned, paused or ended "
    "exchange shows no figure, whatever a meter says.",
    sql=EXCHANGES_SQL,
    width=24,
    height=9,
    fields=(
        look.text("exchange", "Exchange", 220),
        look.coloured("status", "Status", look.EXCHANGE_STATUS, 170),
        look.coloured("lifecycle", "Stage of life", look.LIFECYCLE, 150),
        look.text("since", "Since"),
        look.number("heat_kw", "Heat", look.KILOWATT, 1),
        look.number("heat_two_sd_kw", "± heat", look.KILOWATT, 1),
        look.number("mass_flow_kg_s", "Mass flow", look.KILOGRAM_PER_SECOND, 3),
        look.number("mass_flow_two_sd_kg_s", "± mass flow", look.KILOGRAM_PER_SECOND, 3),
        look.text("origin", "Origin"),
        look.number("completeness_pct", "Measured share", look.PERCENT, 0),
        look.moment("figure_at", "Figure of", ago=True),
        look.text("supplier", "Supplier"),
        look.text("receiver", "Receiver"),
        look.text("material", "Material"),
    ),
)

_AGREEMENTS: Final = Panel(
    kind="table",
    title="Delivered against agreed, running period",
    description="What was delivered since the calendar period (of the hub's time zone) began, computed by the twin from "
    "the exchange's meters, beside what should be there by now: an even share of what was agreed, or as past periods "
    "went. Nothing is expected while a planned stop lasts. Quality counts as well as the amount. ± is two standard deviations. Breached is said "
    "only when a period is over and the figure is outside the tolerance for sure; too little data gives 'not known'. "
    "Amounts are in the agreement's own unit.",
    sql=AGREEMENTS_SQL,
    width=16,
    height=8,
    empty="No agreement has a figure yet",
    fields=(
        look.text("agreement", "Agreement", 200),
        look.text("exchange", "Exchange"),
        look.coloured("lifecycle", "Stage of life", look.LIFECYCLE),
        look.coloured("status", "Status", look.AGREEMENT_STATUS),
        look.coloured("reason", "Why", look.AGREEMENT_REASON),
        look.number("delivered", "Delivered", look.NUMBER, 2),
        look.number("two_sd", "± delivered", look.NUMBER, 2),
        look.number("expected_so_far", "Expected so far", look.NUMBER, 2),
        look.number("agreed", "Agreed", look.NUMBER, 2),
        look.text("unit", "Unit"),
        look.number("share_pct", "Of expected", look.PERCENT, 1),
        look.number("tolerance_pct", "Tolerance", look.PERCENT, 1),
        look.text("period", "Per"),
        look.moment("period_from", "From"),
        look.moment("period_to", "To"),
        look.coloured("origin", "Origin", look.ORIGIN),
        look.number("completeness_pct", "Measured share", look.PERCENT, 0),
        look.number("probability_pct", "Stands as agreed with probability", look.PERCENT, 0),
        look.number("stopped_s", "Stands still as planned", look.SECONDS, 0),
        look.text("evidence", "Evidence"),
    ),
)

_SHARE: Final = Panel(
    kind="bargauge",
    title="Delivered, share of expected so far",
    description="Delivered since the period began, as a share of the even part of the agreed amount; live exchanges only. "
    "Computed by the twin from meters; uncertainty, origin and tolerance stand in the table beside.",
    sql=AGREED_SHARE_SQL,
    width=8,
    height=8,
    unit=look.PERCENT,
    decimals=0,
    steps=(Step(look.DOUBT), Step(look.GOOD, 90), Step(look.DOUBT, 110)),
    empty="No live exchange has an agreement with figures",
    fields=(look.text("agreement", "Agreement"), look.number("share_pct", "Of expected", look.PERCENT, 0)),
    maximum=150,
)


def _flow(title: str, sql: str, unit: str, empty: str) -> Panel:
    return Panel(
        kind="timeseries",
        title=title,
        description="Mean of the twin's steps over each point's interval, only for the time in which the exchange was "
        "live; with many streams or long ranges from the twin's sums per quarter of an hour up to a day. Measured, reconciled or estimated alike: the dashboards for heat and stocks tell them apart and draw the "
        "uncertainty band.",
        sql=sql,
        width=12,
        height=8,
        unit=unit,
        empty=empty,
        link=HEAT,
    )


DASHBOARD: Final = Dashboard(
    uid=OVERVIEW,
    title="Exchange overview",
    folder="operation",
    description="Is each exchange running as agreed, now? What needs attention?",
    parts=(
        banner(),
        *attention.PANELS,
        findings.FINDINGS,
        _EXCHANGES,
        _AGREEMENTS,
        _SHARE,
        _flow("Heat of live exchanges", HEAT_FLOW_SQL, look.KILOWATT, "No heat flowed in a live exchange in this time"),
        _flow(
            "Mass flow of live exchanges",
            MASS_FLOW_SQL,
            look.KILOGRAM_PER_SECOND,
            "No mass flow of a live exchange was metered in this time",
        ),
        findings.NOTES,
    ),
)
