"""What was delivered in a period, and how the agreement about it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from sidestream_store.connect import Connection
from sidestream_store.twin.values import TRUST


@dataclass(frozen=True, slots=True)
class Asked:
    """The sum of a stream's flow in [from_at, to_at), J or kg."""

    stream: str
    quantity: str
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """A sum with its deviations, the seconds that were seen, and the least trusted origin; None where nothing is known."""

    total: float | None
    sd_random: float | None
    sd_systematic: float | None
    seen_s: float
    origin: str | None


@dataclass(frozen=True, slots=True)
class AskedLots:
    """Lots of a material that were first read at `node` in [from_at, to_at)."""

    node: str
    material: str
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveredLots:
    """Their number, nominal mass and its random deviation, kg; `watched_from`: the first read of anything there."""

    lots: int
    mass_kg: float
    sd_kg: float
    watched_from: datetime | None


@dataclass(frozen=True, slots=True)
class AskedSpec:
    """Minutes of a sensor in [from_at, to_at) against limits in its own unit; `doubt`: how far outside is outside for sure."""

    sensor_id: int
    low: float | None
    high: float | None
    doubt: float
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class Minutes:
    """How many minutes are known, lie outside the limits, and lie outside for sure."""

    known: int
    outside: int
    surely: int


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """A period that is over, with what was delivered in it; J or kg."""

    from_at: datetime
    to_at: datetime
    delivered: float


@dataclass(frozen=True, slots=True)
class StatusRow:
    """How an agreement stands in a period; amounts in J or kg."""

    agreement: str
    period_from: datetime
    period_to: datetime
    agreed: float
    expected_so_far: float
    delivered: float | None
    sd_random: float | None
    sd_systematic: float | None
    origin: str
    completeness: float
    status: str
    reason: str
    reason_numbers: Mapping[str, Any]


def delivered(connection: Connection, asked: Sequence[Asked], *, roughly: bool = False) -> list[Delivered]:
    """The sums in the order asked; a step counts for the period that its quarter of an hour (`roughly`: hour) begins in."""
    rows = connection.execute(
        _DELIVERED + (_BY_HOUR if roughly else _BY_QUARTER) + _IN_ORDER,
        [
            list(TRUST),
            [a.stream for a in asked],
            [a.quantity for a in asked],
            [a.from_at for a in asked],
            [a.to_at for a in asked],
        ],
    ).fetchall()
    return [Delivered(*row) for row in rows]


_DELIVERED = """
SELECT sum(s.total ORDER BY s.bucket), sqrt(sum(s.variance_random ORDER BY s.bucket)),
    sum(s.sd_systematic ORDER BY s.bucket), COALESCE(sum(s.seen_s ORDER BY s.bucket), 0), (%s::text[])[max(s.origin_rank)]
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY
    AS q (subject, quantity, from_at, to_at, n)
"""
_BY_QUARTER = "LEFT JOIN sidestream_v.twin_sum s"
_BY_HOUR = "LEFT JOIN sidestream_v.twin_sum_1h s"
_IN_ORDER = """
ON s.subject = q.subject AND s.quantity = q.quantity AND s.bucket >= q.from_at AND s.bucket < q.to_at
GROUP BY q.n ORDER BY q.n
"""


def past_periods(connection: Connection, agreement: str, before: datetime, count: int) -> list[PastPeriod]:
    """The newest `count` periods that ended by `before` in which the exchange ran and enough of it was seen, newest first."""
    rows = connection.execute(
        "SELECT s.period_from, s.period_to, s.delivered * a.si_factor FROM sidestream_v.agreement_status s"
        " JOIN sidestream_v.agreement a ON a.id = s.agreement WHERE s.agreement = %s AND s.period_to <= %s"
        " AND s.delivered > 0 AND s.completeness >= 0.8 AND s.status IN ('on_track', 'at_risk', 'breached')"
        " AND COALESCE(s.stopped_s, 0) = 0 ORDER BY s.period_from DESC LIMIT %s",
        [agreement, before, count],
    ).fetchall()
    return [PastPeriod(*row) for row in rows]


def minutes_outside(connection: Connection, asked: Sequence[AskedSpec]) -> list[Minutes]:
    """Of each range the minutes by their mean, in the order asked."""
    rows = connection.execute(
        "SELECT count(r.bucket), count(*) FILTER (WHERE r.mean < q.low OR r.mean > q.high),"
        " count(*) FILTER (WHERE r.mean < q.low - q.doubt OR r.mean > q.high + q.doubt)"
        " FROM unnest(%s::int[], %s::float8[], %s::float8[], %s::float8[], %s::timestamptz[], %s::timestamptz[])"
        "   WITH ORDINALITY AS q (sensor_id, low, high, doubt, from_at, to_at, n)"
        " LEFT JOIN sidestream_v.rollup_1m r ON r.sensor_id = q.sensor_id AND r.bucket >= q.from_at AND r.bucket < q.to_at"
        "   AND r.n > 0 GROUP BY q.n ORDER BY q.n",
        [
            [a.sensor_id for a in asked],
            [a.low for a in asked],
            [a.high for a in asked],
            [a.doubt for a in asked],
            [a.from_at for a in asked],
            [a.to_at for a in asked],
        ],
    ).fetchall()
    return [Minutes(*row) for row in rows]


