"""What is known of each part of a balance over one interval, before the parts are brought together. Pure.

Everything is a mean over the interval, kg/s or W. Time without a figure is taken to be like the rest, at a price: it
widens the random deviation by what the flow may have been meanwhile, and too little of it makes no measurement at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, sqrt

from sidestream_store.twin.balances import FlowSum, LotSum
from sidestream_store.twin.stocks import Seen
from sidestream_store.twin.values import Subject
from sidestream_twin.balance_rules import Balance, Part
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.uncertain import Term, Uncertain, difference
from sidestream_twin.figures import Figure

LEAST_COMPLETENESS = 0.5
"""Share of an interval that must have been seen for its figure to count as a measurement."""
_MEASURED = 0.95
_RESOLUTION_KG = 1e-3


@dataclass(frozen=True, slots=True)
class Heard:
    """All that was heard of a hub in one interval of `length_s`: sums of figures, lots that came, stocks at both ends."""

    length_s: int
    flows: Mapping[Subject, FlowSum]
    lots: Mapping[tuple[str, str], LotSum]
    at_start: Mapping[tuple[str, str], Seen]
    at_end: Mapping[tuple[str, str], Seen]


@dataclass(frozen=True, slots=True)
class Known:
    """A part's measurement, or in a word why there is none; `guess` is what a rule lets expect where no meter tells."""

    value: Uncertain | None = None
    completeness: float = 0.0
    origin: Origin | None = None
    missing: str | None = None
    guess: Uncertain | None = None

    @property
    def best(self) -> Uncertain | None:
        """The measurement, or else the guess."""
        return self.value or self.guess


def known_of(balance: Balance, taking_part: Mapping[str, Part], heard: Heard) -> dict[str, Known]:
    """What is known of each part that takes part."""
    found = {name: _direct(part, heard) for name, part in taking_part.items() if not part.slack}
    for name, part in taking_part.items():
        if part.slack:
            found[name] = _slack(part, found)
    for relation in balance.relations:
        if not relation.closes and relation.terms[0][0] in found:
            output, *inputs, slack = (name for name, _ in relation.terms)
            ratios = dict(relation.terms)
            terms = [(found[name].value, -ratios[name]) for name in inputs if name in found]
            spread = found[slack].value if slack in found else None
            if found[output].value is None and spread is not None and all(value for value, _ in terms):
                total = sum(value.value * ratio for value, ratio in terms if value)
                found[output] = Known(None, missing=found[output].missing, guess=Uncertain(total, 0.0, spread.sd))
    return found


def _direct(part: Part, heard: Heard) -> Known:
    if part.figure is not None:
        return _flow(part.figure, heard.flows.get(part.subject), heard.length_s)
    if part.lots is not None:
        return _lots(heard.lots.get(part.lots), heard.length_s)
    if part.observers:
        return _stock_change(part, heard)
    if part.hold_up_kg is not None:
        # Anything between empty and full at either end: two even distributions, far apart in time.
        return Known(Uncertain(0.0, part.hold_up_kg / sqrt(6.0) / heard.length_s), 1.0, Origin.ESTIMATED)
    if part.loss is not None and part.loss.heat_w is not None:
        heat_w = part.loss.heat_w
        return Known(Uncertain(heat_w, 0.0, heat_w * part.loss.sd_share), 1.0, Origin.ESTIMATED)
    return Known(missing="no_meter")


def _flow(figure: Figure, heard: FlowSum | None, length_s: int) -> Known:
    if heard is None:
        return Known(missing="no_readings")
    completeness = min(heard.seen_s / length_s, 1.0)
    if completeness < LEAST_COMPLETENESS:
        return Known(completeness=completeness, missing="too_few")
    mean = heard.total / heard.valued_s
    unseen = max(1.0 - heard.valued_s / length_s, 0.0)
    random = hypot(sqrt(heard.variance_random) / heard.valued_s, unseen * _unseen_sd(figure, mean))
    origin = Origin(heard.origin) if completeness >= _MEASURED else Origin.ESTIMATED
    return Known(Uncertain(mean, random, heard.sd_systematic / heard.valued_s), completeness, origin)


def _unseen_sd(figure: Figure, mean: float) -> float:
    """What a flow may have been while nobody looked: anywhere in its meter's range, or from nothing to twice its mean."""
    sensor = figure.sensors[0]
    if figure.kind == "rate" and sensor.range_low is not None and sensor.range_high is not None:
        return (sensor.range_high - sensor.range_low) * abs(sensor.si_factor) / sqrt(12.0)
    return abs(mean) / sqrt(3.0)


def _lots(heard: LotSum | None, length_s: int) -> Known:
    """No lot at all may as well be a scanner that is out of order, so it is no measurement of nothing."""
    if heard is None or not heard.lots:
        return Known(missing="no_readings")
    return Known(Uncertain(heard.mass_kg / length_s, sqrt(heard.variance_kg2) / length_s), 1.0, Origin.ESTIMATED)


def _stock_change(part: Part, heard: Heard) -> Known:
    """By the surest sensor that was read at both ends; what it got wrong at both cancels."""
    node = part.subject.id
    found: list[tuple[Uncertain, Origin]] = []
    for sensor in part.observers:
        before, after = heard.at_start.get((node, sensor.id)), heard.at_end.get((node, sensor.id))
        if before is None or after is None:
            continue
        change = difference(Term(_mass(after), sensor.id), Term(_mass(before), sensor.id))
        origin = Origin.MANUAL if sensor.manual else Origin.MEASURED
        found.append((change.scaled(1.0 / heard.length_s), origin))
    if not found:
        return Known(missing="no_readings")
    value, origin = min(found, key=lambda each: each[0].sd)
    return Known(value, 1.0, origin)


def _mass(seen: Seen) -> Uncertain:
    return Uncertain(seen.mass_kg, max(seen.sd_random, _RESOLUTION_KG), seen.sd_systematic)


def _slack(part: Part, found: Mapping[str, Known]) -> Known:
    """What rules leave open: their deviations at the flows that were measured."""
    flows = [(found[term.part].value, term) for term in part.slack if term.part in found]
    if not flows or any(value is None for value, _ in flows):
        return Known(missing="no_readings")
    spread = hypot(*(term.sd * value.value for value, term in flows if value))
    return Known(Uncertain(0.0, 0.0, spread), 1.0, Origin.ESTIMATED)
