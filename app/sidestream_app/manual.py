"""From what a person says to a checked frame: units turned into the sensor's, a key that is the entry itself, ingest's check.

A refused entry is told to the person who stands there, and not kept in quarantine: they have the paper in hand.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError, DomainError, SidestreamError
from sidestream_contracts.frame import FrameKey, ReadingsFrame, encode, payload_hash
from sidestream_contracts.ids import nearest
from sidestream_contracts.spoken import readable
from sidestream_contracts.times import understood
from sidestream_contracts.topics import DeviceAddress
from sidestream_contracts.units import to_si
from sidestream_ingest.check import check_frame
from sidestream_store.catalogue import Catalogue
from sidestream_store.manual import Entry, ManualSensor, Standing
from sidestream_store.quarantine import Message

COLUMNS = ("sensor", "value", "unit", "at", "by", "note", "sd")
_NEEDED = ("sensor", "value", "at", "by")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """An entry as it was written; `where` names it in an error: a line of a file, or nothing."""

    sensor: str
    value: str
    unit: str | None
    at: str
    by: str
    note: str | None = None
    sd: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Hub:
    """What checking needs to know."""

    catalogue: Catalogue
    zone: str
    people: Mapping[str, ManualSensor]
    machines: Sequence[str]


def tickets(path: Path) -> Iterator[Said]:
    """The lines of a CSV file with a header of `COLUMNS` (unit, note and sd may be missing); ConfigurationError for another.

    Fields are apart by commas; or by semicolons, and then a decimal comma is taken too.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            head = lines.readline()
            lines.seek(0)
            by_semicolon = ";" in head and "," not in head  # as Excel saves CSV where the decimal sign is a comma
            rows = csv.DictReader(lines, delimiter=";" if by_semicolon else ",")
            names = rows.fieldnames or ()
            missing = [name for name in _NEEDED if name not in names]
            strange = [name for name in names if name not in COLUMNS]
            if missing or strange:
                what = (
                    f"has no column {missing[0]!r}"
                    if missing
                    else f"has a column {strange[0]!r} that says nothing here"
                )
                raise ConfigurationError(f"{path}:1: {what}; columns are {', '.join(COLUMNS)}.")
            for row in rows:
                where = f"{path}:{rows.line_num}: "
                if None in row or None in row.values():
                    raise ConfigurationError(
                        f"{where}has not {len(names)} fields; a text with a {'semicolon' if by_semicolon else 'comma'} is written"
                        " in quotes."
                    )
                given = {name: text.strip() for name, text in row.items()}
                if by_semicolon:
                    given |= {name: given[name].replace(",", ".") for name in ("value", "sd") if name in given}
                yield Said(
                    given["sensor"], given["value"], given.get("unit") or None, given["at"], given["by"],
                    given.get("note") or None, given.get("sd") or None, where,
                )  # fmt: skip
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV UTF-8.") from error


def understood_entry(said: Said, hub: Hub, now_at: datetime) -> Entry:
    """The entry with its frame, checked as a device's would be; DomainError or ConfigurationError that names its line."""
    try:
        return _entry(said, hub, now_at)
    except SidestreamError as error:
        kind = ConfigurationError if isinstance(error, ConfigurationError) else DomainError
        raise kind(f"{said.where}{error}") from error


def _entry(said: Said, hub: Hub, now_at: datetime) -> Entry:
    sensor = _sensor(said.sensor, hub)
    readable(said.note or "", "The note")
    if not readable(said.by, "The author's name"):
        raise DomainError("An entry needs the name of who counted, weighed or read.")
    at = understood(said.at, hub.zone, "--at")
    value = converted(_number(said.value, "value"), said.unit or sensor.unit, sensor.unit, sensor.quantity)
    sd = None if said.sd is None else _deviation(said.sd, said.unit or sensor.unit, sensor)
    frame = ReadingsFrame(sensors=[sensor.id], i=[0], t=[_micros(at)], val=[value], q=[0])
    payload = encode(frame)
    address = DeviceAddress(hub.catalogue.hub, sensor.party, sensor.device)
    name = f"{address.hub}/{address.party}/{address.device}"
    message = Message(address.topic("readings"), name, payload, now_at)
    key = FrameKey(_epoch(said, sensor, at, value, sd), "live", 1, payload_hash(payload))
    checked = check_frame(message, key, sensor.device_id, hub.catalogue, lambda unknown: unknown)
    if checked.quarantine:
        raise DomainError(checked.quarantine[0].detail)
    return Entry(checked, sensor.sensor_id, at, value, sd, said.value, said.unit or sensor.unit, said.by, said.note)


