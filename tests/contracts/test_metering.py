"""What hub.yaml may say of a register, of an exchanged meter and of checks; what contradicts itself is told with a way out."""

from __future__ import annotations

from typing import Any

import pytest
from hub_files import TEST_HUB, test_hub

from sidestream_contracts.hubcheck import check_hub

REGISTER = {
    "id": "energy", "device": "gw", "name": "Energy", "quantity": "energy", "unit": "kW.h", "role": "energy_register",
    "stream": "heat",
}  # fmt: skip
SWAP = {"at": "2026-11-20T13:35:00+01:00", "last": 184230, "first": 12, "note": "4711 for 4712"}


def problems(**changes: Any) -> list[str]:
    hub = test_hub(sensors=[*TEST_HUB["sensors"], {**REGISTER, **changes}])
    return [problem.message for problem in check_hub(hub)]


def test_a_register_with_everything_said_of_it_is_right() -> None:
    assert problems(counter={"rollover_at": 1e7, "max_per_h": 4000, "swaps": [SWAP]}, resolution=1) == []
    assert problems(counter={"swaps": [{"at": SWAP["at"]}]}) == [], "nobody read either meter"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"counter": {"swaps": [SWAP, SWAP]}}, "times must ascend"),
        ({"counter": {"rollover_at": 1000, "swaps": [SWAP]}}, "184230 is more than rollover_at, 1000"),
        ({"checks": {"stuck_s": 60}}, "of a register say counter.max_per_h"),
        ({"role": "power", "quantity": "power", "unit": "kW", "counter": {}}, "shows no growing sum"),
        (
            {"role": "scan", "quantity": "scan", "unit": "1", "stream": None, "node": "silo", "checks": {}},
            "no value to check",
        ),
    ],
)
def test_what_contradicts_itself_is_told(changes: dict[str, Any], told: str) -> None:
    assert any(told in message for message in problems(**changes))
