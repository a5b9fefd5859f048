"""What the twin judges and foresees, as rows for commands: stocks with their forecasts and biases, agreements with evidence."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from sidestream_store.connect import Connection, transient_errors


def stocks_with_forecasts(connection: Connection) -> list[dict[str, Any]]:
    """Every stock and store by node, each with `forecasts` (rows of its limits) and `biases` (its instruments')."""
    with transient_errors("read stocks"), connection.cursor(row_factory=dict_row) as cursor:
        stocks = cursor.execute("SELECT * FROM sidestream_v.stock ORDER BY node").fetchall()
        forecasts = cursor.execute("SELECT * FROM sidestream_v.stock_forecast ORDER BY node, event").fetchall()
        biases = cursor.execute(
            "SELECT node, source, bias, sd FROM sidestream_v.stock_bias ORDER BY node, source"
        ).fetchall()
    return [
        stock
        | {
            "forecasts": [row for row in forecasts if row["node"] == stock["node"]],
            "biases": [row for row in biases if row["node"] == stock["node"]],
        }
        for stock in stocks
    ]


def agreements_with_evidence(connection: Connection) -> list[dict[str, Any]]:
    """Each agreement in its newest period that has begun, by agreement."""
    with transient_errors("read agreements"), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT DISTINCT ON (agreement) * FROM sidestream_v.agreement_status WHERE period_from <= now()"
            " ORDER BY agreement, period_from DESC"
        ).fetchall()
