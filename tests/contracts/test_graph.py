"""Graphs whose balances can't close are told at once, each with its place and a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_files import test_hub

from sidestream_contracts.balances import conserved, domains, interval_s
from sidestream_contracts.graphcheck import check_graph
from sidestream_contracts.hubcheck import load_hub

LIVE = [{"state": "live", "since": "2020-01-01"}]
NODES = [
    {"id": "farm", "party": "a", "kind": "process", "name": "Farm"},
    {"id": "plant", "party": "a", "kind": "process", "name": "Biogas plant",
     "yields": [{"input": "manure", "output": "gas", "ratio": 0.06, "sd": 0.01},
                {"input": "manure", "output": "rest", "ratio": 0.94, "sd": 0.01}]},
    {"id": "split", "party": "b", "kind": "junction", "name": "Split"},
    {"id": "fields", "party": "b", "kind": "border", "name": "Fields"},
    {"id": "engine", "party": "b", "kind": "process", "name": "Engine"},
]  # fmt: skip
STREAMS = [
    {"id": name, "name": name, "source": source, "target": target, "material": material, "lifecycle": LIVE}
    for name, source, target, material in (
        ("manure", "farm", "plant", "dung"),
        ("gas", "plant", "engine", "biogas"),
        ("rest", "plant", "split", "digestate"),
        ("spread", "split", "fields", "digestate"),
        ("warm", "engine", "plant", "water"),
    )
]
MATERIALS = [
    {"id": "dung", "name": "Manure", "phase": "sludge"},
    {"id": "biogas", "name": "Biogas", "phase": "gas"},
    {"id": "digestate", "name": "Digestate", "phase": "liquid"},
    {"id": "water", "name": "Hot water", "phase": "water"},
]


def problems(
    nodes: dict[str, Any] | None = None,
    streams: dict[str, Any] | None = None,
    materials: dict[str, Any] | None = None,
    sensors: Any = (),
    hub: dict[str, Any] | None = None,
) -> list[tuple[Any, str]]:
    """Of the biogas hub, with fields of single items replaced."""

    def changed(items: list[dict[str, Any]], changes: dict[str, Any] | None) -> list[dict[str, Any]]:
        return [item | (changes or {}).get(item["id"], {}) for item in items]

    given: dict[str, Any] = {
        "nodes": changed(NODES, nodes),
        "streams": changed(STREAMS, streams),
        "materials": changed(MATERIALS, materials),
        "sensors": list(sensors),
        "lots": [],
    }
    given["hub"] = {"id": "h", "name": "H", "timezone": "Europe/Oslo", "step_s": 10} | (hub or {})
    return [(problem.where, problem.message) for problem in check_graph(test_hub(**given))]


def test_a_plant_with_yields_a_junction_and_a_border_is_well_formed():
    assert problems() == []


WRONG: dict[str, tuple[dict[str, Any], tuple[Any, ...], str]] = {
    "interval": ({"hub": {"balance_s": 25}}, ("hub", "balance_s"), "multiple of hub.step_s"),
    "day": ({"hub": {"balance_s": 7000}}, ("hub", "balance_s"), "into a day"),
    "dead end": ({"streams": {"spread": {"source": "plant"}}}, ("nodes", 2), "nothing leaves junction 'split'"),
    "other family": ({"streams": {"spread": {"material": "dung"}}}, ("nodes", 2), "'dung' leaves and never enters"),
    "border": ({"nodes": {"fields": {"conserves": ["mass"]}}}, ("nodes", 3, "conserves"), "the outside"),
    "no way out": ({"nodes": {"farm": {"conserves": ["mass"]}}}, ("nodes", 0, "conserves"), "mass enters 'farm'"),
    "yield of a junction": (
        {"nodes": {"split": {"yields": [{"input": "rest", "output": "spread", "ratio": 1, "sd": 0.1}]}}},
        ("nodes", 2, "yields"), "makes nothing",
    ),
    "unknown stream": (
        {"nodes": {"plant": {"yields": [{"input": "manur", "output": "gas", "ratio": 0.1, "sd": 0.1}]}}},
        ("nodes", 1, "yields", 0, "input"), "did you mean 'manure'?",
    ),
    "wrong side": (
        {"nodes": {"plant": {"yields": [{"input": "gas", "output": "rest", "ratio": 0.1, "sd": 0.1}]}}},
        ("nodes", 1, "yields", 0, "input"), "does not enter 'plant'; streams that enter it: manure, warm",
    ),
    "kg of J": (
        {"nodes": {"plant": {"yields": [{"input": "warm", "output": "gas", "ratio": 0.1, "sd": 0.1}]}},
         "sensors": [{"id": "t", "device": "gw", "name": "t", "quantity": "power", "unit": "W", "role": "power",
                      "stream": "warm"}]},
        ("nodes", 1, "yields", 0), "kg per kg, or J per J",
    ),
    "beyond one": (
        {"nodes": {"plant": {"yields": [{"input": "manure", "output": "gas", "ratio": 0.3, "sd": 0.01},
                                        {"input": "manure", "output": "rest", "ratio": 0.9, "sd": 0.01}]}}},
        ("nodes", 1, "yields"), "1.2 times as much as enters",
    ),
    "no form of loss": ({"streams": {"warm": {"loss": {"sd_pct": 5}}}}, ("streams", 4, "loss"), "it has none"),
    "two forms": ({"streams": {"warm": {"loss": {"kw": 5, "share_pct": 1}}}}, ("streams", 4, "loss"), "kw, share_pct"),
    "no temperatures": (
        {"streams": {"warm": {"loss": {"length_m": 500, "w_m_k": 0.3}}}}, ("streams", 4, "loss"), "write kw:",
    ),
    "loss of nothing": ({"nodes": {"farm": {"loss": {"kw": 5}}}}, ("nodes", 0, "loss"), "conserves: [energy]"),
    "need without heat": (
        {"nodes": {"farm": {"heat_need": {"lowest_c": 20}}}}, ("nodes", 0, "heat_need"), "no stream brings heat",
    ),
    "nothing to dump": ({"nodes": {"farm": {"dumps_heat": True}}}, ("nodes", 0, "dumps_heat"), "no stream brings heat"),
    "twice": (
        {"materials": {"dung": {"contents": [{"component": "moisture", "pct": 60, "sd_pct": 1}] * 2}}},
        ("materials", 0, "contents"), "twice",
    ),
    "no bound": ({"materials": {"dung": {"limits": [{"component": "ca"}]}}}, ("materials", 0, "limits", 0), "max_pct"),
    "share of what": (
        {"sensors": [{"id": "m", "device": "gw", "name": "m", "quantity": "fraction", "role": "share", "stream": "manure"}]},
        ("sensors", 0), "component: moisture",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_told_with_its_place_and_a_way_out(name: str):
    changes, where, text = WRONG[name]
    found = problems(**changes)
    assert any(place == where and text in message for place, message in found), found


@pytest.mark.parametrize("name", ["kvinesdal_like", "minimal"])
def test_the_example_hubs_are_well_formed(name: str):
    folder = Path(__file__).parents[2] / "simulators/sidestream_simulators/hubs"
    assert load_hub(folder / name / "hub.yaml").hub.synthetic


def test_what_a_stream_takes_part_in_follows_from_its_meters_and_else_from_its_phase():
    assert domains("water", {"volume_flow", "supply_temperature"}) == {"energy"}
    assert domains("water", {"mass_flow"}) == {"mass"}
    assert domains("water", ()) == {"energy", "mass"}
    assert domains("gas", {"power"}) == {"energy", "mass"}
    assert domains("electricity", ()) == {"energy"}
    assert domains("solid", ()) == {"mass"}


def test_nothing_is_known_of_a_process_unless_it_says_so():
    assert conserved("process", None) == frozenset()
    assert conserved("process", ["energy"]) == {"energy"}
    assert conserved("junction", None) == {"mass", "energy"}
    assert conserved("junction", []) == frozenset()


def test_balances_are_closed_every_quarter_of_an_hour_in_whole_steps():
    assert interval_s(10, None) == 900
    assert interval_s(700, None) == 1400
    assert interval_s(10, 60) == 60
