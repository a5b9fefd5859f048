"""Each rule of an LLRP section of `edge.yaml`: places, antennas, passages."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidestream_contracts.edge_rfid import LlrpDriver

DOOR = {"id": "door", "antennas": [1], "sensor": "door"}
YARD = {"id": "yard", "antennas": [2]}
CASES = {
    "an antenna of two places": (
        {"places": [DOOR, {**DOOR, "id": "gate", "antennas": [2, 1]}]},
        "drivers.0.places.1.antennas: antenna 1 already watches 'door'; a read tells one place",
    ),
    "two places of one name": ({"places": [DOOR, {**DOOR, "antennas": [2]}]}, "'door' stands twice"),
    "a place of which nothing is told": ({"places": [DOOR, YARD]}, "nothing is told of 'yard'; add `sensor`"),
    "a passage from nowhere": (
        {"passages": [{"from": "moon", "to": "door", "sensor": "in"}]},
        "drivers.0.passages.0.from: there is no place 'moon'; there are door",
    ),
    "a passage to where it comes from": (
        {"passages": [{"from": "door", "to": "door", "sensor": "in"}]},
        "a passage leads to another place",
    ),
    "too long an id for raw reads": (
        {"id": "a-reader-with-a-rather-long-name", "keep_raw": True},
        "of raw reads, is too long an id",
    ),
}


def section(**changes) -> LlrpDriver:
    return LlrpDriver.model_validate({"id": "dock", "type": "llrp", "host": "h", "places": [DOOR], **changes})


@pytest.mark.parametrize("case", CASES)
def test_a_rule_that_is_broken_is_told_with_its_place(case):
    changes, expected = CASES[case]
    changes = {**changes, "id": changes.get("id", "dock")[:31]}
    assert any(expected in problem.message for problem in section(**changes).problems(0))


def test_a_good_section_announces_each_scanner_once():
    found = section(
        keep_raw=True,
        places=[DOOR, {**YARD, "sensor": "door", "left": "gone"}],
        passages=[{"from": "yard", "to": "door", "sensor": "in"}],
    )
    assert list(found.problems(0)) == []
    assert [s.id for s in found.announced()] == ["door", "gone", "in", "dock-raw-1", "dock-raw-2"]
    assert {(s.unit, s.quantity, s.driver) for s in found.announced()} == {("1", "scan", "dock")}


@pytest.mark.parametrize("wrong", [{"antennas": [0]}, {"antennas": []}, {"antennas": [1], "min_rssi_dbm": 3}])
def test_an_antenna_is_a_port_from_1_and_a_signal_is_below_zero(wrong):
    with pytest.raises(ValidationError):
        section(places=[{"id": "door", "sensor": "door", **wrong}])
