"""One agreement in one calendar period: what was delivered against what was agreed, with how much of it was seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from sidestream_store.stops import Stop
from sidestream_store.twin.agreements import StatusRow
from sidestream_store.twin.hub import HubAgreement, HubStream
from sidestream_twin.context import Pass
from sidestream_twin.core.agreement import Agreement, Course, Lifecycle, SpecFinding, assess
from sidestream_twin.core.calendar_period import Period
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.lifecycle import midnight, stage_at
from sidestream_twin.stops import length_s, running_parts, stops_of, until

FEWEST_PERIODS = 3
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered in a period, J or kg (None: not known), how many of its running seconds were seen, and by what.

    `shares`: which share of their amount past periods had delivered by this time. `specs`: limits of quality by sensor.
    """

    amount: Uncertain | None
    seen_s: float
    origin: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    shares: Sequence[float] = ()
    specs: Mapping[str, SpecFinding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """An agreement in a period, with the stops that are planned or were."""

    agreement: HubAgreement
    period: Period
    stream: HubStream
    stops: tuple[Stop, ...]

    def bound(self, now: Pass) -> Period | None:
        """The part of the period in which the agreement is valid, None when it has none; `valid_to` is its last day."""
        from_at, to_at = max(self.period.from_at, midnight(self.agreement.valid_from, now.zone)), self.period.to_at
        if self.agreement.valid_to is not None:
            to_at = min(to_at, midnight(self.agreement.valid_to + _DAY, now.zone))
        return Period(from_at, to_at) if from_at < to_at else None

    def running(self, now: Pass) -> list[Period]:
        """The parts in which it is valid, and the exchange live and not stopped."""
        bound = self.bound(now)
        return running_parts(self.stream, self.stops, bound, now.zone) if bound else []


def judged(question: Question, delivery: Delivery, now: Pass) -> StatusRow:
    """How the agreement stands in a period that has begun."""
    agreement, period, now_at, zone = question.agreement, question.period, now.now_at, now.zone
    valid_to = midnight(agreement.valid_to + _DAY, zone) if agreement.valid_to else None
    stage = stage_at(question.stream, min(now_at, period.to_at - _INSTANT), zone)
    agreed = Agreement(
        agreement.amount_si, agreement.tolerance, Lifecycle(stage), midnight(agreement.valid_from, zone), valid_to
    )
    course = _course(question, delivery, now)
    coverage = min(delivery.seen_s / course.so_far_s, 1.0) if course.so_far_s > 0 else 0.0
    specs = tuple(delivery.specs.values())
    found = assess(agreed, period, now_at, delivered=delivery.amount, coverage=coverage, course=course, specs=specs)
    return StatusRow(
        agreement=agreement.id,
        period_from=period.from_at,
        period_to=period.to_at,
        agreed=found.numbers.get("agreed", agreement.amount_si),
        expected_so_far=found.numbers.get("expected", 0.0),
        delivered=delivery.amount.value if delivery.amount else None,
        sd_random=delivery.amount.sd_random if delivery.amount else None,
        sd_systematic=delivery.amount.sd_systematic if delivery.amount else None,
        origin=delivery.origin,
        completeness=coverage,
        status=str(found.status),
        reason=str(found.reason),
        reason_numbers={**found.numbers, **_evidence(question, delivery, course, now)},
    )


def _course(question: Question, delivery: Delivery, now: Pass) -> Course:
    running = question.running(now)
    so_far = until(running, now.now_at)
    stopped = any(
        stop.from_at <= now.now_at and (stop.to_at is None or now.now_at < stop.to_at)
        for stop in stops_of(question.stream, question.stops)
    )
    load = question.agreement.load_si or 0.0
    due_s, so_far_s = length_s(running), length_s(so_far)
    if len(delivery.shares) < FEWEST_PERIODS:
        return Course(due_s, so_far_s, stopped, load=load)
    wider = sqrt(1.0 + 1.0 / len(delivery.shares))
    return Course(due_s, so_far_s, stopped, fmean(delivery.shares), stdev(delivery.shares) * wider, load)


def _evidence(question: Question, delivery: Delivery, course: Course, now: Pass) -> dict[str, Any]:
    bound = question.bound(now)
    stops = [s.stop_id for s in stops_of(question.stream, question.stops) if bound and _touches(s, bound)]
    facts: dict[str, Any] = {**delivery.inputs, "stops": stops}
    if delivery.shares:
        facts["past_periods"] = {"count": len(delivery.shares), "share": course.share, "share_sd": course.share_sd}
    facts["specs"] = {
        sensor: {"outside": s.outside, "surely": s.surely, "allowed": s.allowed, "known": s.known}
        for sensor, s in delivery.specs.items()
    }
    stopped_s = bound.length_s - course.due_s if bound else 0.0
    return {"stopped_s": stopped_s, "evidence": {key: value for key, value in facts.items() if value}}


def _touches(stop: Stop, bound: Period) -> bool:
    return stop.from_at < bound.to_at and (stop.to_at is None or stop.to_at > bound.from_at)
