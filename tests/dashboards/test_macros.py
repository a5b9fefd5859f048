"""Macros come out as Grafana's PostgreSQL data source makes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_dashboards.macros import MacroError, Window, expand, variables_in

WINDOW = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 6, 0, 0, 500_000, tzinfo=UTC), 90)
FROM, TO = "'2026-03-01T00:00:00Z'", "'2026-03-01T06:00:00.5Z'"


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(t.time)", f"t.time BETWEEN {FROM} AND {TO}"),
        ("$__timeFrom()::timestamptz, $__timeTo()", f"{FROM}::timestamptz, {TO}"),
        ("$__timeGroup(time, '5m')", "floor(extract(epoch from time)/300)*300"),
        ("$__timeGroup(time,'5m'), x", 'floor(extract(epoch from time)/300)*300 AS "time", x'),
        ("$__timeGroupAlias(time,1h)", 'floor(extract(epoch from time)/3600)*3600 AS "time"'),
        ("$__timeGroupAlias(time,$__interval)", 'floor(extract(epoch from time)/60)*60 AS "time"'),
        ("$__unixEpochFilter(at)", "at >= 1772323200 AND at <= 1772344800"),
        ("$__unixEpochFrom() $__unixEpochTo()", "1772323200 1772344800"),
        ("$__unixEpochGroup(at, '1m')", "floor((at)/60)*60"),
        ("$__time(at)", 'at AS "time"'),
        ("$__interval_ms / '$__interval'", "90000 / '1m'"),
    ],
)
def test_a_macro_expands_as_in_grafana(sql, expanded):
    assert expand(sql, WINDOW) == expanded


def test_with_timescale_switched_on_groups_become_time_buckets():
    assert expand("$__timeGroup(time, '5m')", WINDOW, timescaledb=True) == "time_bucket('300.000s',time)"


@pytest.mark.parametrize("sql", ["$__timeFiltre(time)", "$__timeFilter()", "$__timeGroup(time)", "$stock", "${stock}"])
def test_what_grafana_could_not_expand_is_refused(sql):
    with pytest.raises(MacroError):
        expand(sql, WINDOW)


def test_a_list_comes_out_quoted_and_a_text_bare():
    choices = {"stock": ["a", "b'c"], "code": "it's"}
    assert expand("IN ($stock) LIKE '%$code%'", WINDOW, choices) == "IN ('a','b''c') LIKE '%it''s%'"
    assert variables_in("$stock $__timeFrom() ${code:raw}") == {"stock", "code"}


@given(st.lists(st.text(alphabet="ab'$(),", max_size=8), min_size=1))
def test_no_chosen_value_leaves_its_quotes(values):
    """Whatever a value holds, the SQL text has an even number of quotes: it can't end the literal it stands in."""
    values = [value.replace("$", "") for value in values]
    assert expand("IN ($v)", WINDOW, {"v": values}).count("'") % 2 == 0
