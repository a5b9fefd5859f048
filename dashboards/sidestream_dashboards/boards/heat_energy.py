"""Energy of heat streams: by hour and day, and summed beside the meter's own register.

Random errors of the steps add as squares, systematic ones add straight. Hours and days begin where the hub's calendar
has them; the first one shown is whole, the running one is so far.
"""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.flows import flows, pieces
from sidestream_dashboards.model import Panel

_PER_PERIOD: Final = """
WITH {flows},
total AS (
    SELECT date_trunc('{period}', f.time, h.timezone) AS time, sum(f.total) / 3.6e9 AS mwh,
        2 * sqrt(sum(f.variance) + sum(f.systematic) ^ 2) / 3.6e9 AS two_sd_mwh,
        COALESCE(sum(f.total) FILTER (WHERE f.trusted), 0) / 3.6e9 AS measured_mwh,
        COALESCE(sum(f.total) FILTER (WHERE NOT f.trusted), 0) / 3.6e9 AS estimated_mwh
    FROM flow f CROSS JOIN sidestream_v.hub h
    GROUP BY 1
)
SELECT time, measured_mwh, estimated_mwh, mwh - two_sd_mwh AS low_mwh, mwh + two_sd_mwh AS high_mwh
FROM total
ORDER BY time
"""


def _since(period: str) -> str:
    """The flows since the start of the period that the chosen time begins in, so that its first bar is whole."""
    start = f"date_trunc('{period}', $__timeFrom()::timestamptz, (SELECT timezone FROM sidestream_v.hub))"  # noqa: S608
    text = flows("heat_flow")
    for column in ("time", "bucket"):
        text = text.replace(f"$__timeFilter({column})", f"{column} >= {start} AND {column} <= $__timeTo()")
    return text


BY_HOUR_SQL: Final = _PER_PERIOD.format(period="hour", flows=_since("hour"))
BY_DAY_SQL: Final = _PER_PERIOD.format(period="day", flows=_since("day"))

_PAIRED: Final = """
{flows},
paired AS (
    SELECT subject, time, sum(total) FILTER (WHERE quantity = 'heat_flow') / 3.6e9 AS mwh,
        sum(variance) FILTER (WHERE quantity = 'heat_flow') / 3.6e9 ^ 2 AS variance,
        sum(systematic) FILTER (WHERE quantity = 'heat_flow') / 3.6e9 AS systematic_mwh,
        sum(total) FILTER (WHERE quantity = 'register_heat_flow') / 3.6e9 AS register_mwh,
        min(valued_s) = max(valued_s) AND count(*) = 2 AS same
    FROM flow
    GROUP BY subject, time
)
""".strip().format(flows=flows("heat_flow", "register_heat_flow").strip())

TABLE_SQL: Final = f"""
WITH {pieces("heat_flow", "register_heat_flow")},
total AS (
    SELECT subject, sum(total) FILTER (WHERE quantity = 'heat_flow') / 3.6e9 AS mwh,
        2 * sqrt(sum(variance) FILTER (WHERE quantity = 'heat_flow')
            + sum(systematic) FILTER (WHERE quantity = 'heat_flow') ^ 2) / 3.6e9 AS two_sd_mwh,
        sum(paired) FILTER (WHERE quantity = 'register_heat_flow') / 3.6e9 AS register_mwh,
        CASE WHEN bool_or(quantity = 'register_heat_flow') THEN sum(paired) FILTER (WHERE quantity = 'heat_flow') / 3.6e9 END
            AS same_steps_mwh
    FROM piece
    GROUP BY subject
)
SELECT s.name AS stream, t.mwh, t.two_sd_mwh, t.register_mwh, t.same_steps_mwh,
    100 * (t.same_steps_mwh - t.register_mwh) / NULLIF(t.register_mwh, 0) AS difference_pct
FROM total t
JOIN sidestream_v.stream s ON s.id = t.subject
ORDER BY t.mwh DESC
"""  # noqa: S608  pieces of our own

