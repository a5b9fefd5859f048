"""Every message that was ever agreed is read today as it was then; every bad one is refused with the reason it always had."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from frames import NOW
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import FrameKey, encode, parse_json, parse_key
from sidestream_contracts.schemas import MESSAGES, message_schema
from sidestream_contracts.topics import hello_topic, parse_topic
from sidestream_contracts.twinmessage import parse_twin_topic
from sidestream_ingest.check import check_frame, check_undamaged
from sidestream_ingest.desk import _status
from sidestream_store.batch import CheckedFrame
from sidestream_store.catalogue import Catalogue, KnownSensor
from sidestream_store.quarantine import Message

V1 = Path(__file__).parent / "v1"
GOOD: dict[str, dict[str, Any]] = json.loads((V1 / "messages.json").read_text())
BAD: dict[str, dict[str, Any]] = json.loads((V1 / "bad" / "messages.json").read_text())
FRAMES = sorted(name for name, entry in GOOD.items() if entry["schema"] in ("frame.readings", "frame.scans"))
PARKED = sorted(name for name, entry in GOOD.items() if entry["schema"] == "frame.parked")
STRUCTURE = {"unknown_version", "unknown_kind", "unknown_clock", "not_a_number", "out_of_bounds", "bad_time", "bad_quality",
             "bad_id", "bad_rssi", "bad_status"}  # fmt: skip
"""Reasons that a sender can find out with the JSON Schema alone."""

CATALOGUE = Catalogue(
    version=1,
    hub="h",
    late_s=400 * 86400,
    early_s=300,
    devices={("a", "gw"): 1, ("b", "gw2"): 2},
    sensors={
        "flow": KnownSensor(1, 1, "volume_flow"),
        "tin": KnownSensor(2, 1, "temperature"),
        "gate": KnownSensor(3, 1, "scan"),
        "theirs": KnownSensor(4, 2, "temperature"),
    },
)


def payload(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def model_of(entry: dict[str, Any]) -> type[BaseModel]:
    return MESSAGES[entry["schema"]]


def received(raw: bytes, entry: dict[str, Any]) -> CheckedFrame:
    """What the hub makes of a message, from its topic on, without a broker or a database."""
    address, channel = parse_topic(entry["topic"])
    message = Message(entry["topic"], f"{address.hub}/{address.party}/{address.device}", raw, NOW, ())
    key: FrameKey = parse_key([(name, value) for name, value in entry["properties"]])
    if channel == "status":
        raise AssertionError("a status is no frame")
    try:
        check_undamaged(message, key)
    except ContractError as error:  # the desk keeps it apart and does not acknowledge it
        return CheckedFrame(
            99, key, "unusable", message, quarantine=(message.quarantined(error.reason, str(error), 0),)
        )
    device_id = CATALOGUE.devices.get((address.party, address.device), 99)
    return check_frame(message, key, device_id, CATALOGUE, lambda sensor: f"`- {{id: {sensor}}}`")


@pytest.mark.parametrize(("folder", "entries"), [(V1, GOOD), (V1 / "bad", BAD)], ids=["good", "bad"])
def test_no_golden_message_was_deleted_changed_or_added_without_an_entry(folder, entries):
    hashes = {p.name: sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.json") if p.name != "messages.json"}
    assert hashes == {name: entry["sha256"] for name, entry in entries.items()}


def test_each_message_type_and_each_reason_of_the_door_has_a_golden_message():
    assert {entry["schema"] for entry in GOOD.values()} == set(MESSAGES)
    assert len({entry["reason"] for entry in BAD.values()}) >= 25


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_models_of_today_read_it_and_keep_every_field(name):
    raw = payload(V1, name)
    message = model_of(GOOD[name]).model_validate_json(raw)
    again = model_of(GOOD[name]).model_validate(message.model_dump(mode="json"))
    assert again == message
    kept, sent = json.loads(message.model_dump_json()), json.loads(raw)
    assert sent.keys() <= kept.keys()
    if GOOD[name]["schema"] not in ("status", "hello"):  # there, times may be written otherwise
        assert sent == {field: kept[field] for field in sent}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_published_schema_accepts_it(name):
    schema = message_schema(model_of(GOOD[name]))
    Draft202012Validator(schema).validate(json.loads(payload(V1, name)))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_its_topic_is_one_of_the_contract(name):
    topic = GOOD[name]["topic"]
    if GOOD[name]["schema"] == "twin":
        assert parse_twin_topic(topic).topic == topic
        return
    assert topic == hello_topic("h") or parse_topic(topic)[0].topic(parse_topic(topic)[1]) == topic


@pytest.mark.parametrize("name", FRAMES)
def test_the_hub_takes_every_reading_and_scan_of_a_frame(name):
    raw = payload(V1, name)
    frame = received(raw, GOOD[name])
    assert not frame.quarantine
    assert len(frame.readings) + len(frame.scans) == len(json.loads(raw)["i"])


@pytest.mark.parametrize("name", PARKED)
def test_a_parked_frame_is_told_and_not_taken_for_data(name):
    frame = received(payload(V1, name), GOOD[name])
    assert [entry.reason for entry in frame.quarantine] == ["parked_on_edge"]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_is_encoded_to_the_same_bytes_each_time_and_read_back(name):
    model = model_of(GOOD[name])
    frame = model.model_validate_json(payload(V1, name))
    assert model.model_validate_json(encode(frame)) == frame
    assert encode(model.model_validate_json(encode(frame))) == encode(frame)


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_message_is_refused_with_its_reason_and_its_neighbours_land(name):
    entry, raw = BAD[name], payload(V1 / "bad", name)
    if entry["schema"] == "status":
        with pytest.raises(ContractError) as caught:
            _status(Message(entry["topic"], "h/a/gw", raw, NOW, ()))
        assert caught.value.reason == entry["reason"]
    elif entry["reason"] in ("bad_topic", "bad_key"):
        with pytest.raises(ContractError) as caught:
            received(raw, entry)
        assert caught.value.reason == entry["reason"]
    else:
        frame = received(raw, entry)
        assert [refused.reason for refused in frame.quarantine] == [entry["reason"]]
        assert len(frame.readings) + len(frame.scans) == entry["usable"]


@pytest.mark.parametrize("name", sorted(name for name, entry in BAD.items() if entry["reason"] in STRUCTURE))
def test_a_sender_finds_a_wrong_structure_with_the_published_schema(name):
    entry, raw = BAD[name], payload(V1 / "bad", name)
    schema = message_schema(model_of(entry))
    assert not Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(
        parse_json(raw)
    )
