"""What must be computed again when hub.yaml changes: whatever a change can mean for a figure, and nothing for a new name.

Wide where in doubt: a stream's figure depends on every sensor of the stream, because one of them is chosen as its meter.
Stocks need no mark, since the twin lets each start anew with every version of the hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

Content = Mapping[str, Any]

_MEANS_NOTHING: Mapping[str, frozenset[str]] = {
    "hub": frozenset({"name", "synthetic", "late_days", "early_s", "settle_s"}),
    "parties": frozenset({"name"}),
    "materials": frozenset({"name", "ewc", "aliases", "limits"}),
    "devices": frozenset({"name"}),
    "nodes": frozenset({"name", "heat_need", "dumps_heat"}),
    "streams": frozenset({"name"}),
    "sensors": frozenset({"name", "sent_unit"}),
    "lots": frozenset({"name"}),
    "agreements": frozenset({"name", "disclosure"}),
}
_AN_OLDER_VERSION_DID_NOT_SAY: tuple[tuple[str, object], ...] = (
    ("kind", "agent"),
    ("contents", []),
    ("limits", []),
    ("spec", []),
    ("yields", []),
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Which sensors' history to compute again; `everything` and `scans` stand for all of them, and for every scanner."""

    everything: bool = False
    sensors: frozenset[str] = frozenset()
    scans: bool = False


def marks_of(old: Content | None, new: Content) -> Marks:
    """What figures of `new` may differ from those of `old`. Pure."""
    if old is None or _meaning("hub", old["hub"]) != _meaning("hub", new["hub"]):
        return Marks(everything=True)
    nodes, materials, agreements = (_changed(old, new, name) for name in ("nodes", "materials", "agreements"))
    devices, streams, lots = (_changed(old, new, name) for name in ("devices", "streams", "lots"))
    sensors = _changed(old, new, "sensors")
    both = [*_items(old, "sensors"), *_items(new, "sensors")]
    sensors |= {s["id"] for s in both if s["device"] in devices or s.get("node") in nodes}
    flows = set(streams) | {s["stream"] for s in both if s["id"] in sensors and s.get("stream")}
    flows |= {a["stream"] for a in (*_items(old, "agreements"), *_items(new, "agreements")) if a["id"] in agreements}
    for stream in (*_items(old, "streams"), *_items(new, "streams")):
        if stream["material"] in materials or {stream["source"], stream["target"]} & nodes:
            flows.add(stream["id"])
    at_nodes = any(s["id"] in sensors and s.get("node") for s in both)
    return Marks(
        sensors=frozenset(sensors | {s["id"] for s in both if s.get("stream") in flows}),
        scans=bool(nodes or materials or agreements or streams or lots or at_nodes),
    )


def mark(connection: psycopg.Connection, marks: Marks) -> None:
    """The whole history of these sensors is dirty; what was never rolled up is so already."""
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
        " SELECT r.sensor_id, min(r.bucket), LEAST(max(r.bucket) + interval '25 hours', now())"
        " FROM sidestream.rollup_1d r JOIN sidestream.sensor s USING (sensor_id)"
        " WHERE %(everything)s OR s.id = ANY (%(sensors)s::text[]) GROUP BY 1"
        " UNION ALL SELECT sensor_id, min(time), max(time) FROM sidestream.scan WHERE %(everything)s OR %(scans)s GROUP BY 1",
        {"everything": marks.everything, "sensors": sorted(marks.sensors), "scans": marks.scans},
    )


def mark_codes(connection: psycopg.Connection, codes: Iterable[str]) -> None:
    """Every read of these codes is dirty: they are tags that hang elsewhere now."""
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
        " SELECT sensor_id, min(time), max(time) FROM sidestream.scan WHERE code = ANY (%s) GROUP BY sensor_id",
        [sorted(codes)],
    )


def _items(content: Content, name: str) -> list[Mapping[str, Any]]:
    return list(content.get(name, []))


def _changed(old: Content, new: Content, name: str) -> set[str]:
    before = {item["id"]: _meaning(name, item) for item in _items(old, name)}
    after = {item["id"]: _meaning(name, item) for item in _items(new, name)}
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _meaning(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: value
        for field, value in item.items()
        if field not in _MEANS_NOTHING[name]
        and value is not None
        and (field, value) not in _AN_OLDER_VERSION_DID_NOT_SAY
    }
