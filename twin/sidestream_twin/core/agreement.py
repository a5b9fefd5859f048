"""Whether an exchange runs as agreed in the running calendar period.

The agreed quantity is spread over the time in which the exchange runs: evenly, or as past periods went. What was
delivered is judged against its share so far, with the meter's uncertainty. The judgement errs on the side of silence:
"breached" only once the period is over and the figure is outside the tolerance by more than two standard deviations;
before that, "at risk". Too little data gives "unknown"; nothing is expected while a planned stop lasts, and an exchange
that is not live is never shown as running, however good its numbers. Limits of quality are judged beside the amount, by
the share of time in which they were not kept; the worse of the two counts.

The answer is a code with numbers, not a sentence: the page that shows it has its own language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import erf, inf, isfinite, sqrt

from sidestream_twin.core.calendar_period import Period
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain


class Lifecycle(StrEnum):
    """Life of an exchange; only LIVE ones flow."""

    IDEA = "idea"
    AGREED = "agreed"
    BUILDING = "building"
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"


class Sense(StrEnum):
    """What the agreed quantity binds: both ways, as a minimum or as a maximum."""

    WITHIN = "within"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


class Status(StrEnum):
    """How an exchange stands."""

    ON_TRACK = "on_track"
    AT_RISK = "at_risk"
    BREACHED = "breached"
    PAUSED = "paused"
    NOT_RUNNING = "not_running"
    UNKNOWN = "unknown"


class ReasonCode(StrEnum):
    """Why; the numbers that belong to it stand beside it in the assessment."""

    LIFECYCLE = "lifecycle"
    OUTSIDE_VALIDITY = "outside_validity"
    NO_DATA = "no_data"
    LOW_COVERAGE = "low_coverage"
    TOO_EARLY = "too_early"
    WITHIN_TOLERANCE = "within_tolerance"
    BELOW = "below"
    ABOVE = "above"
    BELOW_NOT_SURE = "below_not_sure"
    ABOVE_NOT_SURE = "above_not_sure"
    WITHIN_PATTERN = "within_pattern"
    PLANNED_STOP = "planned_stop"
    SPEC_NOT_MET = "spec_not_met"
    SPEC_NOT_SURE = "spec_not_sure"
    SPEC_NO_DATA = "spec_no_data"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed per period: ``quantity`` ≥ 0 in kg, J or m³, ``tolerance`` as a share of it.

    ``valid_to_at`` None: until ended. Raises ModelError for a quantity or tolerance that can't be, or naive times.
    """

    quantity: float
    tolerance: float
    lifecycle: Lifecycle
    valid_from_at: datetime
    valid_to_at: datetime | None = None
    sense: Sense = Sense.WITHIN

    def __post_init__(self) -> None:
        if not (isfinite(self.quantity) and self.quantity >= 0 and isfinite(self.tolerance) and self.tolerance >= 0):
            msg = f"agreed {self.quantity} with tolerance {self.tolerance} can't be: both finite, not negative (0.1 = 10 %)"
            raise ModelError(msg)
        times = [time for time in (self.valid_from_at, self.valid_to_at) if time is not None]
        if any(time.tzinfo is None for time in times) or sorted(times) != times:
            msg = f"validity {times} must be times with a zone, from before to"
            raise ModelError(msg)


@dataclass(frozen=True, slots=True)
class Caution:
    """How much must be known before a judgement: coverage of the time so far, part of the period gone, deviations."""

    min_coverage: float = 0.8
    min_elapsed: float = 0.02
    certain_sd: float = 2.0


@dataclass(frozen=True, slots=True)
class Course:
    """How a period runs: seconds in which the agreement binds and nothing stands still, in all and so far.

    ``share`` of the amount that past periods had delivered by this time, with its standard deviation between them; None:
    evenly. ``load``: the amount of one delivery, 0 where it flows. Both give leeway only until the period is over.
    """

    due_s: float
    so_far_s: float
    stopped_now: bool = False
    share: float | None = None
    share_sd: float = 0.0
    load: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.so_far_s <= self.due_s * (1 + 1e-9) or self.share_sd < 0 or self.load < 0:
            msg = f"a course {self} can't be: what ran so far lies within what is due, and nothing is negative"
            raise ModelError(msg)


@dataclass(frozen=True, slots=True)
class SpecFinding:
    """A limit of quality: shares (0-1) of the known time outside of it, outside for sure, allowed, and of time known."""

    outside: float
    surely: float
    allowed: float
    known: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """How an agreement stands, with every number that led to it, in the agreement's unit.

    ``agreed`` and the limits are for the part of the period in which the agreement binds and runs; ``expected`` is what
    should be there by now; ``low`` and ``high`` bound it by tolerance and leeway, the one that doesn't bind left out.
    ``probability`` 0-1: that the true amount lies within them; left out where too little was seen to tell.
    """

    status: Status
    reason: ReasonCode
    numbers: Mapping[str, float]


