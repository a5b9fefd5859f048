"""The newest forecast and belief of each stock, and the newest interval of each balance: what they always were, and found without reading the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest

from sidestream_store.findings.conditions import _SUSPECTS, suspects

pytestmark = pytest.mark.server

HISTORY = """
INSERT INTO sidestream.hub_version (hub, hash, content) VALUES ('h', '', '{}');
INSERT INTO sidestream.hub (id, name, timezone, synthetic, step_s, late_s, early_s, version_id)
SELECT 'h', 'H', 'UTC', true, 10, 1e7, 300, version_id FROM sidestream.hub_version;
INSERT INTO sidestream.node (id, party, kind, name) VALUES ('a', 'p', 'stock', 'A'), ('b', 'p', 'stock', 'B'), ('c', 'p', 'stock', 'C');
INSERT INTO sidestream.stock_forecast (node, event, issued_at, outcome, limit_kg, basis)
SELECT node, event, now() - n * interval '1 hour', 'unknown', n, '{}'
FROM unnest(ARRAY['a', 'b', 'gone']) node, unnest(ARRAY['overflow', 'run_dry']) event, generate_series(0, 2000) n
WHERE NOT (node = 'b' AND (event = 'overflow' OR n < 5));
INSERT INTO sidestream.stock_checkpoint (node, at, state)
SELECT node, now() - n * interval '1 hour', jsonb_build_object('sources', '["level", "unseen:mass"]'::jsonb,
    'biases', jsonb_build_array(n, 0), 'covariance', '[[1, 0, 0], [0, 4, 0], [0, 0, 9]]'::jsonb)
FROM unnest(ARRAY['a', 'b']) node, generate_series(0, 2000) n;
ANALYZE sidestream.stock_forecast, sidestream.stock_checkpoint;
"""


@pytest.fixture
def years(connect) -> psycopg.Connection:
    connection: psycopg.Connection = connect()
    connection.execute(HISTORY)
    return connection


def rows_read(plan: dict[str, Any], table: str) -> Iterator[int]:
    if plan.get("Relation Name") == table:
        yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for part in plan.get("Plans", ()):
        yield from rows_read(part, table)


def read_of(connection: psycopg.Connection, query: LiteralString, table: str) -> float:
    """How many rows of the table the query reads."""
    ((plan,),) = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query).fetchone()
    return sum(rows_read(plan["Plan"], table))


def test_the_newest_forecast_of_each_stock_and_limit_is_read_by_the_primary_key(years):
    found = years.execute(
        "SELECT node, event, name, limit_kg, stale FROM sidestream_v.stock_forecast ORDER BY 1, 2"
    ).fetchall()
    assert found == [
        ("a", "overflow", "A", 0.0, False),
        ("a", "run_dry", "A", 0.0, False),
        ("b", "run_dry", "B", 5.0, True),
    ]
    assert read_of(years, "SELECT * FROM sidestream_v.stock_forecast", "stock_forecast") <= 2 * len(found)


def test_the_newest_belief_of_each_stock_is_read_by_the_primary_key(years):
    found = years.execute("SELECT node, source, bias, sd FROM sidestream_v.stock_bias ORDER BY 1").fetchall()
    assert found == [("a", "level", 0.0, 2.0), ("b", "level", 0.0, 2.0)]
    assert read_of(years, "SELECT * FROM sidestream_v.stock_bias", "stock_checkpoint") <= 4


def test_the_viewer_still_reads_both(years):
    granted = "SELECT has_table_privilege('sidestream_viewer', 'sidestream_v.' || %s, 'SELECT')"
    assert all(years.execute(granted, [view]).fetchone() == (True,) for view in ("stock_forecast", "stock_bias"))


def test_the_newest_interval_of_each_balance_is_read_by_the_primary_key(years):
    years.execute(
        "INSERT INTO sidestream.balance (balance, time, step_s, redundancy)"
        " SELECT balance, now() - n * interval '15 min', 900, 1"
        " FROM unnest(ARRAY['energy', 'mass:ash', 'mass:slag']) balance, generate_series(0, 2000) n"
        " WHERE balance <> 'mass:ash' OR n > 4;"
        "INSERT INTO sidestream.balance_part (balance, subject_kind, subject, quantity, time, step_s, completeness, knowledge,"
        " at_fault, suspect, bias, alike, inputs)"
        " SELECT balance, 'stream', balance || n, 'mass_flow', now() - n * interval '15 min', 900, 1, 'redundant', true, true, n,"
        " '[]', '{}' FROM (VALUES ('energy', 0), ('energy', 1), ('mass:ash', 5), ('mass:slag', 1)) x (balance, n)"
    )
    assert [each.subject for each in suspects(years)] == ["energy0", "mass:ash5"], "not what was suspect before"
    years.execute("ANALYZE sidestream.balance, sidestream.balance_part")
    assert read_of(years, _SUSPECTS, "balance") <= 6
