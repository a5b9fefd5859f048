"""Whether an exchange runs as agreed in the running calendar period.

The agreed quantity is spread evenly over the period; what was delivered is judged against its share so far, with the
meter's uncertainty. The judgement errs on the side of silence: "breached" only once the period is over and the figure
is outside the tolerance by more than two standard deviations; before that, "at risk". Too little data gives "unknown",
and an exchange that is not live is never shown as running, however good its numbers.

The answer is a code with numbers, not a sentence: the page that shows it has its own language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf, isfinite

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
class Assessment:
    """How an agreement stands, with every number that led to it, in the agreement's unit.

    ``agreed`` and the limits are for the part of the period in which the agreement is valid; ``expected`` is its even
    share until now; ``low`` and ``high`` bound ``expected`` by the tolerance, the one that doesn't bind left out.
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
        return Assessment(Status.NOT_RUNNING, ReasonCode.LIFECYCLE, {})
    bound = _bound(agreement, period, now_at)
    if bound is None:
        return Assessment(Status.NOT_RUNNING, ReasonCode.OUTSIDE_VALIDITY, {})
    numbers = _numbers(agreement, period, bound, now_at) | {"coverage": coverage}
    if delivered is None:
        return Assessment(Status.UNKNOWN, ReasonCode.NO_DATA, numbers)
    numbers |= {"delivered": delivered.value, "sd": delivered.sd}
    status, reason = _judged(numbers, caution, over=now_at >= bound.to_at)
    return Assessment(status, reason, numbers)


def _bound(agreement: Agreement, period: Period, now_at: datetime) -> Period | None:
    """Return the part of the period in which the agreement binds, None when it does not bind by now."""
    start = max(period.from_at, agreement.valid_from_at)
    end = min(period.to_at, agreement.valid_to_at or period.to_at)
    return Period(start, end) if start < end and start <= now_at else None


def _numbers(agreement: Agreement, period: Period, bound: Period, now_at: datetime) -> dict[str, float]:
    agreed = agreement.quantity * bound.length_s / period.length_s
    elapsed = min(Period(bound.from_at, now_at).length_s / bound.length_s, 1.0) if now_at > bound.from_at else 0.0
    expected = agreed * elapsed
    numbers = {"agreed": agreed, "elapsed": elapsed, "expected": expected}
    if agreement.sense is not Sense.AT_MOST:
        numbers["low"] = expected * (1 - agreement.tolerance)
    if agreement.sense is not Sense.AT_LEAST:
        numbers["high"] = expected * (1 + agreement.tolerance)
    return numbers


def _judged(numbers: Mapping[str, float], caution: Caution, *, over: bool) -> tuple[Status, ReasonCode]:
    if numbers["coverage"] < caution.min_coverage:
        return Status.UNKNOWN, ReasonCode.LOW_COVERAGE
    if numbers["elapsed"] < caution.min_elapsed:
        return Status.UNKNOWN, ReasonCode.TOO_EARLY
    delivered, doubt = numbers["delivered"], caution.certain_sd * numbers["sd"]
    low, high = numbers.get("low", -inf), numbers.get("high", inf)
    if low <= delivered <= high:
        return Status.ON_TRACK, ReasonCode.WITHIN_TOLERANCE
    below = delivered < low
    beyond = low - delivered if below else delivered - high
    if beyond <= doubt:
        return Status.AT_RISK, ReasonCode.BELOW_NOT_SURE if below else ReasonCode.ABOVE_NOT_SURE
    return Status.BREACHED if over else Status.AT_RISK, ReasonCode.BELOW if below else ReasonCode.ABOVE
