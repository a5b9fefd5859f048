"""SQL of flows over a time range: steps where they are few, else the coarsest sums that say the same.

OFFSET 0 keeps each alternative to itself: those not taken cost nothing. What a panel shows doesn't depend on which of them is read, only how fine its points are and how long the reader waits.
"""

from __future__ import annotations

from typing import Final

from sidestream_dashboards.parts import TRUSTED

_FEW_ROWS: Final = 20_000
"""More rows than so many are not added up while somebody waits, if coarser sums say the same."""
_SUMS: Final = (
    ("quarter", 900, "twin_sum"),
    ("hour", 3600, "twin_sum_1h"),
    ("six_hours", 21_600, "twin_sum_6h"),
    ("day", 86_400, "twin_sum_1d"),
)
_ASKED: Final = """
asked AS (
    SELECT COALESCE(sum(extract(epoch FROM $__timeTo()::timestamptz - GREATEST($__timeFrom()::timestamptz, (
        SELECT min(x.bucket) FROM sidestream_v.twin_sum_1h x WHERE x.subject = t.subject AND x.quantity = t.quantity
    )))), 0) AS length_s
    FROM sidestream_v.twin_latest t WHERE subject_kind = 'stream' AND quantity IN ({quantities}){chosen}
)"""
_FLOWS: Final = """{asked},
level AS MATERIALIZED (
    SELECT CASE {levels} END AS level, CASE {widths} END AS level_s, a.length_s / 10000 AS wanted_s
    FROM asked a CROSS JOIN sidestream_v.hub h
),
width AS MATERIALIZED (
    SELECT GREATEST(
        $__interval_ms * interval '1 ms', make_interval(secs => level_s * GREATEST(round(wanted_s / level_s), 1))
    ) AS width FROM level
),
flow AS (
    SELECT f.* FROM level l CROSS JOIN LATERAL (
        SELECT subject, quantity, time, value * step_s AS total, (sd_random * step_s) ^ 2 AS variance,
            sd_systematic * step_s AS systematic, step_s::float8 AS valued_s, origin IN {trusted} AS trusted
        FROM sidestream_v.twin_value
        WHERE l.level = 'step' AND subject_kind = 'stream' AND quantity IN ({quantities}){chosen}
            AND $__timeFilter(time) AND value IS NOT NULL OFFSET 0
    ) f{sums}
)"""
_FROM_SUMS: Final = """
    UNION ALL
    SELECT f.* FROM level l CROSS JOIN LATERAL (
        SELECT subject, quantity, bucket, total, variance_random, sd_systematic, valued_s, trusted FROM sidestream_v.{table}
        WHERE l.level = '{level}' AND quantity IN ({quantities}){chosen} AND $__timeFilter(bucket) OFFSET 0
    ) f"""


def flows(*quantities: str, chosen: bool = True, coarsest: str = "hour") -> str:
    """CTEs `flow` and `width`: flows of streams with total (J or kg) and deviations, and how wide a point should be.

    From the twin's steps, or, where those would be more than 20 000 rows, from sums per quarter of an hour and so on up to
    `coarsest` (hour, six_hours, day), which must fit into what the panel groups by; a point is so wide that there are about
    10 000 at most. `chosen`: only the streams of the variable $stream.
    """
    sums = _SUMS[: [level for level, *_ in _SUMS].index(coarsest) + 1]
    named = {"quantities": _listed(quantities), "chosen": " AND subject IN ($stream)" if chosen else ""}
    found = [("step", "h.step_s"), *((level, str(width_s)) for level, width_s, _ in sums)]
    fits = [f"WHEN a.length_s / {width_s} <= {_FEW_ROWS} THEN " for _, width_s in found[:-1]] + ["ELSE "]
    return _FLOWS.format(
        asked=_ASKED.format(**named),
        levels=" ".join(fit + f"'{level}'" for fit, (level, _) in zip(fits, found, strict=True)),
        widths=" ".join(fit + width_s for fit, (_, width_s) in zip(fits, found, strict=True)),
        trusted=TRUSTED,
        sums="".join(_FROM_SUMS.format(table=table, level=level, **named) for level, _, table in sums),
        **named,
    )


