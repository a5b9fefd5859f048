"""Sums of flows per quarter, hour, six hours and day say what the steps say, in whatever pieces the steps were computed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from hub_files import test_hub

from sidestream_store.hub_apply import apply_hub
from sidestream_store.twin.sums import add_up, other_of_pair
from sidestream_store.twin.values import SUM_TABLES, SUM_WIDTHS, Computed, StepValue, Subject, save_values

STEP_S = 300
START = datetime(2026, 10, 24, 9, 5, tzinfo=UTC)
FIRST = int(START.timestamp()) // STEP_S
STEPS = 600
"""Fifty hours, over the night in which the clocks go back; the holes of the two figures differ."""

_FROM_STEPS = """
SELECT v.subject, v.quantity, date_bin(%(width)s::interval, v.time, timestamptz 'epoch') AS bucket, sum(v.value * v.step_s),
    sum((v.sd_random * v.step_s) ^ 2), sum(v.sd_systematic * v.step_s), sum(v.completeness * v.step_s),
    max(CASE v.origin WHEN 'measured' THEN 1 ELSE 4 END), sum(v.step_s),
    COALESCE(sum(v.value * v.step_s) FILTER (WHERE w.value IS NOT NULL), 0)
FROM sidestream.twin_value v
LEFT JOIN sidestream.twin_value w ON w.subject_kind = v.subject_kind AND w.subject = v.subject AND w.time = v.time
    AND w.quantity IN ('register_' || v.quantity, substring(v.quantity FROM '^register_(.*)'))
WHERE v.value IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def figures(stream: str, quantity: str, first: int, stop: int) -> Computed:
    """Steps with a figure, an estimate, or none, the same for the same step whatever range is asked for."""
    salt = len(quantity)
    made = [
        StepValue(n, None, None, None, "estimated", 0.0, 0)
        if (n * salt) % 7 == 0 or n % 97 < salt
        else StepValue(n, 1000.0 + n % 50, 3.0, 5.0, "measured" if n % 11 else "estimated", 0.9, 3)
        for n in range(first, stop)
    ]
    return Computed(Subject("stream", stream, quantity), first, stop, made, {"sensors": []})


def compute(connection: psycopg.Connection, *parts: Computed) -> None:
    with connection.transaction():
        save_values(connection, parts, STEP_S, datetime.now(UTC))
        add_up(connection, parts, STEP_S)


def content(connection: psycopg.Connection, table: str) -> list[tuple]:
    return connection.execute(f"SELECT * FROM sidestream.{table} ORDER BY 1, 2, 3").fetchall()


def test_the_pair_of_a_figure_is_the_register_of_it_and_the_reverse():
    assert other_of_pair("heat_flow") == "register_heat_flow"
    assert other_of_pair("register_power") == "power"


@pytest.mark.server
def test_sums_are_those_of_the_steps_and_the_same_bits_in_whatever_pieces_they_were_computed(
    database, connect, tmp_path
):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    subjects = [("a", "heat_flow"), ("a", "register_heat_flow"), ("b", "heat_flow"), ("b", "mass_flow")]
    compute(connection, *(figures(*subject, FIRST, FIRST + STEPS) for subject in subjects))
    expected = {table: content(connection, table) for table in SUM_TABLES}
    for table, width in zip(SUM_TABLES, SUM_WIDTHS, strict=True):
        steps = connection.execute(_FROM_STEPS, {"width": width}).fetchall()
        assert [row[:3] for row in steps] == [row[:3] for row in expected[table]]
        for row, right in zip(expected[table], steps, strict=True):
            assert row[3:] == pytest.approx(right[3:], rel=1e-12)
    assert any(0 < row[-1] < row[3] for row in expected["twin_sum_1d"])
    assert all(row[-1] == 0 for row in expected["twin_sum_1d"] if row[0] == "b")

    connection.execute("TRUNCATE sidestream.twin_value, " + ", ".join(f"sidestream.{table}" for table in SUM_TABLES))
    cuts = [FIRST, *sorted(random.Random(1).sample(range(FIRST + 1, FIRST + STEPS), 9)), FIRST + STEPS]
    pieces = [figures(*subject, *ends) for subject in subjects for ends in pairwise(cuts)]
    random.Random(2).shuffle(pieces)
    for piece in (*pieces, *pieces[:5]):
        compute(connection, piece)
    assert {table: content(connection, table) for table in SUM_TABLES} == expected


@pytest.mark.server
def test_a_register_that_goes_takes_its_part_out_of_the_pair(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    heat = figures("a", "heat_flow", FIRST, FIRST + 50)
    compute(connection, heat, figures("a", "register_heat_flow", FIRST, FIRST + 50))
    paired = "SELECT sum(paired_total) > 0 FROM sidestream_v.twin_sum_1d WHERE quantity = 'heat_flow'"
    assert connection.execute(paired).fetchone() == (True,)
    compute(connection, Computed(Subject("stream", "a", "register_heat_flow"), FIRST, FIRST + 50, [], {}))
    assert connection.execute(paired).fetchone() == (False,)
    bounds = connection.execute("SELECT min(bucket), max(bucket) FROM sidestream_v.twin_sum_1d").fetchone()
    assert bounds == (START.replace(hour=0, minute=0),) * 2
    assert START - bounds[0] < timedelta(days=1)
