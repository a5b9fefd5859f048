"""A line goes into a YAML file where it belongs, and not a character of the rest changes."""

from __future__ import annotations

from importlib.resources import files

import pytest
from ruamel.yaml import YAML

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.snippets import as_line
from sidestream_contracts.yamledit import add_item, set_key

FLOW = """\
sensors:   # what is measured
  - {id: a, unit: kW}  # first

  # about b
  - {id: b,
     unit: "%"}   # second
# the end
lots: []
"""
BLOCK = """\
sensors:
- id: a
  unit: kW   # as declared
  range: [0, 5]

- id: b
  name: >
    folded
    text
# the end
nodes: []
"""
LINE = "{id: new, unit: m3/h}"


def plain(text: str):
    return YAML(typ="safe", pure=True).load(text)


def without(text: str, line: str) -> str:
    return "".join(kept for kept in text.splitlines(keepends=True) if line not in kept)


@pytest.mark.parametrize("text", [FLOW, BLOCK])
def test_an_item_comes_last_in_its_list_and_nothing_else_moves(text):
    after = add_item(text, "sensors", LINE)
    assert [item["id"] for item in plain(after)["sensors"]] == ["a", "b", "new"]
    assert without(after, "id: new") == text
    assert after.index("new") < after.index("# the end")


@pytest.mark.parametrize(
    "text",
    ["sensors: []\n", "sensors:\n", "sensors: # none\n", "x: 1\n", "sensors: [{id: a}, {id: b}] # two\n", "x: 1"],
)
def test_a_list_that_is_empty_missing_or_on_one_line_takes_an_item_too(text):
    after = plain(add_item(text, "sensors", LINE))
    assert after["sensors"][-1] == {"id": "new", "unit": "m3/h"}
    assert len(after["sensors"]) == (3 if "id: b" in text else 1)


@pytest.mark.parametrize("name", ["minimal", "kvinesdal_like"])
def test_the_example_hubs_keep_every_comment(name):
    text = (files("sidestream_simulators") / "hubs" / name / "hub.yaml").read_text(encoding="utf-8")
    before = plain(text)
    after = add_item(text, "sensors", LINE)
    assert without(after, "id: new,") == text
    assert plain(after)["sensors"] == [*before["sensors"], {"id": "new", "unit": "m3/h"}]
    last = before["sensors"][-1]["id"]
    mapped = set_key(text, "sensors", last, "sent_unit", "kW", after="unit")
    assert mapped.replace(", sent_unit: kW", "").replace("sent_unit: kW\n", "") == text
    assert plain(mapped)["sensors"][-1]["sent_unit"] == "kW"


@pytest.mark.parametrize(("text", "item"), [(FLOW, "a"), (FLOW, "b"), (BLOCK, "a"), (BLOCK, "b")])
def test_a_key_goes_into_the_item_of_that_id_only_and_can_be_replaced(text, item):
    after = set_key(text, "sensors", item, "sent_unit", "'[degF]'", after="unit")
    wanted = plain(text)
    next(s for s in wanted["sensors"] if s["id"] == item)["sent_unit"] = "[degF]"
    assert plain(after) == wanted
    again = set_key(after, "sensors", item, "sent_unit", "MW", after="unit")
    assert again == after.replace("'[degF]'", "MW")


def test_what_is_not_there_is_told():
    with pytest.raises(ConfigurationError, match="no item 'c'"):
        set_key(FLOW, "sensors", "c", "unit", "kW")
    with pytest.raises(ConfigurationError, match="no list"):
        add_item("sensors: {a: 1}\n", "sensors", LINE)


@pytest.mark.parametrize(
    "value", ["[degF]", "%", "1", "true", "m3/h", "it's: a, {b}", "# no", "-", "", "null", "kW.h", "0x1"]
)
def test_a_snippet_reads_back_as_what_was_meant(value):
    assert plain(f"- {as_line({'id': 'a', 'unit': value})}") == [{"id": "a", "unit": value}]