def assess(
    agreement: Agreement,
    period: Period,
    now_at: datetime,
    *,
    delivered: Uncertain | None,
    coverage: float,
    course: Course | None = None,
    specs: Sequence[SpecFinding] = (),
    caution: Caution | None = None,
) -> Assessment:
    """Return how the agreement stands at ``now_at``; ``delivered`` since the period began, None when nothing is known.

    ``coverage`` 0-1 is the share of the time so far (within period and validity) that was measured. Give the period
    that ``now_at`` lies in, or a past one to close it. Raises ModelError when now is before the period.
    """
    caution = caution or Caution()
    if now_at < period.from_at or not 0 <= coverage <= 1:
        msg = f"can't judge {period} at {now_at} with coverage {coverage}: it must have begun, and coverage be 0 to 1"
        raise ModelError(msg)
    if agreement.lifecycle is not Lifecycle.LIVE:
        paused = agreement.lifecycle is Lifecycle.PAUSED
        return Assessment(Status.PAUSED if paused else Status.NOT_RUNNING, ReasonCode.LIFECYCLE, {})
    bound = _bound(agreement, period, now_at)
    if bound is None:
        return Assessment(Status.NOT_RUNNING, ReasonCode.OUTSIDE_VALIDITY, {})
    over = now_at >= bound.to_at
    course = course or Course(bound.length_s, _elapsed_s(bound, now_at))
    numbers = _numbers(agreement, period, course, over=over) | {"coverage": coverage}
    if delivered is not None:
        numbers |= {"delivered": delivered.value, "sd": delivered.sd}
        if coverage >= caution.min_coverage:  # else what was not seen decides, and of that nothing is known
            numbers |= {"probability": _within(numbers, delivered)}
    if not course.due_s > 0 or (course.stopped_now and not over):
        return Assessment(Status.PAUSED, ReasonCode.PLANNED_STOP, numbers)
    amount = (Status.UNKNOWN, ReasonCode.NO_DATA) if delivered is None else _judged(numbers, caution, over=over)
    judged = max([amount, *(_of_spec(spec, caution, over=over) for spec in specs)], key=lambda one: _WORSE[one[0]])
    return Assessment(*judged, numbers)


_WORSE = {Status.ON_TRACK: 0, Status.UNKNOWN: 1, Status.AT_RISK: 2, Status.BREACHED: 3}


def _bound(agreement: Agreement, period: Period, now_at: datetime) -> Period | None:
    """Return the part of the period in which the agreement binds, None when it does not bind by now."""
    start = max(period.from_at, agreement.valid_from_at)
    end = min(period.to_at, agreement.valid_to_at or period.to_at)
    return Period(start, end) if start < end and start <= now_at else None


def _elapsed_s(bound: Period, now_at: datetime) -> float:
    return min(Period(bound.from_at, now_at).length_s, bound.length_s) if now_at > bound.from_at else 0.0


def _numbers(agreement: Agreement, period: Period, course: Course, *, over: bool) -> dict[str, float]:
    agreed = agreement.quantity * course.due_s / period.length_s
    elapsed = course.so_far_s / course.due_s if course.due_s > 0 else 0.0
    expected = agreed * (elapsed if over or course.share is None else course.share)
    leeway = 0.0 if over else 2.0 * agreed * course.share_sd + course.load
    numbers = {"agreed": agreed, "elapsed": elapsed, "expected": expected, "leeway": leeway}
    if agreement.sense is not Sense.AT_MOST:
        numbers["low"] = expected * (1 - agreement.tolerance) - leeway
    if agreement.sense is not Sense.AT_LEAST:
        numbers["high"] = expected * (1 + agreement.tolerance) + leeway
    return numbers


def _within(numbers: Mapping[str, float], delivered: Uncertain) -> float:
    low, high = numbers.get("low", -inf), numbers.get("high", inf)
    if not delivered.sd > 0:
        return 1.0 if low <= delivered.value <= high else 0.0
    below, above = ((limit - delivered.value) / (delivered.sd * sqrt(2.0)) for limit in (low, high))
    return 0.5 * (erf(above) - erf(below))


def _judged(numbers: Mapping[str, float], caution: Caution, *, over: bool) -> tuple[Status, ReasonCode]:
    if numbers["coverage"] < caution.min_coverage:
        return Status.UNKNOWN, ReasonCode.LOW_COVERAGE
    if numbers["elapsed"] < caution.min_elapsed:
        return Status.UNKNOWN, ReasonCode.TOO_EARLY
    delivered, doubt = numbers["delivered"], caution.certain_sd * numbers["sd"]
    low, high, leeway = numbers.get("low", -inf), numbers.get("high", inf), numbers["leeway"]
    if low <= delivered <= high:
        even = low + leeway <= delivered <= high - leeway
        return Status.ON_TRACK, ReasonCode.WITHIN_TOLERANCE if even else ReasonCode.WITHIN_PATTERN
    below = delivered < low
    beyond = low - delivered if below else delivered - high
    if beyond <= doubt:
        return Status.AT_RISK, ReasonCode.BELOW_NOT_SURE if below else ReasonCode.ABOVE_NOT_SURE
    return Status.BREACHED if over else Status.AT_RISK, ReasonCode.BELOW if below else ReasonCode.ABOVE


def _of_spec(spec: SpecFinding, caution: Caution, *, over: bool) -> tuple[Status, ReasonCode]:
    if spec.known < caution.min_coverage:
        return Status.UNKNOWN, ReasonCode.SPEC_NO_DATA
    if spec.surely > spec.allowed:
        return Status.BREACHED if over else Status.AT_RISK, ReasonCode.SPEC_NOT_MET
    if spec.outside > spec.allowed:
        return Status.AT_RISK, ReasonCode.SPEC_NOT_SURE
    return Status.ON_TRACK, ReasonCode.WITHIN_TOLERANCE