def refuse_seconds(
    said: Sequence[Said], entries: Sequence[Entry], standing: Mapping[tuple[int, datetime], Standing]
) -> None:
    """DomainError where an entry differs from one for the same sensor and instant, made before or a line above."""
    above: dict[tuple[int, datetime], Entry] = {}
    for each, entry in zip(said, entries, strict=True):
        place = (entry.sensor_id, entry.at)
        _refuse_second(each, entry, standing.get(place))
        if above.setdefault(place, entry).frame.key != entry.frame.key:
            raise DomainError(f"{each.where}{each.sensor!r} has another entry for that instant in a line above.")


def _refuse_second(said: Said, entry: Entry, standing: Standing | None) -> None:
    """Two truths for one instant would be averaged."""
    mine = (entry.value, entry.sd, entry.author, entry.note)
    if standing is None or (standing.value, standing.sd, standing.author, standing.note) == mine:
        return
    if standing.correction_id is not None:
        raise DomainError(
            f"{said.where}entry {standing.entry_id} of that instant was corrected (correction {standing.correction_id}), "
            f"and so would this one be; withdraw it first: `sidestream correct withdraw {standing.correction_id} …`."
        )
    raise DomainError(
        f"{said.where}{standing.author} entered {standing.value:g} for {said.sensor!r} and that instant (entry "
        f"{standing.entry_id}). If that is wrong, say so: `sidestream correct set {said.sensor} {entry.value:g} "
        f"--from {entry.at.isoformat()} --to …`."
    )


def _sensor(name: str, hub: Hub) -> ManualSensor:
    if name in hub.people:
        return hub.people[name]
    known = (
        ", ".join(sorted(hub.people)) or "none yet: add a device of kind: manual to hub.yaml, with sensors of its own"
    )
    if name in hub.machines:
        raise DomainError(f"{name!r} is read by a machine; people enter under sensors of their own ({known}).")
    guess = nearest(name, hub.people)
    raise DomainError(
        f"There is no sensor {name!r} for people" + (f"; did you mean {guess!r}?" if guess else f" ({known}).")
    )


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        hint = "; write a point, not a comma" if "," in text else ""
        raise DomainError(f"The {what} {text!r} is no number{hint}.") from error
    if not math.isfinite(number):
        raise DomainError(f"The {what} {text!r} is no number that can be counted.")
    return number


def _deviation(text: str, unit: str, sensor: ManualSensor) -> float:
    sd = _number(text, "sd")
    if sd <= 0:
        raise DomainError(
            f"The sd {text!r} must be above zero: nobody counts perfectly; leave it out for the sensor's own."
        )
    # A deviation has no zero point: 1 °C of it is 1 K.
    return sd if unit == sensor.unit else float(_scale(unit, sensor.unit, sensor.quantity) * Fraction(text.strip()))


def converted(value: float, unit: str, wanted: str, quantity: str) -> float:
    """The value in another unit of the same quantity, rounded once; ConfigurationError for a unit that does not fit."""
    if unit == wanted:
        return value
    source, target = to_si(quantity, unit), to_si(quantity, wanted)
    shift = _exact(source.offset) - _exact(target.offset)
    return float((Fraction(repr(value)) * _exact(source.factor) + shift) / _exact(target.factor))


def _scale(unit: str, wanted: str, quantity: str) -> Fraction:
    return _exact(to_si(quantity, unit).factor) / _exact(to_si(quantity, wanted).factor)


def _exact(number: float) -> Fraction:
    """What a factor known to 12 digits must have been: 5/18 for a tonne per hour, else the decimal of these digits."""
    simple = Fraction(number).limit_denominator(1_000_000)
    return simple if abs(float(simple) - number) <= 1e-14 * abs(number) else Fraction(f"{number:.12g}")


def _micros(at: datetime) -> int:
    whole = at - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * 1_000_000 + whole.microseconds


def _epoch(said: Said, sensor: ManualSensor, at: datetime, value: float, sd: float | None) -> str:
    """What stands in a device's place for its start: the entry itself, so that the same entry is the same frame."""
    content = json.dumps([sensor.id, _micros(at), value, sd, said.by, said.note], ensure_ascii=False)
    return hashlib.sha256(b"manual:" + content.encode()).hexdigest()[:32]
