"""Agreements in the hub's calendar periods: delivered against agreed, judged no surer than the data allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hub_files import TEST_HUB, test_hub
from twin_lab import AGREEMENTS, EXACT, NOON, Batch, Lab, at, heat_readings, whole_hub

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


HOURLY = {"period_s": 3600}
A_MEGAWATT_HOUR_A_DAY = 10 * 1e6 / 24 / 451.8e3  # m3/h, as 10 m3/h bring 451.8 kW


@pytest.mark.parametrize(
    ("validity", "status", "reason", "delivered_mwh", "expected_mwh"),
    [
        ({"valid_from": "2026-11-16"}, "on_track", "within_tolerance", 4.5, 4.5),
        ({"valid_from": "2020-01-01", "valid_to": "2026-11-10"}, "on_track", "within_tolerance", 10, 10),
        ({"valid_from": "2026-11-16", "valid_to": "2026-11-18"}, "on_track", "within_tolerance", 3, 3),
        ({"valid_from": "2026-12-01"}, "not_running", "outside_validity", None, 0),
    ],
)
def test_only_what_is_delivered_while_the_agreement_is_valid_counts(
    laboratory, validity, status, reason, delivered_mwh, expected_mwh
):
    """30 MWh a month, exactly 1 MWh every day: on track from the first valid day to the last one."""
    deal = AGREEMENTS[0] | {"amount": 30, "period": "month"} | validity
    hub = test_hub(
        hub=TEST_HUB["hub"] | {"step_s": 3600},
        sensors=[s | HOURLY | EXACT for s in TEST_HUB["sensors"] if s.get("stream") == "heat"],
        agreements=[deal],
    )
    lab = laboratory(hub)
    first, now_at = datetime(2026, 10, 31, 23, 0, tzinfo=UTC), datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # noon in Oslo
    seconds = np.arange((first - NOON).total_seconds(), (now_at - NOON).total_seconds() + 1, 3600)
    lab.bring(Batch(heat_readings(seconds.tolist(), flow=A_MEGAWATT_HOUR_A_DAY)))
    update_until_clean(lab.dsn, now_at=now_at + timedelta(seconds=30))
    found_status, found_reason, delivered, expected, completeness, *_ = lab.one(STATUS, "heat-deal")
    assert (found_status, found_reason) == (status, reason)
    assert expected == pytest.approx(expected_mwh * 3.6e9, rel=0.001)
    if delivered_mwh is None:
        assert (delivered, completeness) == (None, 0.0)
    else:
        assert delivered == pytest.approx(delivered_mwh * 3.6e9, rel=0.001)
        assert completeness == pytest.approx(1.0, abs=0.001)


def test_bags_read_before_an_agreement_is_valid_do_not_count_for_it(laboratory):
    deal = AGREEMENTS[1] | {"period": "month", "valid_from": "2026-11-20"}
    lab = laboratory(whole_hub(agreements=[deal]))
    day = 86400.0
    lab.bring(
        Batch(scans=(("scan_yard", -5 * day, "BAG-1"), ("scan_yard", -day, "BAG-2"), ("scan_yard", 0.0, "BAG-3")))
    )
    update_until_clean(lab.dsn, now_at=at(100))
    _, _, delivered, _, completeness, *_ = lab.one(STATUS, "bag-deal")
    assert (delivered, completeness) == (1000.0, 1.0)


def test_bags_read_after_an_agreement_has_ended_do_not_count_for_it(laboratory):
    deal = AGREEMENTS[1] | {"period": "month", "valid_to": "2026-11-18"}
    lab = laboratory(whole_hub(agreements=[deal]))
    day = 86400.0
    lab.bring(
        Batch(scans=(("scan_yard", -5 * day, "BAG-1"), ("scan_yard", -day, "BAG-2"), ("scan_yard", 0.0, "BAG-3")))
    )
    update_until_clean(lab.dsn, now_at=at(100))
    _, _, delivered, _, completeness, *_ = lab.one(STATUS, "bag-deal")
    assert delivered == 1000.0
    watched_s, valid_s = (datetime(2026, 11, 18, 23, tzinfo=UTC) - at(-5 * day)).total_seconds(), 18 * day
    assert completeness == pytest.approx(watched_s / valid_s)
