"""Small hubs for tests, as models; built here once so that every test speaks of the same one."""

from __future__ import annotations

from typing import Any

from sidestream_contracts.hub import HubFile

TEST_HUB: dict[str, Any] = {
    "version": 1,
    "hub": {"id": "h", "name": "Test hub", "timezone": "Europe/Oslo", "synthetic": True, "step_s": 10},
    "parties": [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}],
    "materials": [
        {"id": "water", "name": "Hot water", "phase": "water"},
        {"id": "slag", "name": "Slag", "phase": "solid"},
    ],
    "devices": [{"id": "gw", "party": "a", "name": "Gateway"}, {"id": "gw2", "party": "b", "name": "Other gateway"}],
    "nodes": [
        {"id": "boiler", "party": "a", "kind": "process", "name": "Boiler"},
        {"id": "farm", "party": "b", "kind": "exchanger", "name": "Fish farm"},
        {"id": "silo", "party": "a", "kind": "stock", "name": "Silo", "material": "slag", "min_kg": 100, "max_kg": 9000},
    ],
    "streams": [
        {
            "id": "heat",
            "name": "Heat",
            "source": "boiler",
            "target": "farm",
            "material": "water",
            "lifecycle": [{"state": "live", "since": "2020-01-01"}],
        }
    ],
    "sensors": [
        {"id": "flow", "device": "gw", "name": "Flow", "quantity": "volume_flow", "unit": "m3/h", "role": "volume_flow",
         "stream": "heat", "range": [0, 500], "period_s": 1},
        {"id": "tin", "device": "gw", "name": "Supply", "quantity": "temperature", "unit": "Cel",
         "role": "supply_temperature", "stream": "heat", "period_s": 1},
        {"id": "tout", "device": "gw", "name": "Return", "quantity": "temperature", "unit": "Cel",
         "role": "return_temperature", "stream": "heat", "period_s": 1},
        {"id": "silo_mass", "device": "gw", "name": "Silo", "quantity": "mass", "unit": "t", "role": "stock_mass",
         "node": "silo", "period_s": 1},
        {"id": "gate", "device": "gw", "name": "Gate", "quantity": "scan", "role": "scan", "node": "silo"},
        {"id": "theirs", "device": "gw2", "name": "Theirs", "quantity": "temperature", "unit": "Cel", "node": "farm"},
    ],
    "lots": [{"id": "bag", "name": "Big bag", "prefix": "BAG-", "material": "slag", "mass_kg": 1000, "sd_kg": 15}],
}  # fmt: skip


def test_hub(**changes: Any) -> HubFile:
    """The test hub, with whole sections replaced."""
    return HubFile.model_validate({**TEST_HUB, **changes})


test_hub.__test__ = False  # type: ignore[attr-defined]
