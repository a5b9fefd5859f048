"""Agreements in the hub's calendar periods: delivered against agreed, judged no surer than the data allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from twin_lab import NOON, Batch, Lab, at, heat_readings

from sidestream_twin.update import Limits, update, update_until_clean

pytestmark = pytest.mark.server

STATUS = (
    "SELECT status, reason, delivered, expected_so_far, completeness, period_from, period_to FROM sidestream.agreement_status"
    " WHERE agreement = %s ORDER BY period_from DESC LIMIT 1"
)


def every_minute(start: datetime, hours: float, megawatts: float) -> Batch:
    """A heat meter that is read every 4 s would be long; here its three sensors are read once a step."""
    first = (start - NOON).total_seconds()
    seconds = np.arange(first, first + hours * 3600 + 1, 5.0)
    return Batch(heat_readings(seconds.tolist(), flow=megawatts * 21.6))


def test_a_day_with_too_little_data_is_unknown_and_says_why(lab: Lab):
    lab.bring(Batch(heat_readings(range(61))))
    update_until_clean(lab.dsn, now_at=at(70))
    status, reason, delivered, *_ = lab.one(STATUS, "heat-deal")
    assert (status, reason) == ("unknown", "low_coverage")
    assert delivered == pytest.approx(451.8e3 * 60, rel=0.01)


def test_time_alone_moves_an_agreement_on(lab: Lab):
    update(lab.dsn, now_at=NOON)
    before = lab.one(STATUS, "heat-deal")
    update(lab.dsn, now_at=NOON + timedelta(hours=1))
    after = lab.one(STATUS, "heat-deal")
    assert after[3] - before[3] == pytest.approx(3.6e9)  # a megawatt for an hour
    assert after[:2] == ("unknown", "no_data")


@pytest.mark.slow
def test_the_day_on_which_clocks_go_back_has_25_hours(lab: Lab):
    start = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    lab.make_room(start, start + timedelta(days=2))
    lab.bring(every_minute(start, 25, 0.96))
    update_until_clean(lab.dsn, now_at=start + timedelta(hours=25, seconds=30), limits=Limits())
    rows = lab.connection.execute(
        "SELECT period_from, period_to, status, delivered, agreed, completeness FROM sidestream.agreement_status"
        " WHERE agreement = 'heat-deal' AND period_from = %s", [start],
    ).fetchall()  # fmt: skip
    assert len(rows) == 1
    _, period_to, status, delivered, agreed, completeness = rows[0]
    assert period_to == start + timedelta(hours=25)
    assert agreed == pytest.approx(24 * 3.6e9)
    assert status == "on_track"
    assert completeness == pytest.approx(1.0)
    total = lab.one(
        "SELECT sum(value * step_s) FROM sidestream.twin_value WHERE subject = 'heat' AND time >= %s AND time < %s",
        start,
        period_to,
    )
    assert delivered == pytest.approx(total[0])


def test_a_period_that_is_over_is_judged_once_more_and_then_left(lab: Lab):
    midnight = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    update(lab.dsn, now_at=midnight - timedelta(minutes=1))
    update(lab.dsn, now_at=midnight + timedelta(minutes=1))
    computed = "SELECT computed_at FROM sidestream.agreement_status WHERE agreement = 'heat-deal' AND period_to = %s"
    assert lab.one(computed, midnight) == (midnight + timedelta(minutes=1),)
    update(lab.dsn, now_at=midnight + timedelta(minutes=2))
    assert lab.one(computed, midnight) == (midnight + timedelta(minutes=1),)


def test_bags_count_when_they_are_first_read_at_the_receiver(lab: Lab):
    lab.bring(Batch(scans=(("scan_store", 0.0, "BAG-1"), ("scan_store", 1.0, "BAG-2"))))
    lab.bring(Batch(scans=(("scan_yard", 30.0, "BAG-1"), ("scan_yard", 40.0, "BAG-1"), ("scan_yard", 41.0, "ODD"))))
    update_until_clean(lab.dsn, now_at=at(100))
    status, reason, delivered, *_ = lab.one(STATUS, "bag-deal")
    assert (delivered, status, reason) == (1000.0, "unknown", "low_coverage")
