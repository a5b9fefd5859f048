"""What was delivered in a period, and how the agreement about it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    reason_numbers: Mapping[str, float]


def delivered(connection: Connection, asked: Sequence[Asked]) -> list[Delivered]:
    """The sums in the order asked; a step counts for the period that its quarter of an hour begins in."""
    rows = connection.execute(
        "SELECT sum(s.total ORDER BY s.bucket), sqrt(sum(s.variance_random ORDER BY s.bucket)),"
        " sum(s.sd_systematic ORDER BY s.bucket), COALESCE(sum(s.seen_s ORDER BY s.bucket), 0),"
        " (%s::text[])[max(s.origin_rank)]"
        " FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
        "   AS q (subject, quantity, from_at, to_at, n)"
        " LEFT JOIN sidestream.twin_sum s ON s.subject = q.subject AND s.quantity = q.quantity"
        "   AND s.bucket >= q.from_at AND s.bucket < q.to_at GROUP BY q.n ORDER BY q.n",
        [
            list(TRUST),
            [a.stream for a in asked],
            [a.quantity for a in asked],
            [a.from_at for a in asked],
            [a.to_at for a in asked],
        ],
    ).fetchall()
    return [Delivered(*row) for row in rows]


def delivered_lots(connection: Connection, asked: Sequence[AskedLots]) -> list[DeliveredLots]:
    """The lots in the order asked; each counts once, when it was first read at the node."""
    rows = connection.execute(
        "SELECT count(t.id), COALESCE(sum(t.mass_kg), 0), COALESCE(sqrt(sum(t.sd_kg ^ 2)), 0),"
        " (SELECT min(from_at) FROM sidestream.lot_stay w WHERE w.place = q.node)"
        " FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY"
        "   AS q (node, material, from_at, to_at, n)"
        " LEFT JOIN LATERAL (SELECT code FROM sidestream.lot_stay f WHERE f.place = q.node GROUP BY code"
        "   HAVING min(f.from_at) >= q.from_at AND min(f.from_at) < q.to_at) first ON true"
        " LEFT JOIN sidestream.lot l ON l.code = first.code"
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
    """Each agreement stands in its period as given; a period judged before gets the new judgement."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sidestream.agreement_status AS a (agreement, period_from, period_to, agreed, expected_so_far,"
            " delivered, sd_random, sd_systematic, origin, completeness, status, reason, reason_numbers, computed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (agreement, period_from) DO UPDATE SET period_to = excluded.period_to, agreed = excluded.agreed,"
            " expected_so_far = excluded.expected_so_far, delivered = excluded.delivered, sd_random = excluded.sd_random,"
            " sd_systematic = excluded.sd_systematic, origin = excluded.origin, completeness = excluded.completeness,"
            " status = excluded.status, reason = excluded.reason, reason_numbers = excluded.reason_numbers,"
            " computed_at = excluded.computed_at",
            [
                (
                    r.agreement, r.period_from, r.period_to, r.agreed, r.expected_so_far, r.delivered, r.sd_random,
                    r.sd_systematic, r.origin, r.completeness, r.status, r.reason, Jsonb(dict(r.reason_numbers)), now_at,
                )
                for r in rows
            ],
        )  # fmt: skip


def forget_other_agreements(connection: Connection, known: Sequence[str]) -> None:
    """Judgements of agreements that the hub no longer has are gone."""
    connection.execute("DELETE FROM sidestream.agreement_status WHERE agreement <> ALL (%s)", [list(known)])