CUMULATED_SQL: Final = f"""
WITH {_PAIRED},
point AS (
    SELECT date_bin(w.width, time, timestamptz 'epoch') AS time, sum(mwh) AS mwh, sum(variance) AS variance,
        sum(systematic_mwh) AS systematic_mwh, sum(register_mwh) AS register_mwh
    FROM paired CROSS JOIN width w
    WHERE same
    GROUP BY 1
),
summed AS (
    SELECT time, sum(mwh) OVER w AS mwh, sqrt(sum(variance) OVER w + (sum(systematic_mwh) OVER w) ^ 2) AS sd_mwh,
        sum(register_mwh) OVER w AS register_mwh
    FROM point
    WINDOW w AS (ORDER BY time)
)
SELECT time, mwh - 2 * sd_mwh AS low_mwh, mwh + 2 * sd_mwh AS high_mwh, mwh AS twin_mwh, register_mwh
FROM summed
ORDER BY time
"""  # noqa: S608  pieces of our own


def _per_period(name: str, sql: str, width: int) -> Panel:
    return Panel(
        kind="timeseries",
        title=f"Energy by {name}",
        description=f"Energy of the stream in each {name} of the hub's calendar, summed from the twin's steps; steps without "
        "a figure add nothing. Orange is estimated or forecast. The points are ± two standard deviations of the whole bar: "
        f"random errors add as squares, systematic ones straight. The running {name} is so far.",
        sql=sql,
        width=width,
        height=8,
        unit=look.MEGAWATT_HOUR,
        decimals=3,
        bars=True,
        stacked=True,
        fields=(
            look.line("measured_mwh", "measured", "blue"),
            look.line("estimated_mwh", "estimated", look.DOUBT),
            *(
                look.line(
                    name,
                    title,
                    "text",
                    drawStyle="points",
                    pointSize=5,
                    showPoints="always",
                    stacking={"mode": "none", "group": "B"},
                )
                for name, title in (("low_mwh", "sum minus 2 sd"), ("high_mwh", "sum plus 2 sd"))
            ),
        ),
    )


BY_HOUR: Final = _per_period("hour", BY_HOUR_SQL, 12)
BY_DAY: Final = _per_period("day", BY_DAY_SQL, 12)

TABLE: Final = Panel(
    kind="table",
    title="Energy in the chosen time: twin beside the meter's register",
    description="Energy summed from the twin's steps, ± two standard deviations; the rise of the meter's own energy register, "
    "as the meter tells it; and the twin's sum over exactly the steps for which the register is known, with the "
    "difference. A lasting difference means a wrong meter position, a wrong unit or a drifting sensor.",
    sql=TABLE_SQL,
    width=12,
    height=8,
    fields=(
        look.text("stream", "Stream", 200),
        look.number("mwh", "Twin", look.MEGAWATT_HOUR, 3),
        look.number("two_sd_mwh", "± twin", look.MEGAWATT_HOUR, 3),
        look.number("register_mwh", "Meter's register", look.MEGAWATT_HOUR, 3),
        look.number("same_steps_mwh", "Twin, same steps", look.MEGAWATT_HOUR, 3),
        look.number("difference_pct", "Difference", look.PERCENT, 2),
    ),
)

CUMULATED: Final = Panel(
    kind="timeseries",
    title="Energy since the start of the chosen time: twin beside the meter's register",
    description="Both summed from the start of the time range, over the steps for which the meter's register is known. The "
    "band is ± two standard deviations of the twin's sum; the register should stay inside it.",
    sql=CUMULATED_SQL,
    width=24,
    height=8,
    unit=look.MEGAWATT_HOUR,
    empty="The meter of this stream has no energy register, or it did not move in this time",
    fields=(
        *look.band("low_mwh", "high_mwh", "blue"),
        look.line("twin_mwh", "twin", "blue", lineWidth=2),
        look.line("register_mwh", "meter's own register", "purple", lineStyle={"fill": "dot", "dash": [2, 6]}),
    ),
)
