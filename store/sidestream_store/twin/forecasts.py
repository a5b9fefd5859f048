"""What a stock's forecast reads (how flows went lately, what was agreed) and what it leaves: when a limit is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from sidestream_store.connect import Connection


@dataclass(frozen=True, slots=True)
class StockNow:
    """A stock's newest figure, which is that of `at`; the mass is None where it is not known."""

    at: datetime
    mass_kg: float | None
    sd_random: float | None
    sd_systematic: float | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stream's mean flow and its meter's deviation, kg/s, from `at` on; `hour` of the hub's week, 0 to 167."""

    stream: str
    at: datetime
    hour: int
    flow: float
    sd_systematic: float


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """What is foreseen of one limit of a stock. Times are quantiles of when it is reached; None lies beyond the horizon."""

    node: str
    event: str
    issued_at: datetime
    from_at: datetime | None
    horizon_at: datetime | None
    outcome: str
    reason: str | None
    limit_kg: float
    mass_kg: float | None
    sd_kg: float | None
    net_flow_kg_s: float | None
    net_flow_sd_kg_s: float | None
    probability: float | None
    quantiles_at: tuple[datetime | None, ...]
    basis: Mapping[str, Any]


def stocks_now(connection: Connection, nodes: Sequence[str]) -> dict[str, StockNow]:
    """The newest mass of each of these nodes that has one."""
    rows = connection.execute(
        "SELECT subject, time + make_interval(secs => step_s), value, sd_random, sd_systematic FROM sidestream.twin_latest"
        " WHERE subject_kind = 'node' AND quantity = 'stock_mass' AND subject = ANY (%s)",
        [list(nodes)],
    ).fetchall()
    return {row[0]: StockNow(*row[1:]) for row in rows}


def last_issued(connection: Connection, nodes: Sequence[str]) -> dict[str, datetime]:
    """When each of these stocks was last foreseen."""
    rows = connection.execute(
        "SELECT node, max(f.issued_at) FROM unnest(%s::text[]) AS node"
        " CROSS JOIN unnest(ARRAY['overflow', 'run_dry']) AS event CROSS JOIN LATERAL ("
        "   SELECT issued_at FROM sidestream.stock_forecast f WHERE f.node = node.node AND f.event = event.event"
        "   ORDER BY issued_at DESC LIMIT 1) f GROUP BY node",
        [list(nodes)],
    ).fetchall()
    return dict(rows)


def history(
    connection: Connection, streams: Sequence[str], from_at: datetime, to_at: datetime, bucket_s: int
) -> list[Bucket]:
    """Mean flows of the streams in buckets of an hour, a quarter of it, or else a step, that lie wholly in the time given.

    Buckets of which less than four fifths are known are left out; in order of time.
    """
    source = {3600: _OF_HOURS, 900: _OF_QUARTERS}.get(bucket_s, _OF_STEPS)
    bounds = {"streams": list(streams), "from": from_at, "to": to_at, "bucket": bucket_s}
    return [Bucket(*row) for row in connection.execute(_WITH_HOUR + source + _WITHIN, bounds).fetchall()]


_WITH_HOUR = """
SELECT f.subject, f.at, (extract(isodow FROM f.at AT TIME ZONE h.timezone)::int - 1) * 24
    + extract(hour FROM f.at AT TIME ZONE h.timezone)::int, f.flow, f.sd
FROM sidestream.hub h CROSS JOIN LATERAL (
"""
_OF_HOURS = """
SELECT subject, bucket AS at, total / valued_s AS flow, sd_systematic / valued_s AS sd FROM sidestream.twin_sum_1h
WHERE quantity = 'mass_flow' AND valued_s >= 0.8 * %(bucket)s AND subject = ANY (%(streams)s)
    AND bucket >= %(from)s AND bucket <= %(to)s
"""
_OF_QUARTERS = """
SELECT subject, bucket AS at, total / valued_s AS flow, sd_systematic / valued_s AS sd FROM sidestream.twin_sum
WHERE quantity = 'mass_flow' AND valued_s >= 0.8 * %(bucket)s AND subject = ANY (%(streams)s)
    AND bucket >= %(from)s AND bucket <= %(to)s
"""
_OF_STEPS = """
SELECT subject, time AS at, value AS flow, sd_systematic AS sd FROM sidestream.twin_value
WHERE subject_kind = 'stream' AND quantity = 'mass_flow' AND value IS NOT NULL AND completeness >= 0.8
    AND subject = ANY (%(streams)s) AND time >= %(from)s AND time <= %(to)s
"""
_WITHIN = """
) f WHERE f.at + make_interval(secs => %(bucket)s) <= %(to)s ORDER BY f.at, f.subject
"""


def save_forecasts(connection: Connection, rows: Sequence[ForecastRow]) -> None:
    """These are the newest forecasts; of those that they supersede the last of each hour stays."""
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "DELETE FROM sidestream.stock_forecast WHERE node = %s AND event = %s"
            " AND issued_at >= date_trunc('hour', %s::timestamptz)",
            [(row.node, row.event, row.issued_at) for row in rows],
        )
        cursor.executemany(
            "INSERT INTO sidestream.stock_forecast (node, event, issued_at, from_at, horizon_at, outcome, reason, limit_kg,"
            " mass_kg, sd_kg, net_flow_kg_s, net_flow_sd_kg_s, probability, q05_at, q25_at, q50_at, q75_at, q95_at, basis)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    row.node, row.event, row.issued_at, row.from_at, row.horizon_at, row.outcome, row.reason, row.limit_kg,
                    row.mass_kg, row.sd_kg, row.net_flow_kg_s, row.net_flow_sd_kg_s, row.probability, *row.quantiles_at,
                    Jsonb(row.basis),
                )
                for row in rows
            ],
        )  # fmt: skip


def forget_other_forecasts(connection: Connection, nodes: Sequence[str]) -> None:
    """Forecasts of nodes that the hub no longer has, or no longer follows, are gone."""
    connection.execute("DELETE FROM sidestream.stock_forecast WHERE node <> ALL (%s)", [list(nodes)])
