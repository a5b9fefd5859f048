"""What each condition means for people: how serious it is, a sentence, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidestream_store.findings.conditions import (
    Away,
    BadSensor,
    Flagged,
    Foreseen,
    OffTrack,
    Suspect,
)
from sidestream_store.findings.occurrences import Raised
from sidestream_store.read.words import twin_unit
from sidestream_twin.explain.address import Address


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of one kind of finding; `sentence` is a template."""

    kind: str
    severity: str
    sentence: str
    remedy: str


_FLAGS = {
    "overflow": Meaning(
        "stock_overflow", "alarm", "{name} holds {value}, more than its maximum of {max}.",
        "Have it fetched or stop what fills it; if the store is not full, see which instrument is wrong.",
    ),
    "run_dry": Meaning(
        "stock_run_dry", "alarm", "{name} holds {value}, less than its minimum of {min}.",
        "Have it filled or stop what empties it; if the store is not empty, see which instrument is wrong.",
    ),
    "rejected": Meaning(
        "observation_rejected", "warning", "An observation of {name} lies too far from what flowed to be believed.",
        "Look at the store: was something moved without a meter, or is the sensor wrong?",
    ),
    "reanchored": Meaning(
        "stock_reanchored", "warning", "{name} was set to what its sensors show, because the flows no longer explain it.",
        "Something was moved without a meter, or a meter is wrong; write a note of what it was.",
    ),
    "relearned": Meaning(
        "bias_relearned", "warning", "An instrument of {name} shows something else than before, and its error was learned anew.",
        "Was it calibrated, moved or cleaned? Else have it checked.",
    ),
    "blind": Meaning(
        "stock_blind", "note", "{name} is followed blindly: a flow in or out was not seen.",
        "See which meter is silent; count the stock if it lasts.",
    ),
    "gap": Meaning(
        "figure_incomplete", "note", "{quantity} of {name} rests on {share} of its step.",
        "See whether the meter's readings come regularly, and its period in hub.yaml.",
    ),
    "out_of_range": Meaning(
        "figure_out_of_range", "warning", "Readings for {quantity} of {name} lie beyond the sensor's range and were left out.",
        "Have the sensor checked; if the range is wrong, mend it in hub.yaml.",
    ),
    "spike": Meaning(
        "figure_spiked", "note", "Single values for {quantity} of {name} stand far from their neighbours and were left out.",
        "If they come again, look at cable, shielding and power of the meter.",
    ),
    "fast_change": Meaning(
        "figure_fast_change", "note", "{quantity} of {name} changed faster than hub.yaml says it can.",
        "See whether something happened, or whether checks.max_change_per_s in hub.yaml is too low.",
    ),
    "accuracy_assumed": Meaning(
        "accuracy_assumed", "note", "hub.yaml states no accuracy for the meter of {quantity} of {name}; it is taken for 5 %.",
        "Write the class of the meter into hub.yaml.",
    ),
    "unweighed": Meaning(
        "lots_unweighed", "note", "Things of no known type lie at {name}, so their mass is not known.",
        "Give their type a prefix in hub.yaml, or take them out.",
    ),
}  # fmt: skip
_SENSORS = {
    "stale": Meaning(
        "sensor_stale", "warning", "{name} has sent nothing since {at}.",
        "Its device is there: look at its driver's error, the cable and the meter's power.",
    ),
    "bad": Meaning("sensor_bad", "warning", "{name} says of itself that its value is bad.", "Have the sensor checked."),
    "out_of_range": Meaning(
        "sensor_out_of_range", "warning", "{name} shows {value} {unit}, which is beyond its range.",
        "Have the sensor checked; if the range is wrong, mend it in hub.yaml.",
    ),
}  # fmt: skip
_AGREEMENTS = {
    "at_risk": Meaning(
        "agreement_at_risk", "warning", "{name}: {delivered} {unit} delivered, {expected} {unit} expected by now.",
        "Talk with the other party before the period ends; `sidestream twin explain {about}` shows what was counted.",
    ),
    "breached": Meaning(
        "agreement_breached", "alarm", "{name} was breached in the period from {day}: {delivered} of {expected} {unit} delivered.",
        "Settle it with the other party; `sidestream twin explain {about}` shows what was counted.",
    ),
}  # fmt: skip
_AWAY = Meaning(
    "device_offline", "alarm", "{name} is offline since {at}; nothing is heard of its {n} sensors. It keeps its readings.",
    "On the gateway: is the agent running? Power, network, broker login, in this order.",
)  # fmt: skip
_SUSPECT = Meaning(
    "meter_suspect", "warning", "The balance says that the meter for {quantity} of {name} is wrong: it shows {bias} too much.",
    "Have this meter checked first; `sidestream twin explain {about}` shows what speaks against it.",
)  # fmt: skip
_BIASED = Meaning(
    "instrument_biased", "warning", "{sensor} of {name} reads further off than its class allows, the others at the stock say.",
    "Have this instrument checked or calibrated.",
)  # fmt: skip
_FORESEEN = {
    "overflow": Meaning(
        "stock_will_overflow", "warning", "{name} is expected to be full at {at}; 90 % between {low} and {high}.",
        "Plan a transport, or slow down what fills it.",
    ),
    "run_dry": Meaning(
        "stock_will_run_dry", "warning", "{name} is expected to be empty at {at}; 90 % between {low} and {high}.",
        "Plan a delivery, or slow down what takes from it.",
    ),
}  # fmt: skip
_PROBLEM = Meaning(
    "not_computable", "warning", "{subject} can't be computed: {why}",
    "Correct what it says in hub.yaml, or void the readings that can't be.",
)  # fmt: skip
NOT_COMPUTABLE = _PROBLEM.kind


