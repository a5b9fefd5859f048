"""Flows of streams added up: per quarter of an hour from the steps, and from those per hour, six hours and day.

Each coarser bucket is the sum of the finer ones in order of time, so that whatever order data came in, all bits are the
same. Which sum answers a question is chosen by its reader; the sums never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from psycopg import sql

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import step_start
from sidestream_store.twin.values import SUM_TABLES, SUM_WIDTHS, TRUST, Computed

QUARTER_S: Final = 900
"""Quarters of an hour fit every time zone's midnight."""
_REGISTER: Final = "register_"


def add_up(connection: Connection, computed: Sequence[Computed], step_s: int) -> None:
    """All sums of streams agree with the figures of the computed ranges. Flows only."""
    flows = [part for part in computed if part.subject.kind == "stream" and part.stop > part.first]
    if not flows:
        return
    ranges = _ranges(flows, step_s)
    connection.execute(_DELETE_QUARTERS, ranges)
    connection.execute(_INSERT_QUARTERS, ranges)
    for (finer, _), (coarser, width) in pairwise(zip(SUM_TABLES, SUM_WIDTHS, strict=True)):
        names = {"finer": sql.Identifier("sidestream", finer), "coarser": sql.Identifier("sidestream", coarser)}
        for statement in (_DELETE_COARSER, _INSERT_COARSER):
            connection.execute(sql.SQL(_BUCKETS + statement).format(**names, width=sql.Literal(width)), ranges)


def other_of_pair(quantity: str) -> str:
    """The twin's own figure beside that of the meter's register, and the reverse; a stream need not have it."""
    return quantity.removeprefix(_REGISTER) if quantity.startswith(_REGISTER) else _REGISTER + quantity


def _ranges(flows: Iterable[Computed], step_s: int) -> dict[str, Any]:
    """Whole buckets of each figure that was computed and of the other of its pair, whose paired part changes with it.

    Written once for all statements: the driver takes ten times as long for four arrays, and does it for each of them.
    """
    bucket_s = max(QUARTER_S, step_s)
    rows = [
        {"subject": subject, "quantity": quantity, "from_at": _said(from_s), "to_at": _said(to_s)}
        for subject, quantity, from_s, to_s in sorted(set(_touched(flows, step_s, bucket_s)))
    ]
    return {"touched": json.dumps(rows), "bucket_s": bucket_s, "trust": list(TRUST)}


def _said(at_s: int) -> str:
    return step_start(at_s, 1).isoformat()


def _touched(flows: Iterable[Computed], step_s: int, bucket_s: int) -> Iterator[tuple[str, str, int, int]]:
    for part in flows:
        from_s, to_s = part.first * step_s // bucket_s * bucket_s, -(-part.stop * step_s // bucket_s) * bucket_s
        for quantity in (part.subject.quantity, other_of_pair(part.subject.quantity)):
            yield part.subject.id, quantity, from_s, to_s


_TOUCHED: Final = """jsonb_to_recordset(%(touched)s::jsonb)
    AS c (subject text, quantity text, from_at timestamptz, to_at timestamptz)"""
_DELETE_QUARTERS: Final = f"""
DELETE FROM sidestream.twin_sum s USING {_TOUCHED}
WHERE s.subject = c.subject AND s.quantity = c.quantity AND s.bucket >= c.from_at AND s.bucket < c.to_at
"""  # noqa: S608  pieces of our own
_INSERT_QUARTERS: Final = f"""
INSERT INTO sidestream.twin_sum (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank,
    valued_s, paired_total)
SELECT subject, quantity, bucket, sum(value * step_s ORDER BY time), sum((sd_random * step_s) ^ 2 ORDER BY time),
    sum(sd_systematic * step_s ORDER BY time), sum(completeness * step_s ORDER BY time),
    max(array_position(%(trust)s::text[], origin)), sum(step_s),
    COALESCE(sum(value * step_s ORDER BY time) FILTER (WHERE figures = 2), 0)
FROM (
    SELECT step.*, date_bin(make_interval(secs => %(bucket_s)s), time, timestamptz 'epoch') AS bucket,
        count(*) OVER (PARTITION BY subject, time, regexp_replace(quantity, '^{_REGISTER}', '')) AS figures
    FROM (
        SELECT DISTINCT v.subject, v.quantity, v.time, v.step_s, v.value, v.sd_random, v.sd_systematic, v.completeness, v.origin
        FROM {_TOUCHED}
        JOIN sidestream.twin_value v ON v.subject_kind = 'stream' AND v.subject = c.subject AND v.quantity = c.quantity
            AND v.time >= c.from_at AND v.time < c.to_at AND v.value IS NOT NULL
    ) step
) paired
GROUP BY subject, quantity, bucket
"""  # noqa: S608  pieces of our own
_BUCKETS: Final = f"""
WITH touched AS MATERIALIZED (
    SELECT subject, quantity, unnest(range_agg(tstzrange(
        date_bin({{width}}, from_at, timestamptz 'epoch'),
        date_bin({{width}}, to_at - interval '1 us', timestamptz 'epoch') + {{width}}::interval))) AS buckets
    FROM {_TOUCHED}
    GROUP BY subject, quantity
)
"""  # noqa: S608  pieces of our own
_DELETE_COARSER: Final = """
DELETE FROM {coarser} s USING touched c
WHERE s.subject = c.subject AND s.quantity = c.quantity AND s.bucket >= lower(c.buckets) AND s.bucket < upper(c.buckets)
"""
_INSERT_COARSER: Final = """
INSERT INTO {coarser} (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank, valued_s,
    paired_total)
SELECT s.subject, s.quantity, date_bin({width}, s.bucket, timestamptz 'epoch') AS wider, sum(s.total ORDER BY s.bucket),
    sum(s.variance_random ORDER BY s.bucket), sum(s.sd_systematic ORDER BY s.bucket), sum(s.seen_s ORDER BY s.bucket),
    max(s.origin_rank), sum(s.valued_s ORDER BY s.bucket), sum(s.paired_total ORDER BY s.bucket)
FROM touched c JOIN {finer} s ON s.subject = c.subject AND s.quantity = c.quantity
    AND s.bucket >= lower(c.buckets) AND s.bucket < upper(c.buckets)
GROUP BY s.subject, s.quantity, wider
"""
