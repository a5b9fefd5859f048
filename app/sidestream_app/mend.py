"""Mends hub.yaml for a quarantine entry: what to change, in the file's own text, and how to put it into force safely."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import load_hub
from sidestream_contracts.ids import nearest
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.reasons import reason
from sidestream_contracts.snippets import as_line, open_questions, scalar
from sidestream_contracts.units import QUANTITIES, meant
from sidestream_contracts.yamledit import add_item, set_key
from sidestream_store.quarantine.entries import Entry
from sidestream_store.quarantine.explain import snippet_keys

Announced = Mapping[str, AnnouncedSensor]
SETTABLE = ("name", "quantity", "unit", "role", "stream", "node", "party")


@dataclass(frozen=True, slots=True)
class Change:
    """What would be written, the file as it then is, and in a few words what that does."""

    path: Path
    before: str
    after: str
    hub: HubFile
    words: str

    def diff(self) -> str:
        """The change as lines with + and -."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, str(self.path), f"{self.path} (mended)", n=1))


def plan(entry: Entry, announced: Announced, path: Path, answers: Mapping[str, str]) -> Change:
    """The change to hub.yaml that makes the entry usable, checked as a whole; nothing is written.

    DomainError where hub.yaml is not what is wrong. ConfigurationError where something nobody has said is needed, or where
    the file would not be well-formed after it.
    """
    kind = reason(entry.reason).mend
    if kind is None or entry.counted_only:
        raise DomainError(f"A line in hub.yaml does not mend {entry.reason!r}. {reason(entry.reason).todo}")
    unknown = [key for key in answers if key not in SETTABLE]
    if unknown:
        guess = nearest(unknown[0], SETTABLE)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ConfigurationError(f"--set knows no {unknown[0]!r}; allowed: {', '.join(SETTABLE)}.{hint}")
    before = _read(path)
    hub = load_hub(path)
    after, words = (
        _mapped(entry, announced, hub, before, answers)
        if kind == "unit"
        else _added(entry, announced, hub, before, answers)
    )
    return Change(path, before, after, _checked(path, after), words)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}.") from error


def _added(entry: Entry, announced: Announced, hub: HubFile, text: str, answers: Mapping[str, str]) -> tuple[str, str]:
    keys = snippet_keys(entry, announced)
    if keys is None:
        raise DomainError(f"Entry #{entry.quarantine_id} names no sensor or device that could stand in hub.yaml.")
    if "node" in answers and "stream" not in answers:
        keys.pop("stream", None)
    if "stream" in answers:
        keys.pop("node", None)
    keys |= answers
    if missing := open_questions(keys):
        raise ConfigurationError(_questions(missing, keys, hub))
    section = "devices" if entry.reason == "unknown_device" else "sensors"
    return add_item(text, section, as_line(keys)), f"{section[:-1]} {keys['id']!r} added to hub.yaml"


def _questions(missing: list[str], keys: Mapping[str, str], hub: HubFile) -> str:
    choices = {
        "quantity": QUANTITIES,
        "unit": QUANTITIES[keys["quantity"]].examples if keys.get("quantity") in QUANTITIES else ("kW", "m3/h", "Cel"),
        "stream": [stream.id for stream in hub.streams],
        "node": [node.id for node in hub.nodes],
        "party": [party.id for party in hub.parties],
    }
    told = "; ".join(f"--set {key}=… ({', '.join(choices[key])})" for key in missing)
    node = f" Or, where it sits at a place: --set node=… ({', '.join(choices['node'])})." if "stream" in missing else ""
    return f"Nobody has said what these are, so say it: {told}.{node}"


def _mapped(entry: Entry, announced: Announced, hub: HubFile, text: str, answers: Mapping[str, str]) -> tuple[str, str]:
    sensor = next((known for known in hub.sensors if known.id == entry.sensor), None)
    if sensor is None:
        raise DomainError(f"Sensor {entry.sensor!r} is no longer in hub.yaml.")
    told = announced.get(sensor.id)
    sent = answers.get("unit") or (meant(sensor.quantity, told.unit) if told and told.unit else None)
    if sent is None:
        said = f"{told.unit!r}, which is" if told and told.unit else "no unit that is"
        raise ConfigurationError(
            f"The edge announces {said} no UCUM unit of {sensor.quantity}; say what is meant: --set unit=… "
            f"({', '.join(QUANTITIES[sensor.quantity].examples)})."
        )
    after = set_key(text, "sensors", sensor.id, "sent_unit", scalar(sent), after="unit")
    return after, f"sensor {sensor.id!r} is sent in {sent} and stored in {sensor.unit}"


def _checked(path: Path, text: str) -> HubFile:
    """The hub of a file with this text; every mistake is told as if the file had it already."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / path.name
        candidate.write_text(text, encoding="utf-8", newline="")
        try:
            return load_hub(candidate)
        except ConfigurationError as error:
            told = str(error).replace(str(candidate), str(path))
            raise ConfigurationError(
                f"With that line the file would not be right, so nothing was written:\n{told}"
            ) from error


def put_into_force(change: Change, apply: Callable[[HubFile], object]) -> None:
    """The file is replaced in one step and applied; where that fails, it is what it was before."""
    _replace(change.path, change.after)
    try:
        apply(change.hub)
    except BaseException:
        _replace(change.path, change.before)
        raise


def _replace(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays a link
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(target.stat().st_mode & 0o7777)
        Path(name).replace(target)
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be written: {error.strerror}.") from error
