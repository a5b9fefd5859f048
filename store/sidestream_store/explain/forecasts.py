"""Forecasts of stocks as they were issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from sidestream_store.connect import Connection


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a stock reaches a limit, as judged at `issued_at`: quantiles of the first crossing, None beyond the horizon."""

    issued_at: datetime
    from_at: datetime | None
    horizon_at: datetime | None
    outcome: str
    reason: str | None
    limit_kg: float
    net_flow_kg_s: float | None
    net_flow_sd_kg_s: float | None
    probability: float | None
    q05_at: datetime | None
    q25_at: datetime | None
    q50_at: datetime | None
    q75_at: datetime | None
    q95_at: datetime | None
    basis: dict[str, Any]


def forecast(connection: Connection, node: str, event: str, at: datetime | None) -> Forecast | None:
    """The newest forecast that was issued at or before `at` (None: of all); superseded ones are kept one an hour."""
    with connection.cursor(row_factory=class_row(Forecast)) as cursor:
        return cursor.execute(
            "SELECT issued_at, from_at, horizon_at, outcome, reason, limit_kg, net_flow_kg_s, net_flow_sd_kg_s, probability,"
            " q05_at, q25_at, q50_at, q75_at, q95_at, basis FROM sidestream_v.stock_forecast_history"
            " WHERE node = %s AND event = %s AND issued_at <= COALESCE(%s::timestamptz, 'infinity')"
            " ORDER BY issued_at DESC LIMIT 1",
            [node, event, at],
        ).fetchone()
