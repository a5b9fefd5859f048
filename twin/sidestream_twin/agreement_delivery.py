"""What was delivered in the periods asked, by meters or by lots; how past periods went; whether quality was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import fsum, hypot

from sidestream_store.twin import agreements as store_agreements
from sidestream_store.twin.agreements import Asked, AskedLots, AskedSpec, Delivered
from sidestream_store.twin.hub import HubAgreement, HubSensor, HubSpec
from sidestream_store.twin.values import TRUST
from sidestream_twin.agreement_status import FEWEST_PERIODS, Delivery, Question
from sidestream_twin.context import Pass
from sidestream_twin.core.agreement import SpecFinding
from sidestream_twin.core.calendar_period import Period
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.figures import Figure
from sidestream_twin.plan import Plan
from sidestream_twin.sensing import accuracy_of
from sidestream_twin.stops import length_s, until

_ENERGY = ("heat_flow", "register_heat_flow", "power", "register_power")
_PAST_PERIODS = 6
_SURE = 2.0
_MINUTE_S = 60.0


def deliveries(now: Pass, questions: Sequence[Question]) -> dict[Question, Delivery]:
    """What was delivered while each agreement was valid; a period in which it never is has no answer."""
    due = [question for question in questions if question.bound(now)]
    found = {
        question: _by_lots(now, question) if _moves_as_lots(now.plan, question.agreement) else _by_flow(now, question)
        for question in due
    }
    return {question: replace(delivery, specs=_specs(now, question)) for question, delivery in found.items()}


def told_by(plan: Plan, agreement: HubAgreement) -> str | None:
    """The quantity of its stream that tells what an agreement's delivered amount is; None: lots are counted."""
    figure = _figure(plan, agreement)
    if figure is not None:
        return figure.quantity
    return None if _moves_as_lots(plan, agreement) else _choices(agreement)[0]


def _moves_as_lots(plan: Plan, agreement: HubAgreement) -> bool:
    """A mass that no belt weighs and that is of a material which travels as lots is counted by scans."""
    material = next(stream.material for stream in plan.hub.streams if stream.id == agreement.stream)
    lots = {kind.material for kind in plan.hub.lot_types}
    return agreement.quantity == "mass" and _figure(plan, agreement) is None and material in lots


def _choices(agreement: HubAgreement) -> tuple[str, ...]:
    return _ENERGY if agreement.quantity == "energy" else ("mass_flow",)


def _figure(plan: Plan, agreement: HubAgreement) -> Figure | None:
    told = {figure.quantity: figure for figure in plan.figures if figure.stream.id == agreement.stream}
    return next((told[quantity] for quantity in _choices(agreement) if quantity in told), None)


def _by_flow(now: Pass, question: Question) -> Delivery:
    """All that flowed while the agreement was valid counts; only the time in which it should flow must have been seen."""
    figure, bound = _figure(now.plan, question.agreement), question.bound(now)
    if figure is None or bound is None:
        return Delivery(None, 0.0, "measured")
    running = until(question.running(now), now.now_at)
    parts = [*running, *_between(running, bound)]
    asked = [Asked(question.stream.id, figure.quantity, part.from_at, part.to_at) for part in parts]
    sums = store_agreements.delivered(now.connection, asked)
    inputs = {"subject": f"stream/{question.stream.id}/{figure.quantity}", "sensors": [s.id for s in figure.sensors]}
    shares = _past_shares(now, question, figure)
    seen_s = fsum(part.seen_s for part in sums[: len(running)])
    return Delivery(_together(sums), seen_s, _weakest(sums), inputs, shares)


def _between(parts: Sequence[Period], whole: Period) -> list[Period]:
    """What of a period lies before, between and after the given parts of it, which are in order of time."""
    bounds = [whole.from_at, *(at for part in parts for at in (part.from_at, part.to_at)), whole.to_at]
    return [Period(a, b) for a, b in zip(bounds[::2], bounds[1::2], strict=True) if a < b]