def of_flags(rows: Iterable[Flagged]) -> Iterator[Raised]:
    """What the flags of newest figures say; a flag that is no news (a register that rolled over) says nothing."""
    for row in rows:
        word, _, sensor = row.flag.partition(":")
        meaning = _BIASED if word == "biased" and sensor else _FLAGS.get(word)
        if meaning is None:
            continue
        about = Address((row.subject_kind, row.subject, row.quantity))
        words = {
            "name": row.name, "quantity": row.quantity, "sensor": sensor, "share": f"{100 * row.completeness:.0f} %",
            "value": _amount(row.value, row.sd, row.quantity), "min": f"{row.min_kg or 0:g} kg", "max": f"{row.max_kg or 0:g} kg",
        }  # fmt: skip
        stock = row.subject_kind == "node"
        name = f"{row.subject}/{sensor}" if sensor else row.subject if stock else f"{row.subject}/{row.quantity}"
        since = row.time + timedelta(seconds=row.step_s if stock else 0)
        yield raised(meaning, Place(name, (row.subject_kind, row.subject), about, since), words)


def of_agreements(rows: Iterable[OffTrack]) -> Iterator[Raised]:
    """Agreements off track, each period on its own."""
    for row in rows:
        meaning = _AGREEMENTS["breached" if row.over else "at_risk"]
        about = Address(("agreement", row.agreement), row.period_from)
        delivered = "an unknown amount" if row.delivered is None else f"{row.delivered:.4g}"
        words = {
            "name": row.name, "delivered": delivered, "expected": f"{row.expected:.4g}", "unit": row.unit, "day": row.day,
        }  # fmt: skip
        place = Place(f"{row.agreement}@{row.day}", ("agreement", row.agreement), about, row.period_from)
        yield raised(meaning, place, words)


def of_sensors(rows: Iterable[BadSensor]) -> Iterator[Raised]:
    """Sensors not to be trusted."""
    for row in rows:
        value = "nothing" if row.value is None else f"{row.value:.6g}"
        words = {"name": row.name, "at": shown_at(row.time), "value": value, "unit": row.unit}
        about = Address(("sensor", row.sensor))
        yield raised(_SENSORS[row.mark], Place(row.sensor, ("sensor", row.sensor), about, row.time), words)


def of_devices(rows: Iterable[Away]) -> Iterator[Raised]:
    """Devices that are offline; their sensors are not raised one by one."""
    for row in rows:
        words = {"name": row.name, "at": shown_at(row.at), "n": str(row.sensors)}
        yield raised(_AWAY, Place(row.device, ("device", row.device), None, row.at), words)


def of_suspects(rows: Iterable[Suspect]) -> Iterator[Raised]:
    """Meters that the balances name."""
    for row in rows:
        about = Address((row.subject_kind, row.subject, row.quantity), row.time)
        bias = "an amount that is not known" if row.bias is None else _amount(row.bias, row.bias_sd, row.quantity)
        words = {"name": row.name, "quantity": row.quantity, "bias": bias}
        name = f"{row.subject}/{row.quantity}"
        yield raised(_SUSPECT, Place(name, (row.subject_kind, row.subject), about, row.time), words)


def of_forecasts(rows: Iterable[Foreseen]) -> Iterator[Raised]:
    """Stocks that are expected to reach a limit within a day."""
    for row in rows:
        ends = ("an unknown time" if at is None else shown_at(at) for at in (row.q05_at, row.q95_at))
        words = {"name": row.name, "at": shown_at(row.q50_at), **dict(zip(("low", "high"), ends, strict=True))}
        about = Address(("forecast", row.node, row.event))
        yield raised(_FORESEEN[row.event], Place(row.node, ("node", row.node), about, row.issued_at), words)


def of_problems(problems: Iterable[str], now_at: datetime) -> Iterator[Raised]:
    """What a pass could not compute: `stream/quantity: why`."""
    for problem in problems:
        subject, _, why = problem.partition(": ")
        owner = subject.partition("/")[0]
        if subject.endswith(("/stock_mass", "/forecast")):
            kind, about = "node", Address(("node", owner, "stock_mass"))
        else:
            kind, about = "stream", Address(("stream", *subject.split("/")))
        yield raised(_PROBLEM, Place(subject, (kind, owner), about, now_at), {"subject": subject, "why": why})


@dataclass(frozen=True, slots=True)
class Place:
    """What a finding is about: its name among those of its kind, whose it is, and the number that shows it."""

    subject: str
    owner: tuple[str, str]
    about: Address | None
    since: datetime


def raised(meaning: Meaning, place: Place, words: dict[str, str]) -> Raised:
    """The condition in words."""
    kind, owner = place.owner
    about = "" if place.about is None else str(place.about)
    sentence, remedy = (text.format(**words, about=about) for text in (meaning.sentence, meaning.remedy))
    return Raised(meaning.kind, place.subject, kind, owner, meaning.severity, sentence, remedy, about, place.since)


def _amount(value: float | None, sd: float | None, quantity: str) -> str:
    if value is None:
        return "an unknown amount"
    unit = twin_unit(quantity) or ""
    spread = "" if sd is None else f" ± {2 * sd:.2g}"
    return f"{value:.5g}{spread} {unit}".rstrip()


def shown_at(at: datetime) -> str:
    """An instant as findings write it: to the second, UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