def delivered_lots(connection: Connection, asked: Sequence[AskedLots]) -> list[DeliveredLots]:
    """The lots in the order asked; each counts once, when it was first read at the node."""
    rows = connection.execute(
        "SELECT count(t.id), COALESCE(sum(t.mass_kg), 0), COALESCE(sqrt(sum(t.sd_kg ^ 2)), 0),"
        " (SELECT min(from_at) FROM sidestream_v.lot_stay w WHERE w.place = q.node)"
        " FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
        "   AS q (node, material, from_at, to_at, n)"
        " LEFT JOIN LATERAL (SELECT code FROM sidestream_v.lot_stay f WHERE f.place = q.node GROUP BY code"
        "   HAVING min(f.from_at) >= q.from_at AND min(f.from_at) < q.to_at) first ON true"
        " LEFT JOIN sidestream_v.lot l ON l.code = first.code"
        " LEFT JOIN sidestream_v.lot_type t ON t.id = l.lot_type AND t.material = q.material"
        " GROUP BY q.n, q.node ORDER BY q.n",
        [
            [a.node for a in asked],
            [a.material for a in asked],
            [a.from_at for a in asked],
            [a.to_at for a in asked],
        ],
    ).fetchall()
    return [DeliveredLots(*row) for row in rows]


def open_periods(connection: Connection, now_at: datetime) -> list[tuple[str, datetime]]:
    """(agreement, start) of each period that is over and was last judged before it was."""
    rows = connection.execute(
        "SELECT agreement, period_from FROM sidestream.agreement_status WHERE period_to <= %s AND computed_at < period_to",
        [now_at],
    ).fetchall()
    return [(agreement, from_at) for agreement, from_at in rows]


def save_statuses(connection: Connection, rows: Sequence[StatusRow], now_at: datetime) -> None:
    """Each agreement stands in its period as given; a published judgement that differs stays in history.

    What is the same is not written, except that a running period's judgement is as new as the last look at it.
    """
    if rows:
        facts = [asdict(row) | {"period_from": _iso(row.period_from), "period_to": _iso(row.period_to)} for row in rows]
        connection.execute(_PUBLISH, {"rows": Jsonb(facts), "now": now_at})


def _iso(at: datetime) -> str:
    return at.isoformat()


_PUBLISH = """
WITH new AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s) AS r (agreement text, period_from timestamptz, period_to timestamptz,
        agreed double precision, expected_so_far double precision, delivered double precision, sd_random double precision,
        sd_systematic double precision, origin text, completeness double precision, status text, reason text,
        reason_numbers jsonb)
), differing AS MATERIALIZED (
    SELECT new.*, old.revision, old.known_at, sidestream.is_published(old.period_to, old.known_at, %(now)s) AS published
    FROM new LEFT JOIN sidestream.agreement_status old USING (agreement, period_from)
    WHERE old.computed_at < old.period_to
        OR (new.period_to, new.agreed, new.expected_so_far, new.delivered, new.sd_random, new.sd_systematic, new.origin,
            new.completeness, new.status, new.reason, new.reason_numbers)
        IS DISTINCT FROM (old.period_to, old.agreed, old.expected_so_far, old.delivered, old.sd_random, old.sd_systematic,
            old.origin, old.completeness, old.status, old.reason, old.reason_numbers)
), kept AS (
    INSERT INTO sidestream.agreement_status_history
    SELECT a.*, GREATEST(%(now)s, a.known_at)
    FROM differing d JOIN sidestream.agreement_status a USING (agreement, period_from) WHERE d.published
)
INSERT INTO sidestream.agreement_status (agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random,
    sd_systematic, origin, completeness, status, reason, reason_numbers, computed_at, revision, known_at)
SELECT agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random, sd_systematic, origin,
       completeness, status, reason, reason_numbers, %(now)s,
       COALESCE(revision + published::int, (
           SELECT max(h.revision) + 1 FROM sidestream.agreement_status_history h
           WHERE h.agreement = d.agreement AND h.period_from = d.period_from
       ), 1),
       sidestream.known_from(published, revision, known_at, %(now)s)
FROM differing d
ON CONFLICT (agreement, period_from) DO UPDATE SET period_to = excluded.period_to, agreed = excluded.agreed,
    expected_so_far = excluded.expected_so_far, delivered = excluded.delivered, sd_random = excluded.sd_random,
    sd_systematic = excluded.sd_systematic, origin = excluded.origin, completeness = excluded.completeness,
    status = excluded.status, reason = excluded.reason, reason_numbers = excluded.reason_numbers,
    computed_at = excluded.computed_at, revision = excluded.revision, known_at = excluded.known_at
"""


def forget_other_agreements(connection: Connection, known: Sequence[str], now_at: datetime) -> None:
    """Judgements of agreements that the hub no longer has are gone; published ones stay in history."""
    connection.execute(
        "WITH gone AS (DELETE FROM sidestream.agreement_status WHERE agreement <> ALL (%s) RETURNING *)"
        " INSERT INTO sidestream.agreement_status_history SELECT g.*, GREATEST(%s, g.known_at) FROM gone g"
        " WHERE sidestream.is_published(g.period_to, g.known_at, %s)",
        [list(known), now_at, now_at],
    )
