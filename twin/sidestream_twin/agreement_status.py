"""One agreement in one calendar period: what was delivered against what was agreed, with how much of it was seen. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sidestream_store.twin.agreements import StatusRow
from sidestream_store.twin.hub import HubAgreement, HubStream
from sidestream_twin.context import Pass
from sidestream_twin.core.agreement import Agreement, Lifecycle, assess
from sidestream_twin.core.calendar_period import Period
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.lifecycle import midnight, stage_at

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was delivered in a period, J or kg (None: not known), and how many of its seconds were seen."""

    amount: Uncertain | None
    seen_s: float
    origin: str


def judged(agreement: HubAgreement, period: Period, stream: HubStream, delivery: Delivery, now: Pass) -> StatusRow:
    """How the agreement stands in a period that has begun; `valid_to` is its last day."""
    now_at, zone = now.now_at, now.zone
    valid_from = midnight(agreement.valid_from, zone)
    valid_to = midnight(agreement.valid_to + _DAY, zone) if agreement.valid_to else None
    stage = stage_at(stream, min(now_at, period.to_at - _INSTANT), zone)
    agreed = Agreement(agreement.amount_si, agreement.tolerance, Lifecycle(stage), valid_from, valid_to)
    begins = max(period.from_at, valid_from)
    ends = min(period.to_at, now_at, valid_to or period.to_at)
    so_far_s = (ends - begins) / timedelta(seconds=1)
    coverage = min(delivery.seen_s / so_far_s, 1.0) if so_far_s > 0 else 0.0
    found = assess(agreed, period, now_at, delivered=delivery.amount, coverage=coverage)
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
        reason_numbers=found.numbers,
    )
