"""The hub that `bench query` fills: groups of 25 sensors, each with what a real site of that size has."""

from __future__ import annotations

from typing import Any

from sidestream_contracts.hub import HubFile

GROUP = 25
"""Sensors of a group: five heat meters of four values each, two belt scales, one weighed stock, two temperatures."""
_METERS = 5
_CLASS_2 = {"limit_pct": 2, "random_pct": 0.5}
_PT500 = {"limit_abs": 0.3, "random_abs": 0.05}
_LOAD_CELLS = {"limit_pct": 1, "random_abs": 15}
_LIVE = [{"state": "live", "since": "2020-01-01"}]


def bench_hub(groups: int) -> HubFile:
    """A hub of `groups` × 25 sensors that send once a minute, and one scanner per group."""
    parts: list[dict[str, list[dict[str, Any]]]] = [_group(f"g{n:02}") for n in range(groups)]
    hub: dict[str, Any] = {
        "version": 1,
        "hub": {"id": "bench", "name": "Bench", "timezone": "Europe/Oslo", "synthetic": True, "step_s": 60},
        "materials": [
            {"id": "water", "name": "Hot water", "phase": "water"},
            {"id": "slag", "name": "Slag", "phase": "solid"},
        ],
        "lots": [{"id": "bag", "name": "Bag", "prefix": "BENCH-", "material": "slag", "mass_kg": 500, "sd_kg": 5}],
    }
    names = ("parties", "devices", "nodes", "streams", "sensors", "agreements")
    return HubFile.model_validate(hub | {name: [item for part in parts for item in part[name]] for name in names})


def _group(name: str) -> dict[str, list[dict[str, Any]]]:
    maker, user, device = f"{name}-maker", f"{name}-user", f"{name}-gw"
    heat = [f"{name}-heat-{n}" for n in range(_METERS)]
    belts = {f"{name}-in": (f"{name}-plant", f"{name}-pile"), f"{name}-out": (f"{name}-pile", f"{name}-yard")}
    return {
        "parties": [{"id": maker, "name": f"Maker {name}"}, {"id": user, "name": f"User {name}"}],
        "devices": [{"id": device, "party": maker, "name": f"Gateway {name}"}],
        "nodes": [
            {"id": f"{name}-plant", "party": maker, "kind": "process", "name": f"Plant {name}"},
            {"id": f"{name}-pile", "party": maker, "kind": "stock", "name": f"Pile {name}", "material": "slag",
             "min_kg": 1000, "max_kg": 90000},
            {"id": f"{name}-yard", "party": user, "kind": "store", "name": f"Yard {name}", "material": "slag"},
            {"id": f"{name}-user", "party": user, "kind": "exchanger", "name": f"User {name}"},
        ],
        "streams": [
            *(_stream(s, f"{name}-plant", f"{name}-user", "water") for s in heat),
            *(_stream(s, *ends, "slag") for s, ends in belts.items()),
        ],
        "sensors": [
            *(sensor for s in heat for sensor in _heat_meter(s, device)),
            *(_sensor(f"{s}-belt", device, "belt", on={"stream": s}) for s in belts),
            _sensor(f"{name}-mass", device, "mass", on={"node": f"{name}-pile"}),
            *(_sensor(f"{name}-temp-{n}", device, "temperature", on={"node": f"{name}-plant"}) for n in range(2)),
            {"id": f"{name}-scan", "device": device, "name": f"Gate {name}", "quantity": "scan", "role": "scan",
             "node": f"{name}-yard"},
        ],
        "agreements": [
            {"id": f"{s}-agreed", "name": f"Agreement on {s}", "stream": s, "supplier": maker, "receiver": user, "amount": 30,
             "unit": "MW.h", "period": "day", "tolerance_pct": 10, "valid_from": "2020-01-01"} for s in heat
        ],
    }  # fmt: skip


def _stream(name: str, source: str, target: str, material: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": f"Stream {name}",
        "source": source,
        "target": target,
        "material": material,
        "lifecycle": _LIVE,
    }


def _heat_meter(stream: str, device: str) -> list[dict[str, Any]]:
    return [_sensor(f"{stream}-{name}", device, kind, on={"stream": stream}) for name, kind in _HEAT_METER.items()]


def _sensor(name: str, device: str, kind: str, *, on: dict[str, str]) -> dict[str, Any]:
    return {"id": name, "device": device, "name": f"Sensor {name}", "period_s": 60, **_KINDS[kind], **on}


_HEAT_METER = {"flow": "flow", "ts": "supply", "tr": "return", "energy": "energy"}
_KINDS: dict[str, dict[str, Any]] = {
    "flow": {"quantity": "volume_flow", "unit": "m3/h", "role": "volume_flow", "accuracy": _CLASS_2, "range": [0, 90]},
    "supply": {
        "quantity": "temperature",
        "unit": "Cel",
        "role": "supply_temperature",
        "accuracy": _PT500,
        "range": [0, 130],
    },
    "return": {
        "quantity": "temperature",
        "unit": "Cel",
        "role": "return_temperature",
        "accuracy": _PT500,
        "range": [0, 130],
    },
    "energy": {
        "quantity": "energy",
        "unit": "kW.h",
        "role": "energy_register",
        "accuracy": {"limit_pct": 3},
        "range": [0, 1e9],
    },
    "belt": {"quantity": "mass_flow", "unit": "kg/s", "role": "mass_flow", "accuracy": _CLASS_2, "range": [0, 120]},
    "mass": {"quantity": "mass", "unit": "kg", "role": "stock_mass", "accuracy": _LOAD_CELLS, "range": [0, 100000]},
    "temperature": {"quantity": "temperature", "unit": "Cel", "accuracy": _PT500, "range": [-40, 60]},
}
