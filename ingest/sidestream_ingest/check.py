"""What of a frame can be used, and what can't and why. Pure: message and catalogue in, checked frame out.

A frame whose structure is broken is quarantined whole; one bad reading costs only itself, its neighbours land.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import MAX_READINGS, VERSION, FrameKey, parse_json, payload_hash
from sidestream_contracts.ids import ID_PATTERN, nearest
from sidestream_ingest import values
from sidestream_ingest.layout import Layouts
from sidestream_ingest.plain import Arrived, read_plain
from sidestream_ingest.sending import read_sending
from sidestream_ingest.unknown import storable_fields
from sidestream_store.batch import CheckedFrame, Readings, Scan, Sending
from sidestream_store.catalogue import Catalogue, KnownSensor
from sidestream_store.quarantine import Message, Quarantined

_KNOWN = frozenset({"v", "kind", "sensors", "i", "t", "val", "q", "clock", "rssi"})
ANNOUNCED_UNIT = "announced_unit"
"""Field of a kept part: in which unit its edge announced the sensor when the frame came, whatever it announces later."""


@dataclass(slots=True)
class _Rejects:
    """Readings of one frame that can't be used, gathered per sensor and reason so that they make one entry each."""

    entries: dict[tuple[str | None, str], tuple[str, list[tuple[Any, ...]]]] = field(default_factory=dict)

    def add(self, sensor: str | None, error: ContractError, row: tuple[Any, ...]) -> None:
        self.entries.setdefault((sensor, error.reason), (str(error), []))[1].append(row)

    def quarantine(self, message: Message, body: Mapping[str, Any], catalogue: Catalogue) -> tuple[Quarantined, ...]:
        return tuple(
            message.quarantined(
                reason,
                detail,
                len(rows),
                sensor=sensor_id(name),
                part=part(body, name, rows, _announced_unit(name, catalogue) if reason == "wrong_unit" else {}),
            )
            for (name, reason), (detail, rows) in self.entries.items()
        )


def _announced_unit(name: str | None, catalogue: Catalogue) -> dict[str, str | None]:
    sensor = catalogue.sensors.get(name or "")
    return {ANNOUNCED_UNIT: sensor.announced_unit} if sensor else {}


def part(
    body: Mapping[str, Any], name: str | None, rows: Sequence[tuple[Any, ...]], more: Mapping[str, str | None]
) -> bytes:
    """A frame with only these rows (i, t, val, q, rssi) of `body`, all of the sensor `name`, to be checked again later.

    Without a name the rows keep their `i`, which points at no sensor. `more` is what only the moment of arrival knew.
    """
    index, t, val, q, rssi = (list(column) for column in zip(*rows, strict=True))
    columns = {"i": index if name is None else [0] * len(rows), "t": t, "val": val, "q": q}
    if body.get("rssi") is not None:
        columns["rssi"] = rssi
    kept = {key: body[key] for key in ("v", "kind", "clock") if key in body}
    return json.dumps(
        {**kept, "sensors": [] if name is None else [name], **columns, **more}, separators=(",", ":")
    ).encode()


def sensor_id(name: str | None) -> str | None:
    """The name where it is an id, so that it can stand in a list and in a file."""
    return name if name is not None and re.match(ID_PATTERN, name) else None


def check_frames(
    arrived: Sequence[Arrived], layouts: Layouts, snippet: Callable[[Arrived, str], str]
) -> list[CheckedFrame]:
    """The frames with their usable readings and scans, in order; never raises for what a device may send.

    `snippet` gives the lines for hub.yaml that would make an unknown sensor of a frame known.
    """
    return [
        fast or check_closely(*one[:3], layouts.catalogue, partial(snippet, one), sending=one.sending)
        for one, fast in zip(arrived, read_plain(arrived, layouts), strict=True)
    ]


def check_frame(
    message: Message,
    key: FrameKey,
    device_id: int,
    catalogue: Catalogue,
    snippet: Callable[[str], str],
) -> CheckedFrame:
    """As `check_frames`, one alone."""
    one = Arrived(message, key, device_id, read_sending(message.properties))
    (checked,) = check_frames([one], Layouts(catalogue), lambda _, sensor: snippet(sensor))
    return checked


def check_closely(
    message: Message,
    key: FrameKey,
    device_id: int,
    catalogue: Catalogue,
    snippet: Callable[[str], str],
    *,
    sending: Sending,
) -> CheckedFrame:
    """The frame, looked at reading by reading, so that each that can't be used is named with its reason."""
    try:
        _check_sender(message, device_id, catalogue)
        body = parse_json(message.raw)
        kind = _check_envelope(body, message)
        columns = _columns(body, kind)
    except ContractError as error:
        entry = message.quarantined(error.reason, str(error), _claimed_readings(message.raw))
        return CheckedFrame(device_id, key, "unusable", message, quarantine=(entry,), sending=sending)
    recorded = body.get("clock") == "recorded"
    bounds = values.Bounds.at_door(catalogue, message.received_at, recorded=recorded)
    rejects = _Rejects()
    readings: list[tuple[int, int, float | None, int]] = []
    scans: list[Scan] = []
    names = body["sensors"]
    for index, t, val, q, rssi in columns:
        name = names[index] if values.is_int(index) and 0 <= index < len(names) else None
        try:
            sensor = _sensor(name, index, kind, device_id=device_id, catalogue=catalogue, snippet=snippet)
            time_us, quality = values.time(t, bounds), values.quality(q)
            if not recorded:
                values.still_kept(time_us, sensor)
            if kind == "scans":
                scans.append(Scan(time_us, _of_kind(sensor, kind), values.code(val), values.rssi(rssi), quality))
            else:
                readings.append((time_us, _of_kind(sensor, kind), sensor.stored(values.value(val)), quality))
        except ContractError as error:
            rejects.add(name, error, (index, t, val, q, rssi))
    extra = storable_fields({name: value for name, value in body.items() if name not in _KNOWN})
    return CheckedFrame(
        device_id,
        key,
        kind,
        message,
        recorded,
        Readings.of(readings),
        tuple(scans),
        rejects.quarantine(message, body, catalogue),
        extra,
        sending,
    )


