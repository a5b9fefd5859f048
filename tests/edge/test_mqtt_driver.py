"""Others' devices on a real Mosquitto: taken once where they tell the time, kept through outages, explained where they can't be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from edge_rig import edge_file, until
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.server


@pytest.fixture
def publish(mosquitto) -> Iterator[Callable[..., None]]:
    """A device that publishes and waits for the broker's word."""
    mosquitto.start()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "device", protocol=mqtt.MQTTv311)
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()

    def send(topic: str, body: Any, *, retain: bool = False) -> None:
        until(client.is_connected, "the device is connected")
        payload = body if isinstance(body, str) else json.dumps(body)
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    yield send
    client.disconnect()
    client.loop_stop()


def site(**changes: Any) -> dict:
    topics = [
        {"topic": "plain/+", "sensors": [{"id": "p-{2}", "unit": "Cel"}]},
        {
            "topic": "json",
            "payload": "json",
            "time": {"path": "ts", "format": "epoch_us"},
            "sensors": [{"id": "a", "path": "a"}, {"id": "b", "path": "b"}],
        },
    ]
    return {"id": "site", "type": "mqtt", "topics": topics, **changes}


def told(hub) -> dict:
    found = [driver.model_dump() for driver in hub.statuses[-1].drivers if driver.id == "site"] if hub.statuses else []
    return found[0] if found else {"state": "", "counters": {}, "rejected": []}


def listening(hub) -> None:
    until(lambda: told(hub)["state"] == "running", "the driver listens")


def test_numbers_and_json_arrive_with_their_own_times_and_say_how_often(mosquitto, publish, hub_on, agent):
    hub = hub_on()
    agent(edge_file(mosquitto.port, site()))
    listening(hub)
    t = time.time_ns() // 1000 - 3_600_000_000
    publish("plain/room1", "21.5")
    publish("json", {"ts": t, "a": 1, "b": 2.5})
    until(lambda: len(hub.readings()) == 3, "three readings")
    assert {(s, when, val, q) for s, when, val, q in hub.readings() if s != "p-room1"} == {
        ("a", t, 1, 0),
        ("b", t, 2.5, 0),
    }
    assert abs(next(when for s, when, _, _ in hub.readings() if s == "p-room1") - time.time_ns() // 1000) < 10e6
    until(lambda: {s.id for s in hub.statuses[-1].sensors} == {"a", "b", "p-room1"}, "announced", 15)
    assert {s.id: s.delivery for s in hub.statuses[-1].sensors} == {
        "a": "once", "b": "once", "p-room1": "at_least_once",
    }  # fmt: skip


def test_repetitions_are_dropped_across_restarts_of_agent_and_broker(mosquitto, publish, hub_on, agent):
    hub = hub_on()
    t = time.time_ns() // 1000 - 1_000_000
    publish("json", {"ts": t, "a": 1, "b": 2}, retain=True)
    publish("plain/old", "7", retain=True)
    one = agent(edge_file(mosquitto.port, site()))
    until(lambda: len(hub.readings()) == 2, "the retained values")
    publish("json", {"ts": t, "a": 1, "b": 3})
    until(lambda: len(hub.readings()) == 3, "only what is new")
    one.stop()
    mosquitto.kill()
    mosquitto.start()
    until(lambda: hub.statuses and hub.subscribed.is_set(), "hub back")
    again = agent(edge_file(mosquitto.port, site()))
    publish("json", {"ts": t, "a": 1, "b": 2}, retain=True)
    publish("json", {"ts": t + 1, "a": 1, "b": 3})
    until(lambda: ("a", t + 1, 1, 0) in hub.readings(), "new measurements")
    again.stop()
    assert sorted(hub.readings()) == [
        ("a", t, 1, 0), ("a", t + 1, 1, 0), ("b", t, 2, 0), ("b", t, 3, 0), ("b", t + 1, 3, 0),
    ]  # fmt: skip


def test_what_came_while_the_agent_was_away_is_kept_by_the_broker_and_marked(mosquitto, publish, hub_on, agent):
    hub = hub_on()
    one = agent(edge_file(mosquitto.port, site()))
    listening(hub)
    one.stop()
    t = time.time_ns() // 1000
    publish("plain/x", "1")
    publish("json", {"ts": t, "a": 5, "b": 6})
    agent(edge_file(mosquitto.port, site()))
    until(lambda: len(hub.readings()) == 3, "what came meanwhile")
    assert {(s, q) for s, _, _, q in hub.readings()} == {("p-x", 1), ("a", 0), ("b", 0)}


def test_a_bad_payload_is_named_by_topic_and_cause_and_costs_no_neighbour(mosquitto, publish, hub_on, agent):
    hub = hub_on()
    agent(edge_file(mosquitto.port, site()))
    listening(hub)
    for _ in range(5):
        publish("plain/x", "21,5")
    publish("json", {"ts": time.time_ns() // 1000, "a": "high", "b": 1})
    until(lambda: hub.values("b") == [1] and hub.values("p-x") == [None], "neighbour and nulls")
    assert {(s, q) for s, _, val, q in hub.readings() if val is None} == {("p-x", 2), ("a", 2)}
    until(lambda: told(hub)["counters"].get("rejected") == 6, "counted", 15)
    rejected = {(one["where"], one["reason"]): one for one in told(hub)["rejected"]}
    assert rejected["plain/x", "not_a_number"]["count"] == 5
    assert "decimal_comma: true" in rejected["plain/x", "not_a_number"]["last"]
    assert "'high' is no number" in rejected["json", "not_a_number"]["last"]


def test_a_message_is_confirmed_only_when_it_is_on_the_disk(mosquitto, publish, hub_on, agent, monkeypatch):
    """The disk refuses, the agent dies with the message in memory: the broker still has it."""
    hub = hub_on()
    with monkeypatch.context() as patch:
        one = agent(edge_file(mosquitto.port, site()))
        listening(hub)
        from sidestream_contracts.errors import TransientError
        from sidestream_edge.outbox import Outbox

        def refuse(*_: object, **__: object) -> None:
            raise TransientError("full")

        patch.setattr(Outbox, "append", refuse)
        publish("plain/x", "42")
        until(lambda: "full" in hub.statuses[-1].model_extra["trouble"], "the disk refuses")
        one.stop()
    assert hub.readings() == []
    agent(edge_file(mosquitto.port, site()))
    until(lambda: hub.values("p-x") == [42], "sent again by the broker")
