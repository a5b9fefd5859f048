"""An entry explained to the person who has to deal with it: what came, why it could not be used, what to do, in commands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import parse_json
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.reasons import reason
from sidestream_contracts.snippets import as_line, device_entry, open_questions, sensor_entry
from sidestream_store.quarantine.entries import Entry

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """What came, why it could not be used, what to do; `commands` are to be typed as they stand."""

    came: str
    why: str
    detail: Annotated[str, Field(description="what the hub said of this very message when it came")]
    todo: str
    commands: tuple[str, ...]
    snippet: Annotated[str | None, Field(description="the line for hub.yaml that would make it usable")]
    ended: Annotated[str | None, Field(description="who replayed or discarded it, and with what outcome")]


def explain(entry: Entry, announced: Mapping[str, AnnouncedSensor], *, ended: str | None = None) -> Explanation:
    """The explanation of one entry; `announced` are the sensors that its device told of."""
    known = reason(entry.reason)
    if entry.counted_only:
        return Explanation(
            _came(entry),
            "They are only counted: of a device and reason the first hundred and the last hundred messages are kept.",
            entry.detail,
            f"Deal with those that are kept ({entry.reason}), then discard the count. {known.todo}",
            (f"sidestream quarantine list --device {_device(entry)} --reason {entry.reason}", _discard(entry)),
            None,
            ended,
        )
    todo = f"{known.todo} It must not be replayed: {known.never}." if known.never else known.todo
    commands = () if entry.state != "open" else _commands(entry, announced)
    return Explanation(_came(entry), known.why, entry.detail, todo, commands, snippet(entry, announced), ended)


def snippet(entry: Entry, announced: Mapping[str, AnnouncedSensor]) -> str | None:
    """The line for hub.yaml, with what nobody has said in capitals; None where no line would help."""
    keys = snippet_keys(entry, announced)
    return f"- {as_line(keys)}" if keys else None


def snippet_keys(entry: Entry, announced: Mapping[str, AnnouncedSensor]) -> dict[str, str] | None:
    """The keys of that line."""
    _, party, device = _parts(entry)
    if entry.reason == "unknown_device" and device:
        return device_entry(party, device)
    if entry.reason == "unknown_sensor" and entry.sensor:
        told = announced.get(entry.sensor)
        return sensor_entry(entry.sensor, device, told, scans=entry.topic.endswith("/scans"))
    return None


def _commands(entry: Entry, announced: Mapping[str, AnnouncedSensor]) -> tuple[str, ...]:
    known = reason(entry.reason)
    number = entry.quarantine_id
    if known.mend:
        missing = open_questions(snippet_keys(entry, announced) or {})
        questions = "".join(f" --set {key}={key.upper()}" for key in missing)
        return (f"sidestream quarantine mend {number} --hub hub.yaml{questions}", _discard(entry))
    if known.never:
        return (_discard(entry),)
    if known.is_broken:
        return (f"sidestream quarantine show {number}", _discard(entry))
    device = f" --device {_device(entry)}" if entry.device else ""
    return (f"sidestream quarantine replay --reason {entry.reason}{device}", _discard(entry))


def _discard(entry: Entry) -> str:
    return f"sidestream quarantine discard {entry.quarantine_id} --reason 'WHY' --by 'YOUR NAME'"


def _parts(entry: Entry) -> tuple[str, str, str]:
    hub, _, rest = entry.device.partition("/")
    party, _, device = rest.partition("/")
    return hub, party, device


def _device(entry: Entry) -> str:
    return _parts(entry)[2] or "''"


def _came(entry: Entry) -> str:
    who = f"Device {_parts(entry)[2]!r} of party {_parts(entry)[1]!r}" if entry.device else "Somebody"
    times = "once" if entry.count == 1 else f"{entry.count} times"
    when = f"{entry.first_at:%Y-%m-%d %H:%M:%S}Z"
    if entry.last_at != entry.first_at:
        when += f" to {entry.last_at:%Y-%m-%d %H:%M:%S}Z"
    what = f"{entry.readings} reading{'' if entry.readings == 1 else 's'}" if entry.readings else "a message"
    of = f" of sensor {entry.sensor!r}" if entry.sensor else ""
    values = "" if entry.counted_only else _values(entry)
    return f"{who} sent {what}{of} on {entry.topic!r}, {times}, {when}{values}."


def _values(entry: Entry) -> str:
    frame = decoded(entry.raw)
    values = frame.get("val") if frame else None
    if not entry.sensor or not isinstance(values, list) or not values:
        return ""
    shown = ", ".join(json.dumps(value, ensure_ascii=False)[:40] for value in values[:_SHOWN])
    return f"; values {shown}{', …' if len(values) > _SHOWN else ''}"


def decoded(raw: bytes) -> dict[str, Any] | None:
    """The bytes as a JSON object, where they are one."""
    try:
        return parse_json(raw)
    except ContractError:
        return None


def as_text(raw: bytes) -> str | None:
    """The bytes as text, where they are UTF-8 that a terminal can show; else None, and hex is what to show."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[^\x20-\x7e\t\n\r\u00a0-\U0010ffff]", text) else text
