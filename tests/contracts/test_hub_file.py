"""Each rule of `hub.yaml`: the mistake, its line, what is allowed, the nearest id."""

from __future__ import annotations

import pytest

CASES = {
    "an unknown zone": (
        ("timezone: Europe/Oslo", "timezone: Europe/Osllo"),
        "hub.yaml:2: hub.timezone: 'Europe/Osllo' is no IANA time zone; write e.g. 'Europe/Oslo'",
    ),
    "a zone that leaves its folder": (
        ("timezone: Europe/Oslo", "timezone: ../../etc/passwd"),
        "hub.yaml:2: hub.timezone: '../../etc/passwd' is no IANA time zone; write e.g. 'Europe/Oslo'",
    ),
    "a party twice": (("id: farm, name: Farm", "id: steel, name: Farm"), "hub.yaml:5: parties.1.id: 'steel' stands twice in parties; ids are unique"),
    "an alias of nobody": (
        ("aliases: {farm:", "aliases: {frm:"),
        "hub.yaml:7: materials.0.aliases.frm: there is no party 'frm'; did you mean 'farm'?",
    ),
    "a waste code in the wrong form": (
        ("ewc: 10 09 03", "ewc: 100903"),
        "hub.yaml:8: materials.1.ewc: must be a text, and is 100903; put it in quotes: '100903'",
    ),
    "an unknown phase": (
        ("phase: solid", "phase: sold"),
        ("hub.yaml:8: materials.1.phase: 'sold' is not allowed; allowed: solid, sludge, liquid, gas, steam, water, heat, item, "
        "electricity; did you mean 'solid'?"),
    ),
    "a device of nobody": (("party: steel, name: Gateway", "party: steal, name: Gateway"), "hub.yaml:10: devices.0.party: there is no party 'steal'; did you mean 'steel'?"),
    "a node of nobody": (("id: tanks, party: farm", "id: tanks, party: xyz"), "hub.yaml:13: nodes.1.party: there is no party 'xyz'; known: farm, steel"),
    "a stock of nothing known": (("name: Silo, material: slag", "name: Silo, material: slaag"), "hub.yaml:14: nodes.2.material: there is no material 'slaag'; did you mean 'slag'?"),
    "a stream from nowhere": (("source: boiler", "source: boilr"), "hub.yaml:18: streams.0.source: there is no node 'boilr'; did you mean 'boiler'?"),
    "a stream to nowhere": (("target: tanks", "target: tank"), "hub.yaml:19: streams.0.target: there is no node 'tank'; did you mean 'tanks'?"),
    "a stream of nothing": (("material: water", "material: watr"), "hub.yaml:20: streams.0.material: there is no material 'watr'; did you mean 'water'?"),
    "a sensor of no device": (("id: flow, device: gw", "id: flow, device: gv"), "hub.yaml:25: sensors.0.device: there is no device 'gv'; did you mean 'gw'?"),
    "a sensor at no stream": (("stream: heat, range", "stream: heet, range"), "hub.yaml:25: sensors.0.stream: there is no stream 'heet'; did you mean 'heat'?"),
    "a sensor at no node": (("node: silo", "node: sila"), "hub.yaml:26: sensors.1.node: there is no node 'sila'; did you mean 'silo'?"),
    "a lot of nothing": (("prefix: BAG-, material: slag", "prefix: BAG-, material: slg"), "hub.yaml:28: lots.0.material: there is no material 'slg'; did you mean 'slag'?"),
    "an agreement on nothing": (("name: Heat, stream: heat", "name: Heat, stream: het"), "hub.yaml:30: agreements.0.stream: there is no stream 'het'; did you mean 'heat'?"),
    "an agreement with nobody": (("receiver: farm", "receiver: fram"), "hub.yaml:30: agreements.0.receiver: there is no party 'fram'; did you mean 'farm'?"),
    "an unknown quantity": (
        ("quantity: volume_flow", "quantity: volum_flow"),
        "hub.yaml:25: sensors.0.quantity: there is no quantity 'volum_flow'; did you mean 'volume_flow'?",
    ),
    "no unit": (
        ("unit: m3/h", "unit: m3/hr"),
        ("hub.yaml:25: sensors.0.unit: 'm3/hr' is no UCUM unit; for volume_flow (volume passing per time) write e.g. m3/h, "
        "L/s, m3/s; did you mean 'm3/h'?"),
    ),
    "the unit of something else": (
        ("unit: m3/h", "unit: kW"),
        "hub.yaml:25: sensors.0.unit: 'kW' measures something else; for volume_flow (volume passing per time) write e.g. m3/h, L/s, m3/s",
    ),
    "a range upside down": (("range: [0, 40]", "range: [40, 0]"), "hub.yaml:25: sensors.0.range: the first value must be below the second"),
    "a range of three": (("range: [0, 40]", "range: [0, 40, 50]"), "hub.yaml:25: sensors.0.range: takes 2 items, and has 3"),
    "a range of one": (("range: [0, 40]", "range: [0]"), "hub.yaml:25: sensors.0.range: needs 2 items or more"),
    "a range of words": (("range: [0, 40]", "range: [low, 40]"), "hub.yaml:25: sensors.0.range.0: must be a number, and is 'low'"),
    "a role that measures something else": (
        ("role: volume_flow", "role: mass_flow"),
        "hub.yaml:25: sensors.0.role: a mass_flow measures 'mass_flow', and this sensor 'volume_flow'",
    ),
    "a sensor nowhere": ((", stream: heat, range", ", range"), "hub.yaml:25: sensors.0: name either the stream or the node that 'flow' measures"),
    "a sensor in two places": (("stream: heat, range", "stream: heat, node: silo, range"), "hub.yaml:25: sensors.0: name either the stream or the node that 'flow' measures"),
    "a flow at a node": (("stream: heat, range", "node: silo, range"), "hub.yaml:25: sensors.0.role: a volume_flow sensor measures a stream, not a node"),
    "a stock on a stream": (("node: silo", "stream: heat"), "hub.yaml:26: sensors.1.role: a stock_mass sensor sits at a node, not a stream"),
    "a stock with its bounds swapped": (("min_kg: 100, max_kg: 9000", "min_kg: 9000, max_kg: 100"), "hub.yaml:14: nodes.2.min_kg: 9000.0 kg is not below max_kg 100.0 kg"),
    "a start where nothing is kept": (
        ("kind: process, name: Boiler", "kind: process, name: Boiler, start: {mass_kg: 1, sd_kg: 1, at: 2025-01-01T00:00:00Z}"),
        "hub.yaml:12: nodes.0.start: a process holds no stock; use kind: stock",
    ),
    "a start without a zone": (
        ("max_kg: 9000", "max_kg: 9000, start: {mass_kg: 1, sd_kg: 1, at: 2025-01-01T00:00:00}"),
        "hub.yaml:14: nodes.2.start.at: must be a time with its zone such as 2026-01-31T12:00:00+01:00, and is '2025-01-01T00:00:00'",
    ),
    "a life that runs backwards": (("state: live, since: 2025-09-01", "state: live, since: 2024-09-01"), "hub.yaml:21: streams.0.lifecycle: dates must ascend, each once"),
    "no life": (("lifecycle:\n      - {state: agreed, since: 2025-02-01}\n      - {state: live, since: 2025-09-01}", "lifecycle: []"), "hub.yaml:21: streams.0.lifecycle: must not be empty"),
    "a day that does not exist": (("since: 2025-02-01", "since: 2025-02-30"), "hub.yaml:22: streams.0.lifecycle.0.since: must be a date such as 2026-01-31, and is '2025-02-30'"),
    "an agreement in metres": (("unit: MW.h", "unit: m"), "hub.yaml:30: agreements.0.unit: 'm' is neither energy nor mass in UCUM; write e.g. 'MW.h' or 't'"),
    "an agreement that ends before it begins": (("valid_from: 2025-09-01}", "valid_from: 2025-09-01, valid_to: 2025-08-01}"), "hub.yaml:31: agreements.0.valid_to: is not after valid_from"),
    "an amount below nothing": (("amount: 11", "amount: -1"), "hub.yaml:30: agreements.0.amount: -1 is out of range; it must be above 0"),
    "a stream back to where it came from": (("target: tanks", "target: boiler"), "hub.yaml:19: streams.0.target: is 'boiler', where it also comes from"),
    "a limit of more than all": (
        ("range: [0, 40]", "accuracy: {limit_pct: 200}"),
        "hub.yaml:25: sensors.0.accuracy.limit_pct: 200 is out of range; it must be at most 100",
    ),
    "a spread of more than all": (
        ("range: [0, 40]", "accuracy: {random_pct: 101}"),
        "hub.yaml:25: sensors.0.accuracy.random_pct: 101 is out of range; it must be at most 100",
    ),
    "a stock where nothing is kept": (
        ("node: silo", "node: boiler"),
        "hub.yaml:26: sensors.1.node: 'boiler' is a process, which holds no stock; name a node of kind stock or store",
    ),
    "two lots that begin alike": (
        ("agreements:", "  - {id: small, name: Small bag, prefix: BAG-S, material: slag, mass_kg: 9, sd_kg: 1}\nagreements:"),
        ("hub.yaml:29: lots.1.prefix: 'BAG-S' and 'BAG-' of 'bag' begin alike, so a code could be either; neither may begin "
        "with the other"),
    ),
    "a supplier who does not supply": (
        ("supplier: steel", "supplier: farm"),
        "hub.yaml:30: agreements.0.supplier: is 'farm', and the node that 'heat' leaves belongs to 'steel'",
    ),
    "a receiver who does not receive": (
        ("receiver: farm", "receiver: steel"),
        "hub.yaml:30: agreements.0.receiver: is 'steel', and the node that 'heat' enters belongs to 'farm'",
    ),
    "a section as a mapping": (("lots:\n  - {id: bag", "lots:\n    {id: bag"), "hub.yaml:27: lots: must be a list, `- ` before each item, and is a mapping"),
    "a misspelt section": (
        ("lots:", "lotts:"),
        ("hub.yaml:27: lotts: unknown key, did you mean 'lots'?; allowed here: agreements, benefit_factors, devices, hub, lots, "
        "materials, nodes, parties, retention, sensors, stops, streams, tags, version"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_rule_that_is_broken_is_told(complaints, case):
    change, expected = CASES[case]
    said = complaints("hub", change)
    assert expected in said


def test_a_good_file_loads(complaints):
    assert complaints("hub") == []


def test_every_mistake_is_told_at_once(complaints):
    said = complaints(
        "hub", ("source: boiler", "source: x"), ("quantity: mass", "quantity: y"), ("supplier: steel", "supplier: z")
    )
    assert [line.split(": ")[1] for line in said] == ["streams.0.source", "sensors.1.quantity", "agreements.0.supplier"]


@pytest.mark.parametrize("role", ["mass_flow", "volum_flow"], ids=["of another quantity", "misspelt"])
def test_a_wrong_unit_is_told_in_the_same_round_as_a_wrong_role(complaints, role):
    said = complaints("hub", ("role: volume_flow", f"role: {role}"), ("unit: m3/h", "unit: kW"))
    assert [line.split(": ")[1] for line in said] == ["sensors.0.role", "sensors.0.unit"]


def test_what_only_follows_from_a_misspelt_key_or_a_broken_section_is_not_told(complaints):
    assert len(complaints("hub", ("stream: heat, range", "strem: heat, range"))) == 1
    assert (
        len(
            complaints(
                "hub", ("parties:\n  - {id: steel", "parties:\n    {id: steel"), ("  - {id: farm, name: Farm}\n", "")
            )
        )
        == 1
    )
