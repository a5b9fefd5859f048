"""Balances on the page of data quality: which meter the others contradict, which nobody can check, what doesn't close."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Panel

METERS_SQL: Final = """
WITH newest AS (SELECT balance, max(time) AS time FROM sidestream_v.balance GROUP BY balance)
SELECT p.name, p.quantity, p.balance,
    CASE WHEN p.suspect THEN 'suspect' WHEN p.at_fault THEN 'at_fault' ELSE p.knowledge END AS state,
    100 * (p.reconciled - p.measured) / NULLIF(abs(p.measured), 0) AS adjusted_pct,
    200 * p.sd_measured / NULLIF(abs(p.measured), 0) AS measured_two_sd_pct,
    200 * p.sd / NULLIF(abs(p.reconciled), 0) AS reconciled_two_sd_pct,
    CASE WHEN p.suspect OR p.at_fault THEN 100 * p.bias / NULLIF(abs(p.measured), 0) END AS bias_pct,
    100 * p.least_bias / NULLIF(abs(p.measured), 0) AS least_error_pct,
    100 * p.completeness AS completeness_pct, p.time + make_interval(secs => p.step_s) AS until
FROM sidestream_v.balance_part p
JOIN newest n USING (balance, time)
ORDER BY p.suspect DESC, p.at_fault DESC, p.knowledge, p.name, p.quantity
"""

PLACES_SQL: Final = """
SELECT b.time, b.name || ' (' || b.balance || ')' AS metric, b.imbalance / b.sd AS value
FROM sidestream_v.balance_node b
WHERE b.imbalance IS NOT NULL AND b.sd > 0 AND $__timeFilter(b.time)
ORDER BY 1, 2
"""

_STATE: Final = look.words(
    ("suspect", "suspect", look.WRONG),
    ("at_fault", "singled out once", look.DOUBT),
    ("redundant", "checked by the others", look.GOOD),
    ("non-redundant", "nobody can check it", look.DOUBT),
    ("observable", "no meter, follows from the others", look.GOOD),
    ("unobservable", "can't be known", look.DOUBT),
    ("fixed", "given as exact", "text"),
)

METERS: Final = Panel(
    kind="table",
    title="Meters against each other",
    description="Each balance (energy, or a family of materials) over its newest interval. Adjusted: how far what all meters say "
    "together lies from what this one says. Suspect: three intervals on end point at it; its readings are left out of the "
    "balance. Least error seen: the smallest lasting error of the meter that the others would notice in 9 of 10 cases; none: "
    "they would never notice. ± is two standard deviations. The sentences: `sidestream twin balance`, docs/balances.md.",
    sql=METERS_SQL,
    width=24,
    height=10,
    empty="No balance was closed yet, or hub.yaml has nothing that must add up",
    fields=(
        look.text("name", "Of", 260),
        look.text("quantity", "Quantity"),
        look.text("balance", "Balance"),
        look.coloured("state", "What the others say", _STATE),
        look.number("adjusted_pct", "Adjusted", look.PERCENT, 2),
        look.number("measured_two_sd_pct", "± measured", look.PERCENT, 2),
        look.number("reconciled_two_sd_pct", "± balanced", look.PERCENT, 2),
        look.number("bias_pct", "Shows too much", look.PERCENT, 1),
        look.number("least_error_pct", "Least error seen", look.PERCENT, 1),
        look.number("completeness_pct", "Measured share", look.PERCENT, 0),
        look.moment("until", "Until", ago=True),
    ),
)

PLACES: Final = Panel(
    kind="timeseries",
    title="What places miss, in standard deviations",
    description="What enters a place less what leaves it, is lost there and stays, by measurement alone, divided by how well that is "
    "known. Beyond ± 3.3 it does not close. Places of which not everything is measured are left out.",
    sql=PLACES_SQL,
    width=24,
    height=8,
    decimals=1,
    empty="No place was measured completely in this time",
)