def _listed(quantities: tuple[str, ...]) -> str:
    return ", ".join(f"'{quantity}'" for quantity in quantities)


_RANGE: Final = """{asked},
short AS MATERIALIZED (SELECT a.length_s / h.step_s <= {few} AS yes FROM asked a CROSS JOIN sidestream_v.hub h),
inner_0 AS (
    SELECT date_bin('15 minutes', $__timeFrom()::timestamptz - interval '1 us', timestamptz 'epoch') + interval '15 minutes' AS from_at,
        date_bin('15 minutes', $__timeTo()::timestamptz, timestamptz 'epoch') + interval '15 minutes' AS to_at
),
{inner},
part AS MATERIALIZED ({parts}
),
piece AS (
    SELECT s.* FROM short CROSS JOIN LATERAL (
        SELECT subject, quantity, value * step_s AS total, (sd_random * step_s) ^ 2 AS variance, sd_systematic * step_s AS systematic,
            CASE WHEN count(*) OVER (PARTITION BY subject, time) = 2 THEN value * step_s ELSE 0 END AS paired
        FROM sidestream_v.twin_value
        WHERE short.yes AND subject_kind = 'stream' AND quantity IN ({quantities}) AND subject IN ($stream)
            AND $__timeFilter(time) AND value IS NOT NULL OFFSET 0
    ) s{sums}
)"""
_INNER: Final = """inner_{n} AS (
    SELECT date_bin('{width_s} s', from_at - interval '1 us', timestamptz 'epoch') + interval '{width_s} s' AS from_at,
        date_bin('{width_s} s', to_at, timestamptz 'epoch') AS to_at FROM inner_{finer}
)"""
_BEFORE_AND_AFTER: Final = """
    SELECT '{level}' AS level, o.from_at, LEAST(o.to_at, i.from_at) AS to_at FROM inner_{n} o, inner_{coarser} i
    UNION ALL
    SELECT '{level}', GREATEST(i.to_at, LEAST(o.to_at, i.from_at)), o.to_at FROM inner_{n} o, inner_{coarser} i
    UNION ALL"""
_INNERMOST: Final = """
    SELECT '{level}', from_at, to_at FROM inner_{n}"""
_PIECES: Final = """
    UNION ALL
    SELECT s.subject, s.quantity, s.total, s.variance_random, s.sd_systematic, s.paired_total
    FROM part p CROSS JOIN short CROSS JOIN LATERAL (
        SELECT * FROM sidestream_v.twin_sum_pair WHERE level = '{level}' AND quantity IN ({quantities}) AND subject IN ($stream)
            AND bucket >= p.from_at AND bucket < p.to_at OFFSET 0
    ) s
    WHERE p.level = '{level}' AND p.from_at < p.to_at AND NOT short.yes"""


def pieces(own: str, register: str) -> str:
    """CTE `piece`: what adds up to the flows of the chosen streams over the whole time range, in as few rows as may be.

    The steps, where they are few; else the days that lie wholly inside, and six hours, hours and quarters towards both ends,
    so that the range is kept to the quarter that begins in it. `paired`: as in the view of the sums.
    """
    named = {"quantities": _listed((own, register))}
    last = len(_SUMS) - 1
    return _RANGE.format(
        asked=_ASKED.format(chosen=" AND subject IN ($stream)", **named),
        few=_FEW_ROWS,
        inner=",\n".join(_INNER.format(n=n, finer=n - 1, width_s=_SUMS[n][1]) for n in range(1, last + 1)),
        parts="".join(_BEFORE_AND_AFTER.format(level=_SUMS[n][0], n=n, coarser=n + 1) for n in range(last))
        + _INNERMOST.format(level=_SUMS[last][0], n=last),
        sums="".join(_PIECES.format(level=level, **named) for level, *_ in _SUMS),
        **named,
    )