def check_undamaged(message: Message, key: FrameKey) -> None:
    """ContractError `hash_mismatch` unless the payload is what its sender hashed.

    Such a message must not be acknowledged: the good frame still lies on the edge, which sends it again.
    """
    if payload_hash(message.raw) != key.hash:
        raise ContractError("hash_mismatch", "The payload is not what its `hash` property says; it changed on the way.")


def _check_sender(message: Message, device_id: int, catalogue: Catalogue) -> None:
    if device_id not in catalogue.device_ids:
        raise ContractError("unknown_device", _unknown_device(message.device, catalogue))


def _unknown_device(device: str, catalogue: Catalogue) -> str:
    party, _, name = device.partition("/")[2].partition("/")
    known = [f"{p}/{d}" for p, d in catalogue.devices]
    guess = nearest(f"{party}/{name}", known)
    hint = f" Did you mean {guess!r}?" if guess else ""
    return (
        f"Device {name!r} of party {party!r} is not in hub.yaml.{hint} Add under `devices:` "
        f"`- {{id: {name}, party: {party}, name: …}}` and run `sidestream hub apply`."
    )


def _check_envelope(body: Mapping[str, Any], message: Message) -> str:
    if body.get("v") != VERSION:
        raise ContractError("unknown_version", f"Frame says v={body.get('v')!r}; this hub reads v={VERSION}.")
    kind = body.get("kind")
    if kind == "parked":
        raise ContractError(
            "parked_on_edge",
            f"The edge keeps a frame of {body.get('bytes')} bytes (limit {body.get('limit')}): {body.get('reason')}.",
        )
    if kind not in ("readings", "scans"):
        raise ContractError("unknown_kind", f"Frame says kind={kind!r}; allowed: readings, scans, parked.")
    if message.topic.rpartition("/")[2] != kind:
        raise ContractError("wrong_topic", f"A frame of {kind} came on {message.topic!r}.")
    if body.get("clock", "live") not in ("live", "recorded"):
        raise ContractError("unknown_clock", f"Frame says clock={body.get('clock')!r}; allowed: live, recorded.")
    return str(kind)


def _columns(body: Mapping[str, Any], kind: str) -> list[tuple[Any, ...]]:
    names = body.get("sensors")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ContractError("bad_columns", "`sensors` must be a list of sensor ids.")
    columns = [body.get(name) for name in ("i", "t", "val", "q")]
    if not all(isinstance(column, list) for column in columns):
        raise ContractError("bad_columns", "`i`, `t`, `val` and `q` must be lists.")
    rssi = body.get("rssi") if kind == "scans" else None
    lengths = {len(column) for column in columns if column is not None} | (
        {len(rssi)} if isinstance(rssi, list) else set()
    )
    if len(lengths) != 1 or not isinstance(rssi, list | None):
        raise ContractError("bad_columns", f"Columns i, t, val, q (and rssi) differ in length: {sorted(lengths)}.")
    count = lengths.pop()
    if not 0 < count <= MAX_READINGS:
        raise ContractError("bad_columns", f"A frame holds 1 to {MAX_READINGS} readings; this one has {count}.")
    return list(zip(*columns, rssi or [None] * count, strict=True))  # type: ignore[arg-type]


def _claimed_readings(raw: bytes) -> int:
    """How many readings an unusable frame says it has; 0 where even that can't be read."""
    try:
        column = parse_json(raw).get("i")
    except ContractError:
        return 0
    return len(column) if isinstance(column, list) else 0


def _sensor(
    name: Any, index: Any, kind: str, *, device_id: int, catalogue: Catalogue, snippet: Callable[[str], str]
) -> KnownSensor:
    if name is None:
        raise ContractError("bad_index", f"`i` says {index!r}, which is no place in `sensors`.")
    if not re.match(ID_PATTERN, name):
        raise ContractError("bad_id", f"Sensor {name[:80]!r} is no id; ids match {ID_PATTERN}.")
    sensor = catalogue.sensors.get(name)
    if sensor is None:
        guess = nearest(name, (like for like, known in catalogue.sensors.items() if _fits(known, kind)))
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ContractError(
            "unknown_sensor", f"Sensor {name!r} is not in hub.yaml.{hint} Add under `sensors:` {snippet(name)}"
        )
    if sensor.device_id != device_id:
        raise ContractError("foreign_sensor", f"Sensor {name!r} belongs to another device in hub.yaml.")
    if sensor.unit_trouble is not None:
        raise ContractError("wrong_unit", sensor.unit_trouble)
    return sensor


def _fits(sensor: KnownSensor, kind: str) -> bool:
    return (sensor.quantity == "scan") == (kind == "scans")


def _of_kind(sensor: KnownSensor, kind: str) -> int:
    if not _fits(sensor, kind):
        raise ContractError("wrong_kind", f"The sensor measures {sensor.quantity!r}, and the frame holds {kind}.")
    return sensor.sensor_id
