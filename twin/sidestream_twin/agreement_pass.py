"""Judges every agreement in its running period, and in any other period that new data, stops or the passing of time touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from sidestream_store.stops import standing_stops, unjudged_stops
from sidestream_store.twin import agreements as store_agreements
from sidestream_store.twin.agreements import StatusRow
from sidestream_store.twin.dirty import Changed, step_start
from sidestream_store.twin.hub import HubAgreement
from sidestream_store.twin.values import Computed
from sidestream_twin.agreement_delivery import deliveries
from sidestream_twin.agreement_status import Delivery, Question, judged
from sidestream_twin.context import Pass
from sidestream_twin.core.calendar_period import Period, PeriodKind, period_at
from sidestream_twin.lot_pass import LotPass
from sidestream_twin.steps import Span

_NOTHING_DUE = Delivery(None, 0.0, "measured")


def update_agreements(now: Pass, computed: Sequence[Computed], lots: LotPass, changed: Sequence[Changed]) -> int:
    """How many judgements were made; `agreement_status` agrees with the figures saved so far, as seen at the pass's moment."""
    touched = _touched(now, computed, lots, changed)
    asked = [
        (agreement, period)
        for agreement in now.plan.hub.agreements
        for period in sorted(touched[agreement.id], key=lambda p: p.from_at)
    ]
    rows = judgements(now, asked)
    store_agreements.save_statuses(now.connection, rows, now.now_at)
    return len(rows)


def judgements(now: Pass, asked: Sequence[tuple[HubAgreement, Period]]) -> list[StatusRow]:
    """How the agreements stand in these periods as seen at the pass's moment, in the order asked."""
    streams = {stream.id: stream for stream in now.plan.hub.streams}
    stops = tuple(standing_stops(now.connection))
    questions = [Question(agreement, period, streams[agreement.stream], stops) for agreement, period in asked]
    found = deliveries(now, questions)
    return [judged(question, found.get(question, _NOTHING_DUE), now) for question in questions]


def _touched(
    now: Pass, computed: Sequence[Computed], lots: LotPass, changed: Sequence[Changed]
) -> dict[str, set[Period]]:
    """By agreement: the running period, those that ended since they were judged, and those that anything new lies in."""
    flows: dict[str, list[Span]] = defaultdict(list)
    for part in computed:
        if part.subject.kind == "stream":
            flows[part.subject.id].append(Span(part.first, part.stop))
    numbers = {sensor.sensor_id: sensor.id for sensor in now.plan.hub.sensors}
    read: dict[str, list[Span]] = defaultdict(list)
    for change in changed:
        read[numbers.get(change.sensor_id, "")].append(Span(change.first, change.stop))
    ended: dict[str, list[datetime]] = defaultdict(list)
    for name, from_at in store_agreements.open_periods(now.connection, now.now_at):
        ended[name].append(from_at)
    stopped = _stopped_ranges(now)
    found = {}
    for agreement in now.plan.hub.agreements:
        spans = [*flows[agreement.stream], *(span for spec in agreement.specs for span in read[spec.sensor])]
        if lots.changed_from is not None:
            spans.append(Span(lots.changed_from, now.horizon))
        ranges = [(step_start(span.first, now.step_s), step_start(span.stop, now.step_s)) for span in spans]
        kind = PeriodKind(agreement.period)
        periods = {period_at(instant, kind, now.zone) for instant in (now.now_at, *ended[agreement.id])}
        periods.update(p for part in (*ranges, *stopped[agreement.id]) for p in _periods(part, now, kind))
        found[agreement.id] = periods
    return found


def _stopped_ranges(now: Pass) -> dict[str, list[tuple[datetime, datetime]]]:
    """By agreement: from the beginning of each stop that was made, ended or taken back since, until now."""
    ends = {stream.id: (stream.source, stream.target) for stream in now.plan.hub.streams}
    changed = unjudged_stops(now.connection)

    def stops(agreement: HubAgreement) -> list[tuple[datetime, datetime]]:
        at = (agreement.stream, *ends[agreement.stream])
        return [(s.from_at, now.now_at) for s in changed if s.stream == at[0] or (s.node and s.node in at[1:])]

    return {agreement.id: stops(agreement) for agreement in now.plan.hub.agreements}


def _periods(part: tuple[datetime, datetime], now: Pass, kind: PeriodKind) -> Iterable[Period]:
    at, stop = part[0], min(part[1], now.now_at)
    while at < stop:
        period = period_at(at, kind, now.zone)
        yield period
        at = period.to_at
