"""What is published is what the models say, stands in the repository, and is good JSON Schema and good AsyncAPI."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from ruamel.yaml import YAML

from sidestream_contracts.asyncapi import address
from sidestream_contracts.schemas import FILES, MESSAGES, drift, generate, write
from sidestream_contracts.topics import CHANNELS, hello_topic, parse_topic
from sidestream_contracts.twinmessage import parse_twin_topic

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "contracts" / "generated" / "v1"
ASYNCAPI_SCHEMA = Path(__file__).parent / "asyncapi" / "asyncapi-3.0.0.schema.json"
EXAMPLES = sorted(path for name in FILES for path in (ROOT / "simulators").rglob(name))


@cache
def documents() -> dict[str, Any]:
    return {name: json.loads(text) for name, text in generate().items()}


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [ref for item in node for ref in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [ref for value in node.values() for ref in references(value)]


def test_the_committed_documents_are_what_the_models_say():
    assert drift(PUBLISHED) == [], "write them with `sidestream schemas write`, and commit the result"


def test_the_same_models_give_the_same_text():
    assert generate() == generate()


def test_drift_names_each_file_that_is_missing_changed_or_strange(tmp_path):
    write(tmp_path)
    assert drift(tmp_path) == []
    (tmp_path / "hello.schema.json").unlink()
    (tmp_path / "status.schema.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    assert [problem.removeprefix(str(tmp_path)) for problem in drift(tmp_path)] == [
        "/hello.schema.json: is missing",
        "/old.json: no model makes it",
        "/status.schema.json: differs from the models",
    ]
    write(tmp_path)
    assert drift(tmp_path) == []


@pytest.mark.parametrize("name", [*MESSAGES, *FILES])
def test_each_schema_is_good_json_schema_with_an_id(name):
    schema = documents()[f"{name}.schema.json"]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:sidestream:v1:{name}"


@pytest.mark.parametrize("name", sorted(generate()))
def test_every_reference_leads_somewhere(name):
    document = documents()[name]
    for reference in references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert isinstance(node, dict)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_never_sent_without_its_version(name):
    assert "v" in documents()[f"{name}.schema.json"]["required"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_shipped_files_obey_the_schema_as_they_stand_with_their_variables(path):
    yaml = YAML(typ="safe", pure=True)
    plain = json.loads(json.dumps(yaml.load(path.read_text(encoding="utf-8")), default=str))
    Draft202012Validator(documents()[f"{path.name}.schema.json"]).validate(plain)


def test_an_editor_that_knows_the_schema_marks_a_wrong_driver():
    edge = documents()["edge.yaml.schema.json"]
    body = {
        "version": 1,
        "hub": "h",
        "party": "a",
        "device": "gw",
        "broker": {"host": "${HOST}", "port": "${PORT:-1883}"},
    }
    driver = {"id": "m", "type": "modbus", "host": "x", "sensors": [{"id": "s", "register": "${R:-1}"}]}
    assert Draft202012Validator(edge).is_valid({**body, "drivers": [driver]})
    assert not Draft202012Validator(edge).is_valid({**body, "drivers": [{**driver, "hots": "y"}]})
    assert not Draft202012Validator(edge).is_valid({**body, "drivers": [{**driver, "sensors": []}]})
    theirs = {"id": "m", "type": "modbos", "depth": 3}  # what types packages of others bring, no editor can know
    assert Draft202012Validator(edge).is_valid({**body, "drivers": [theirs]})
    assert not Draft202012Validator(edge).is_valid({**body, "drivers": [{**driver, "port": "many"}]})


def test_the_asyncapi_document_obeys_the_schema_of_asyncapi():
    schema = json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8"))
    problems = [error.message for error in Draft7Validator(schema).iter_errors(documents()["asyncapi.json"])]
    assert problems == []


def test_the_asyncapi_document_covers_every_topic():
    channels = documents()["asyncapi.json"]["channels"]
    assert set(channels) == {*CHANNELS, "hello", "twin"}
    for name, channel in channels.items():
        topic = re.sub(r"\{(\w+)\}", r"\1", channel["address"].replace("{kind}", "stream"))
        match name:
            case "hello":
                assert topic == hello_topic("hub")
            case "twin":
                assert parse_twin_topic(topic).topic == topic
            case _:
                assert parse_topic(topic)[1] == name
        assert set(channel["parameters"]) == set(re.findall(r"\{(\w+)\}", address(name)))


def test_the_asyncapi_document_covers_every_message_and_tells_the_key_of_each_frame():
    document = documents()["asyncapi.json"]
    messages = document["components"]["messages"]
    assert len(messages) == len(MESSAGES)
    used = {ref for channel in document["channels"].values() for ref in references(channel["messages"])}
    assert used == {f"#/components/messages/{name}" for name in messages}
    keyed = {name for name, message in messages.items() if message.get("traits")}
    assert keyed == {"ReadingsFrame", "ScansFrame", "ParkedFrame"}


def test_only_status_and_figures_are_retained_and_only_frames_status_and_commands_ask_for_a_puback():
    operations = documents()["asyncapi.json"]["operations"]
    mqtt = {name: operation["bindings"]["mqtt"] for name, operation in operations.items()}
    assert {name for name, binding in mqtt.items() if binding["retain"]} == {"receive_status", "send_twin"}
    assert {name for name, binding in mqtt.items() if binding["qos"] == 0} == {"send_ack", "send_hello"}
