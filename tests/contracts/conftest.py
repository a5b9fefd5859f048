"""Files with one mistake in them: the shipped minimal hub and gateway, changed in one place, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sidestream_contracts.edge import load_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hubcheck import load_hub

HUB = """\
version: 1
hub: {id: h, name: Test hub, timezone: Europe/Oslo, synthetic: true}
parties:
  - {id: steel, name: Steel}
  - {id: farm, name: Farm}
materials:
  - {id: water, name: Hot water, phase: water, aliases: {farm: Warm loop}}
  - {id: slag, name: Slag, phase: solid, ewc: 10 09 03}
devices:
  - {id: gw, party: steel, name: Gateway}
nodes:
  - {id: boiler, party: steel, kind: process, name: Boiler}
  - {id: tanks, party: farm, kind: exchanger, name: Tanks}
  - {id: silo, party: steel, kind: stock, name: Silo, material: slag, min_kg: 100, max_kg: 9000}
streams:
  - id: heat
    name: Heat
    source: boiler
    target: tanks
    material: water
    lifecycle:
      - {state: agreed, since: 2025-02-01}
      - {state: live, since: 2025-09-01}
sensors:
  - {id: flow, device: gw, name: Flow, quantity: volume_flow, unit: m3/h, role: volume_flow, stream: heat, range: [0, 40]}
  - {id: weight, device: gw, name: Silo, quantity: mass, unit: t, role: stock_mass, node: silo}
lots:
  - {id: bag, name: Big bag, prefix: BAG-, material: slag, mass_kg: 1000, sd_kg: 15}
agreements:
  - {id: deal, name: Heat, stream: heat, supplier: steel, receiver: farm, amount: 11, unit: MW.h, period: day,
     tolerance_pct: 15, valid_from: 2025-09-01}
"""

EDGE = """\
version: 1
hub: h
party: steel
device: gw
broker: {host: 127.0.0.1, port: 1883}
drivers:
  - id: meter
    type: modbus
    host: 10.0.0.7
    unit_id: 1
    sensors:
      - {id: flow, register: 0, type: uint32, scale: 0.001}
  - id: gun
    type: scanner
    source: tcp://10.0.0.8:4001
    sensor: gate
  - id: file
    type: recorded
    file: meter.csv
    time_column: time
    sensors: [{id: tin, column: t1}]
"""

Change = tuple[str, str]
Complain = Callable[..., list[str]]


@pytest.fixture
def complaints(tmp_path: Path) -> Complain:
    """Writes the hub or edge file with its changes and gives the complaints, without the folder; empty when it loads."""

    def complain(kind: str, *changes: Change) -> list[str]:
        text = {"hub": HUB, "edge": EDGE}[kind]
        for old, new in changes:
            assert text.count(old) >= 1, f"{old!r} is not in the {kind} file"
            text = text.replace(old, new, 1)
        path = tmp_path / f"{kind}.yaml"
        path.write_bytes(text.encode())
        try:
            {"hub": load_hub, "edge": load_edge}[kind](path)
        except ConfigurationError as error:
            return str(error).replace(f"{tmp_path}/", "").splitlines()
        return []

    return complain
