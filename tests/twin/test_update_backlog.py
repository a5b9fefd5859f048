"""A backlog holds up nothing that happens now, and gets done all the same."""

from __future__ import annotations

import pytest
from twin_lab import Batch, Lab, at, heat_readings

from sidestream_store.twin import dirty
from sidestream_store.twin.values import Subject, newest_step
from sidestream_twin.update import Limits, update, update_until_clean

pytestmark = pytest.mark.server

DAY_S = 86400.0


def wait_since_yesterday(lab: Lab, rows: int) -> None:
    """So many changes of yesterday, a minute apart, none of them worked on yet."""
    lab.connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
        " SELECT %s, t, t FROM generate_series(1, %s) AS n, LATERAL (SELECT %s + n * interval '1 minute') AS x (t)",
        [lab.sensors["flow"], rows, at(-DAY_S)],
    )


def test_live_figures_appear_in_the_first_pass_however_much_is_waiting(lab: Lab):
    wait_since_yesterday(lab, 1000)
    lab.bring(Batch(heat_readings(range(31))))
    report = update(lab.dsn, now_at=at(40), limits=Limits(rows=100))
    assert (report.claimed, report.more) == (100, True)
    assert lab.values("heat", "heat_flow")[20.0][1] == "measured"


def test_the_backlog_goes_on_while_new_changes_keep_coming(lab: Lab):
    wait_since_yesterday(lab, 300)
    oldest = "SELECT min(dirty_id) FROM sidestream.dirty"
    before = lab.one(oldest)[0]
    for n in range(5):
        lab.bring(*(Batch(heat_readings([10.0 * n + m])) for m in range(10)))
        update(lab.dsn, now_at=at(10.0 * n + 15), limits=Limits(rows=20))
        assert lab.one(oldest)[0] == before + 10 * (n + 1)
    update_until_clean(lab.dsn, now_at=at(400), limits=Limits(rows=20))
    assert dirty.waiting(lab.connection) == 0


@pytest.mark.parametrize(("waiting", "limit", "taken"), [(0, 10, 0), (7, 10, 7), (10, 10, 10), (30, 9, 9), (30, 1, 1)])
def test_a_claim_takes_what_there_is_up_to_its_limit_and_each_row_once(lab: Lab, waiting, limit, taken):
    wait_since_yesterday(lab, waiting)
    claim = dirty.claim(lab.connection, 10, limit)
    assert (claim.rows, len(claim.changed)) == (taken, taken)
    assert dirty.waiting(lab.connection) == waiting - taken


def test_the_newest_step_is_found_without_reading_the_history(lab: Lab):
    subjects = [Subject("stream", name, "heat_flow") for name in ("x", "y", "never")]
    with lab.connection.transaction():
        lab.connection.execute(
            "INSERT INTO sidestream.twin_value SELECT 'stream', s, 'heat_flow', %s + n * interval '10 s', 10, 1, 0, 0,"
            " 'measured', 1, 1, '{}', '[]', now() FROM unnest('{x,y}'::text[]) s, generate_series(1, 10000) n",
            [at(0)],
        )
        lab.connection.execute("ANALYZE sidestream.twin_value")
        read = (
            "SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE schemaname = 'sidestream' AND relname = 'twin_value'"
        )
        before = lab.one(read)[0]
        assert newest_step(lab.connection, subjects, 10) == at(100_000).timestamp() / 10
        assert lab.one(read)[0] - before <= len(subjects)
    assert newest_step(lab.connection, [subjects[2]], 10) is None
