"""Delivered against agreed: calendar days of 23 and 25 hours, doubt in the reader's favour, planned never running."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_twin.core.agreement import (
    Agreement,
    Course,
    Lifecycle,
    ReasonCode,
    Sense,
    SpecFinding,
    Status,
    assess,
)
from sidestream_twin.core.calendar_period import Period, PeriodKind, period_at
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain

OSLO = ZoneInfo("Europe/Oslo")
JUNE = period_at(datetime(2026, 6, 15, tzinfo=UTC), PeriodKind.MONTH, OSLO)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LIVE = Agreement(3000.0, 0.1, Lifecycle.LIVE, LONG_AGO)
instants = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001


def stand(agreement=LIVE, delivered=1500.0, sd=0.0, elapsed=0.5, coverage=1.0, period=JUNE):
    now_at = period.from_at + elapsed * (period.to_at - period.from_at)
    quantity = None if delivered is None else Uncertain(delivered, 0.0, sd)
    found = assess(agreement, period, now_at, delivered=quantity, coverage=coverage)
    return found.status, found.reason


@given(
    instants, st.sampled_from(PeriodKind), st.sampled_from(["Europe/Oslo", "America/New_York", "Asia/Kathmandu", "UTC"])
)
def test_an_instant_lies_in_its_period_and_the_next_one_follows_at_once(instant, kind, zone):
    period = period_at(instant, kind, ZoneInfo(zone))
    assert period.from_at <= instant < period.to_at
    assert period_at(period.from_at, kind, ZoneInfo(zone)) == period
    assert period_at(period.to_at, kind, ZoneInfo(zone)).from_at == period.to_at


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
def test_a_day_has_the_hours_it_has_where_clocks_change(day, hours):
    assert period_at(datetime(*day, 12, tzinfo=OSLO), PeriodKind.DAY, OSLO).length_s == hours * 3600


def test_weeks_begin_on_monday_and_months_and_years_on_their_first():
    at = datetime(2024, 2, 29, 23, 30, tzinfo=UTC)
    local = [period_at(at, kind, OSLO).from_at.astimezone(OSLO).date().isoformat() for kind in PeriodKind]
    assert local == ["2024-03-01", "2024-02-26", "2024-03-01", "2024-01-01"]


@pytest.mark.parametrize("lifecycle", [stage for stage in Lifecycle if stage is not Lifecycle.LIVE])
def test_what_is_not_live_never_looks_like_running(lifecycle):
    agreement = Agreement(3000.0, 0.1, lifecycle, LONG_AGO)
    status = Status.PAUSED if lifecycle is Lifecycle.PAUSED else Status.NOT_RUNNING
    assert stand(agreement) == (status, ReasonCode.LIFECYCLE)


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0, 0.999), st.floats(0, 1))
def test_nothing_is_breached_before_the_period_is_over(delivered, sd, elapsed, coverage):
    assert stand(delivered=delivered, sd=sd, elapsed=elapsed, coverage=coverage)[0] is not Status.BREACHED


@given(st.floats(0, 1e4), st.floats(0, 1e3))
def test_a_breach_is_more_than_two_deviations_outside_the_tolerance(delivered, sd):
    status, _ = stand(delivered=delivered, sd=sd, elapsed=1.0)
    outside = max(2700.0 - delivered, delivered - 3300.0)
    if outside <= 0:
        assert status is Status.ON_TRACK
    else:
        assert status is (Status.BREACHED if outside > 2 * sd else Status.AT_RISK)


@given(st.floats(0, 1e5), st.floats(0, 1e3), st.floats(0.01, 1), st.floats(1e-3, 1e6))
def test_the_unit_of_the_agreement_does_not_matter(delivered, sd, elapsed, factor):
    scaled = Agreement(3000.0 * factor, 0.1, Lifecycle.LIVE, LONG_AGO)
    plain = stand(delivered=delivered, sd=sd, elapsed=elapsed)
    close = min(abs(delivered - 3000 * elapsed * edge) - 2 * sd for edge in (0.9, 1.1))
    if abs(close) > 1e-6 and all(abs(delivered - 3000 * elapsed * edge) > 1e-6 for edge in (0.9, 1.1)):
        near_gate = any(abs(abs(delivered - 3000 * elapsed * edge) - 2 * sd) < 1e-6 for edge in (0.9, 1.1))
        assert near_gate or stand(scaled, delivered * factor, sd * factor, elapsed) == plain


@pytest.mark.parametrize(
    ("sense", "delivered", "expected"),
    [
        (Sense.WITHIN, 1500, Status.ON_TRACK),
        (Sense.WITHIN, 1300, Status.AT_RISK),
        (Sense.WITHIN, 1700, Status.AT_RISK),
        (Sense.AT_LEAST, 1700, Status.ON_TRACK),
        (Sense.AT_LEAST, 1300, Status.AT_RISK),
        (Sense.AT_MOST, 1300, Status.ON_TRACK),
        (Sense.AT_MOST, 1700, Status.AT_RISK),
    ],
)
def test_half_way_the_pace_is_judged_by_what_was_agreed(sense, delivered, expected):
    assert stand(Agreement(3000.0, 0.1, Lifecycle.LIVE, LONG_AGO, sense=sense), delivered)[0] is expected


def test_too_little_seen_or_too_early_is_unknown():
    assert stand(coverage=0.5) == (Status.UNKNOWN, ReasonCode.LOW_COVERAGE)
    assert stand(delivered=None) == (Status.UNKNOWN, ReasonCode.NO_DATA)
    assert stand(elapsed=0.001) == (Status.UNKNOWN, ReasonCode.TOO_EARLY)


def test_an_agreement_that_began_on_the_sixteenth_owes_half_of_june():
    middle = JUNE.from_at + timedelta(days=15)
    agreement = Agreement(3000.0, 0.1, Lifecycle.LIVE, middle)
    found = assess(agreement, JUNE, JUNE.to_at, delivered=Uncertain(1500.0), coverage=1.0)
    assert (found.status, found.numbers["agreed"]) == (Status.ON_TRACK, 1500.0)
    early = assess(agreement, JUNE, JUNE.from_at + timedelta(days=3), delivered=Uncertain(0.0), coverage=1.0)
    assert (early.status, early.reason) == (Status.NOT_RUNNING, ReasonCode.OUTSIDE_VALIDITY)


def test_every_number_behind_the_judgement_is_given():
    now_at = JUNE.from_at + timedelta(days=15)
    found = assess(LIVE, JUNE, now_at, delivered=Uncertain(1400.0, 3.0, 4.0), coverage=0.9)
    expected = {
        "agreed": 3000,
        "elapsed": 0.5,
        "expected": 1500,
        "low": 1350,
        "high": 1650,
        "coverage": 0.9,
        "delivered": 1400,
        "sd": 5,
        "leeway": 0.0,
        "probability": 1.0,
    }
    assert found.numbers == pytest.approx(expected)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ModelError, match="coverage"):
        stand(coverage=1.5)
    with pytest.raises(ModelError, match="begun"):
        stand(elapsed=-0.1)
    with pytest.raises(ModelError, match="tolerance"):
        Agreement(-1.0, 0.1, Lifecycle.LIVE, LONG_AGO)
    with pytest.raises(ModelError, match="zone"):
        Period(datetime(2026, 1, 1), datetime(2026, 1, 2))  # noqa: DTZ001


def course(elapsed=0.5, **options):
    return Course(JUNE.length_s, elapsed * JUNE.length_s, **options)


def judge(delivered, at, **options):
    now_at = JUNE.from_at + at * (JUNE.to_at - JUNE.from_at)
    return assess(LIVE, JUNE, now_at, delivered=Uncertain(delivered), coverage=1.0, **options)


def test_a_planned_stop_owes_nothing_and_breaches_nothing():
    """Half of June stands still: half of the amount is agreed, and half of what runs is expected by the middle of it."""
    half = Course(JUNE.length_s / 2, JUNE.length_s / 4)
    found = judge(750.0, 0.25, course=half)
    assert (found.status, found.numbers["agreed"], found.numbers["expected"]) == (Status.ON_TRACK, 1500.0, 750.0)
    during = judge(750.0, 0.5, course=Course(JUNE.length_s / 2, JUNE.length_s / 4, stopped_now=True))
    assert (during.status, during.reason) == (Status.PAUSED, ReasonCode.PLANNED_STOP)
    over = judge(1500.0, 1.0, course=Course(JUNE.length_s / 2, JUNE.length_s / 2, stopped_now=True))
    assert over.status is Status.ON_TRACK
    never = judge(0.0, 1.0, course=Course(0.0, 0.0))
    assert (never.status, never.reason) == (Status.PAUSED, ReasonCode.PLANNED_STOP)


@given(st.floats(0, 4000), st.floats(0, 1), st.floats(0.05, 1), st.floats(0, 1))
def test_more_planned_stops_never_make_a_shortfall_worse(delivered, at, due, more):
    """The limit below falls with each hour that is stopped, whatever was delivered."""
    lows = []
    for share in (due, due * more):
        found = judge(delivered, 1.0, course=Course(share * JUNE.length_s, share * JUNE.length_s))
        lows.append(found.numbers["low"])
    assert lows[1] <= lows[0] + 1e-9


def test_between_two_lorries_an_agreement_is_on_track_where_past_periods_went_so():
    even = judge(0.0, 0.4, course=course(0.4))
    assert even.status is Status.AT_RISK
    late = judge(0.0, 0.4, course=course(0.4, share=0.05, share_sd=0.1))
    assert (late.status, late.reason) == (Status.ON_TRACK, ReasonCode.WITHIN_PATTERN)
    lorry = judge(0.0, 0.4, course=course(0.4, load=1500.0))
    assert lorry.reason is ReasonCode.WITHIN_PATTERN
    assert judge(0.0, 1.0, course=course(1.0, share=0.05, share_sd=0.1, load=1500.0)).status is Status.BREACHED


@pytest.mark.parametrize(
    ("spec", "at", "expected"),
    [
        (SpecFinding(0.02, 0.01, 0.05, 1.0), 0.5, (Status.ON_TRACK, ReasonCode.WITHIN_TOLERANCE)),
        (SpecFinding(0.20, 0.10, 0.05, 1.0), 0.5, (Status.AT_RISK, ReasonCode.SPEC_NOT_MET)),
        (SpecFinding(0.20, 0.10, 0.05, 1.0), 1.0, (Status.BREACHED, ReasonCode.SPEC_NOT_MET)),
        (SpecFinding(0.20, 0.01, 0.05, 1.0), 1.0, (Status.AT_RISK, ReasonCode.SPEC_NOT_SURE)),
        (SpecFinding(0.20, 0.10, 0.05, 0.3), 1.0, (Status.UNKNOWN, ReasonCode.SPEC_NO_DATA)),
    ],
)
def test_quality_is_judged_beside_the_amount(spec, at, expected):
    found = judge(3000.0 * at, at, specs=[spec])
    assert (found.status, found.reason) == expected
    assert judge(0.0, 1.0, specs=[spec]).status is Status.BREACHED  # the worse of the two counts


@given(st.floats(0, 6000), st.floats(0.1, 1e3), st.floats(0.02, 1))
def test_the_probability_of_standing_as_agreed_is_one_half_at_a_limit_and_falls_beyond(delivered, sd, elapsed):
    now_at = JUNE.from_at + elapsed * (JUNE.to_at - JUNE.from_at)
    found = assess(LIVE, JUNE, now_at, delivered=Uncertain(delivered, sd), coverage=1.0)
    probability = found.numbers["probability"]
    assert 0.0 <= probability <= 1.0
    if found.status is Status.ON_TRACK and found.numbers["high"] - found.numbers["low"] > 6 * sd:
        assert probability >= 0.49
    if found.reason in {ReasonCode.BELOW, ReasonCode.ABOVE}:
        assert probability < 0.03


def test_no_probability_is_given_where_too_little_was_seen():
    found = assess(LIVE, JUNE, JUNE.to_at, delivered=Uncertain(10.0, 1.0), coverage=0.01)
    assert (found.status, "probability" in found.numbers) == (Status.UNKNOWN, False)


def test_a_course_that_ran_longer_than_it_is_due_is_refused():
    with pytest.raises(ModelError, match="course"):
        Course(10.0, 20.0)
