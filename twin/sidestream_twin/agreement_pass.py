"""Judges every agreement in its running period, and in any other period that new data or the passing of time touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sidestream_store.twin import agreements as store_agreements
from sidestream_store.twin.agreements import Asked, AskedLots, StatusRow
from sidestream_store.twin.dirty import step_start
from sidestream_store.twin.hub import HubAgreement, HubStream
from sidestream_store.twin.values import Computed
from sidestream_twin.agreement_status import Delivery, judged
from sidestream_twin.context import Pass
from sidestream_twin.core.calendar_period import Period, PeriodKind, period_at
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.lifecycle import midnight
from sidestream_twin.lot_pass import LotPass
from sidestream_twin.plan import Plan
from sidestream_twin.steps import Span

_ENERGY = ("heat_flow", "register_heat_flow", "power", "register_power")

_DAY = timedelta(days=1)
_NOTHING_DUE = Delivery(None, 0.0, "measured")

Question = tuple[HubAgreement, Period]


def update_agreements(now: Pass, computed: Sequence[Computed], lots: LotPass) -> int:
    """How many judgements were made; `agreement_status` agrees with the figures saved so far, as seen at the pass's moment."""
    questions = sorted(_questions(now, computed, lots), key=lambda q: (q[0].id, q[1].from_at))
    rows = judgements(now, questions)
    store_agreements.save_statuses(now.connection, rows, now.now_at)
    return len(rows)


def judgements(now: Pass, questions: Sequence[Question]) -> list[StatusRow]:
    """How the agreements stand in these periods as seen at the pass's moment, in the order asked."""
    streams = {stream.id: stream for stream in now.plan.hub.streams}
    found = _delivered(now, questions, streams)
    return [
        judged(agreement, period, streams[agreement.stream], found.get((agreement, period), _NOTHING_DUE), now)
        for agreement, period in questions
    ]


def _questions(now: Pass, computed: Sequence[Computed], lots: LotPass) -> set[Question]:
    now_at, zone = now.now_at, now.zone
    touched: dict[str, list[Span]] = defaultdict(list)
    for part in computed:
        if part.subject.kind == "stream":
            touched[part.subject.id].append(Span(part.first, part.stop))
    ended: dict[str, list[datetime]] = defaultdict(list)
    for name, from_at in store_agreements.open_periods(now.connection, now_at):
        ended[name].append(from_at)
    questions: set[Question] = set()
    for agreement in now.plan.hub.agreements:
        kind = PeriodKind(agreement.period)
        spans = list(touched[agreement.stream])
        if lots.changed_from is not None:
            spans.append(Span(lots.changed_from, now.horizon))
        instants = [now_at, *ended[agreement.id]]
        periods = {period_at(instant, kind, zone) for instant in instants}
        periods.update(p for span in spans for p in _periods(span, now, kind))
        questions.update((agreement, period) for period in periods)
    return questions


def _periods(span: Span, now: Pass, kind: PeriodKind) -> Iterable[Period]:
    at, stop = step_start(span.first, now.step_s), min(step_start(span.stop, now.step_s), now.now_at)
    while at < stop:
        period = period_at(at, kind, now.zone)
        yield period
        at = period.to_at


def _delivered(now: Pass, questions: Sequence[Question], streams: Mapping[str, HubStream]) -> dict[Question, Delivery]:
    """What was delivered while the agreement was valid; a period in which it never is has no answer."""
    valid = {question: part for question in questions if (part := _valid_part(*question, now.zone))}
    by_lots = [q for q in valid if _moves_as_lots(now.plan, q[0], streams)]
    by_flow = [q for q in valid if q not in by_lots]
    answers = [
        *_lots_delivered(now, [(q[0], valid[q]) for q in by_lots], streams),
        *_flow_delivered(now, [(q[0], valid[q]) for q in by_flow]),
    ]
    return dict(zip([*by_lots, *by_flow], answers, strict=True))


def _valid_part(agreement: HubAgreement, period: Period, zone: ZoneInfo) -> Period | None:
    """The part of a period in which the agreement is valid, None when it has none; `valid_to` is its last day."""
    from_at, to_at = max(period.from_at, midnight(agreement.valid_from, zone)), period.to_at
    if agreement.valid_to is not None:
        to_at = min(to_at, midnight(agreement.valid_to + _DAY, zone))
    return Period(from_at, to_at) if from_at < to_at else None


def _moves_as_lots(plan: Plan, agreement: HubAgreement, streams: Mapping[str, HubStream]) -> bool:
    """A mass that no belt weighs and that is of a material which travels as lots is counted by scans."""
    metered = any(f.stream.id == agreement.stream and f.quantity == "mass_flow" for f in plan.figures)
    lots = {kind.material for kind in plan.hub.lot_types}
    return agreement.quantity == "mass" and not metered and streams[agreement.stream].material in lots


def told_by(plan: Plan, agreement: HubAgreement) -> str | None:
    """The quantity of its stream that tells what an agreement's delivered amount is; None: lots are counted."""
    streams = {stream.id: stream for stream in plan.hub.streams}
    return None if _moves_as_lots(plan, agreement, streams) else _flow_of(plan, agreement)


def _flow_of(plan: Plan, agreement: HubAgreement) -> str:
    told = {(figure.stream.id, figure.quantity) for figure in plan.figures}
    choices = _ENERGY if agreement.quantity == "energy" else ("mass_flow",)
    return next((q for q in choices if (agreement.stream, q) in told), choices[0])


def _flow_delivered(now: Pass, questions: Sequence[Question]) -> list[Delivery]:
    asked = [
        Asked(agreement.stream, _flow_of(now.plan, agreement), period.from_at, period.to_at)
        for agreement, period in questions
    ]
    found = []
    for sums in store_agreements.delivered(now.connection, asked) if asked else []:
        amount = None
        if sums.total is not None:
            amount = Uncertain(sums.total, sums.sd_random or 0.0, sums.sd_systematic or 0.0)
        found.append(Delivery(amount, sums.seen_s, sums.origin or "measured"))
    return found


def _lots_delivered(now: Pass, questions: Sequence[Question], streams: Mapping[str, HubStream]) -> list[Delivery]:
    """Lots are known of from the moment at which their target was first read at."""
    asked = []
    for agreement, period in questions:
        stream = streams[agreement.stream]
        asked.append(AskedLots(stream.target, stream.material, period.from_at, period.to_at))
    answers = []
    for (_, period), found in zip(
        questions, store_agreements.delivered_lots(now.connection, asked) if asked else [], strict=True
    ):
        until = min(now.now_at, period.to_at)
        since = max(found.watched_from or until, period.from_at)
        watched_s = max((until - since) / timedelta(seconds=1), 0.0)
        amount = Uncertain(found.mass_kg, found.sd_kg, 0.0) if found.watched_from else None
        answers.append(Delivery(amount, watched_s, "estimated"))
    return answers