def _together(sums: Sequence[Delivered]) -> Uncertain | None:
    known = [part for part in sums if part.total is not None]
    if not known:
        return None
    return Uncertain(
        fsum(part.total or 0.0 for part in known),
        hypot(*(part.sd_random or 0.0 for part in known)),
        fsum(part.sd_systematic or 0.0 for part in known),
    )


def _weakest(sums: Sequence[Delivered]) -> str:
    origins = [part.origin for part in sums if part.origin is not None]
    return max(origins, key=TRUST.index, default="measured")


def _by_lots(now: Pass, question: Question) -> Delivery:
    """Lots are known of from the moment at which their target was first read at."""
    bound = question.bound(now)
    if bound is None:
        return Delivery(None, 0.0, "estimated")
    (found,) = store_agreements.delivered_lots(now.connection, [_lots(question, bound.from_at, bound.to_at)])
    watched = found.watched_from
    running = until(question.running(now), now.now_at)
    seen = [Period(max(p.from_at, watched), p.to_at) for p in running if p.to_at > watched] if watched else []
    amount = Uncertain(found.mass_kg, found.sd_kg, 0.0) if watched else None
    inputs = {"subject": f"node/{question.stream.target}/lots", "lots": found.lots}
    return Delivery(amount, length_s(seen), "estimated", inputs, _past_shares(now, question, None))


def _lots(question: Question, from_at: datetime, to_at: datetime) -> AskedLots:
    return AskedLots(question.stream.target, question.stream.material, from_at, to_at)


def _past_shares(now: Pass, question: Question, figure: Figure | None) -> tuple[float, ...]:
    """Which share of its amount each of the last periods had delivered when as much of it was over as of this one now.

    Asked for the running period only, and only where nothing of it stands still.
    """
    period, bound = question.period, question.bound(now)
    if now.now_at >= period.to_at or bound != period or question.running(now) != [period]:
        return ()
    past = store_agreements.past_periods(now.connection, question.agreement.id, period.from_at, _PAST_PERIODS)
    if len(past) < FEWEST_PERIODS:
        return ()
    over = (now.now_at - period.from_at) / (period.to_at - period.from_at)
    cuts = [(p.from_at, p.from_at + over * (p.to_at - p.from_at)) for p in past]
    if figure is None:
        lots = store_agreements.delivered_lots(now.connection, [_lots(question, *cut) for cut in cuts])
        amounts = [found.mass_kg for found in lots]
    else:
        asked = [Asked(question.stream.id, figure.quantity, *cut) for cut in cuts]
        roughly = period.to_at - period.from_at > timedelta(days=2)
        amounts = [s.total or 0.0 for s in store_agreements.delivered(now.connection, asked, roughly=roughly)]
    return tuple(amount / p.delivered for amount, p in zip(amounts, past, strict=True))


def _specs(now: Pass, question: Question) -> dict[str, SpecFinding]:
    parts = until(question.running(now), now.now_at)
    sensors = {sensor.id: sensor for sensor in now.plan.hub.sensors}
    found = {}
    for spec in question.agreement.specs:
        sensor = sensors.get(spec.sensor)
        if sensor is not None and parts:
            found[spec.sensor] = _spec(now, spec, sensor, parts)
    return found


def _spec(now: Pass, spec: HubSpec, sensor: HubSensor, parts: Sequence[Period]) -> SpecFinding:
    accuracy, _ = accuracy_of(sensor)
    limits = [limit for limit in (spec.low, spec.high) if limit is not None]
    doubt = _SURE * max(
        hypot(*(float(sd[0]) for sd in (accuracy.sd_systematic(x), accuracy.sd_random(x)))) for x in limits
    )
    asked = [AskedSpec(sensor.sensor_id, spec.low, spec.high, doubt, p.from_at, p.to_at) for p in parts]
    minutes = store_agreements.minutes_outside(now.connection, asked)
    known, outside, surely = (sum(getattr(m, name) for m in minutes) for name in ("known", "outside", "surely"))
    share = min(known * _MINUTE_S / length_s(parts), 1.0)
    return SpecFinding(outside / known if known else 0.0, surely / known if known else 0.0, 1.0 - spec.share, share)
