"""What registers did and which sensors stand still, in words: what was seen, what was taken for granted, what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidestream_store.findings.conditions import Stuck, TwoHeats
from sidestream_store.findings.occurrences import Raised
from sidestream_store.read.meters import RegisterEvent
from sidestream_twin.core.heat.register import check_register, is_beyond_both
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.explain.address import Address
from sidestream_twin.finding_words import Meaning, Place, raised, shown_at

_EXCHANGED = (
    "If the meter was exchanged, write it into hub.yaml at the sensor, with what both meters showed: "
    "counter: {{swaps: [{{at: {at_iso}, last: {last}, first: {first}}}]}}. If the reading was wrong, `sidestream correct void`"
)
_EVENTS = {
    "rollover": Meaning(
        "register_rollover", "note", "The register of {name} began again from zero: it went from {before} to {after}, which is "
        "taken as a rise of {rise}.",
        "Nothing, if counter.rollover_at in hub.yaml is right.",
    ),
    "reset": Meaning(
        "register_reset", "warning", "The register of {name} fell from {before} to {after}: it was reset, or the meter was "
        "exchanged. {unseen}",
        f"{_EXCHANGED}.",
    ),
    "jump": Meaning(
        "register_jump", "warning", "The register of {name} went from {before} to {after}, more than can have flowed. {unseen}",
        f"{_EXCHANGED}; if it is right, counter.max_per_h in hub.yaml is too low.",
    ),
    "swap": Meaning(
        "meter_swapped", "note", "The meter of {name} was exchanged at {at}: the old one ended at {before}, the new one began at "
        "{after}. {unseen}",
        "Nothing, if hub.yaml gives both figures; `last` and `first` at its swap say what is missing.",
    ),
}  # fmt: skip
_STUCK = Meaning(
    "sensor_stuck", "warning", "{name} has shown {value} without the smallest change at least since {at}; by chance it does so for less "
    "than {stuck}.",
    "Look whether the sensor or its wire is broken, or whether something holds the value; checks.stuck_s in hub.yaml says how "
    "long is too long.",
)  # fmt: skip


_HEATS = Meaning(
    "heat_meter_disagrees", "warning", "The heat meter of {name}: flow and temperatures make {computed} in {hours} hours, its own "
    "register {registered} ({share}), which is more than both may err. Likely: {cause}.",
    "Have the meter's setting checked: leg of the volume part, pulse value, unit, thermometers; `sidestream twin heat` shows both.",
)  # fmt: skip


def of_meters(events: Iterable[RegisterEvent]) -> Iterator[Raised]:
    """Events of registers, each on its own."""
    for event in events:
        words = {
            "name": event.name, "at": shown_at(event.at), "at_iso": f"{event.at:%Y-%m-%dT%H:%M:%SZ}",
            "before": _amount(event.before, event.unit), "after": _amount(event.after, event.unit),
            "rise": _amount(event.rise, event.unit), "unseen": _unseen(event),
            "last": _number(event.before), "first": _number(event.after),
        }  # fmt: skip
        place = Place(
            f"{event.sensor}@{event.at:%Y-%m-%dT%H:%M:%SZ}", ("sensor", event.sensor), Address(("sensor", event.sensor)),
            event.at,
        )  # fmt: skip
        yield raised(_EVENTS[event.kind], place, words)


def of_heats(heats: Iterable[TwoHeats]) -> Iterator[Raised]:
    """Heat meters whose own register and whose flow and temperatures tell two stories, with the likeliest cause."""
    for one in heats:
        computed = Uncertain(one.computed, one.computed_random, one.computed_systematic)
        registered = Uncertain(one.registered, one.registered_random, one.registered_systematic)
        if not registered.value > 0 or not is_beyond_both(computed, registered):
            continue
        found = check_register(computed, registered)
        factor = "" if found.factor is None else f" (times {found.factor:.6g})"
        words = {
            "name": one.name, "hours": str(one.hours), "computed": _energy(computed), "registered": _energy(registered),
            "share": f"{100 * (found.ratio - 1):+.1f} %", "cause": f"{found.cause}{factor}",
        }  # fmt: skip
        about = Address(("stream", one.stream, one.quantity))
        place = Place(f"{one.stream}/{one.quantity}", ("stream", one.stream), about, one.since_at)
        yield raised(_HEATS, place, words)


def _energy(heat: Uncertain) -> str:
    return f"{heat.value / 1e9:.4g} ± {2 * heat.sd / 1e9:.2g} GJ"


def of_stuck(sensors: Iterable[Stuck]) -> Iterator[Raised]:
    """Sensors that stand still although they must move."""
    for one in sensors:
        words = {
            "name": one.name, "value": _amount(one.value, one.unit), "at": shown_at(one.since_at),
            "stuck": f"{one.stuck_s:.0f} s",
        }  # fmt: skip
        place = Place(one.sensor, ("sensor", one.sensor), Address(("sensor", one.sensor)), one.since_at)
        yield raised(_STUCK, place, words)


def _unseen(event: RegisterEvent) -> str:
    if event.unseen_from is None or event.unseen_to is None:
        return "Nothing was missed."
    between = f"between {shown_at(event.unseen_from)} and {shown_at(event.unseen_to)}"
    return f"What flowed {between} is not known."


def _amount(value: float | None, unit: str) -> str:
    return "an unknown number" if value is None else f"{value:.10g} {unit}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.10g}"
