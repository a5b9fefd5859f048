"""The twin's figures out again: on a real broker, retained, for the parties concerned; cleared when they end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from fake_edge import wait_for
from hub_files import TEST_HUB, test_hub
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from paho.mqtt.enums import CallbackAPIVersion

from sidestream_app.embedded.broker_config import BrokerKind
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.schemas import message_schema
from sidestream_contracts.twinmessage import TwinMessage
from sidestream_ingest.outward.link import MOST_UNDER_WAY
from sidestream_ingest.outward.publisher import Publisher, Settings
from sidestream_ingest.subscriber import BrokerAddress
from sidestream_store.hub_apply import apply_hub
from sidestream_store.outward import readers

HEAT = "sidestream/v1/h/{}/twin/stream/heat/heat_flow"
SILO = "sidestream/v1/h/a/twin/node/silo/stock_mass"


class Listener:
    """Hears everything from the moment it connects; `lying` is what a newcomer finds, as JSON, by topic."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload, m.retain))
        self._client.on_connect = lambda client, *_: client.subscribe("sidestream/v1/#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def newest(self, topic: str) -> dict[str, Any] | None:
        found = [payload for heard, payload, _ in list(self.heard) if heard == topic]
        return json.loads(found[-1]) if found and found[-1] else None

    def put(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker_kind() -> BrokerKind:
    return BrokerKind.MOSQUITTO


@pytest.fixture
def listen(broker) -> Iterator[Callable[[], Listener]]:
    opened: list[Listener] = []

    def open_one() -> Listener:
        opened.append(Listener(broker[1]))
        return opened[-1]

    yield open_one
    for listener in opened:
        listener.close()


@pytest.fixture
def start(database, broker) -> Iterator[Callable[[], Publisher]]:
    running: list[tuple[threading.Event, threading.Thread]] = []

    def start_one() -> Publisher:
        stop = threading.Event()
        publisher = Publisher(Settings(database, BrokerAddress("127.0.0.1", broker[1]), 0.05), stop)
        thread = threading.Thread(target=publisher.run)
        thread.start()
        running.append((stop, thread))
        return publisher

    yield start_one
    for stop, thread in running:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def state(sql: psycopg.Connection, kind: str, subject: str, quantity: str, value: float | None) -> None:
    sql.execute(
        "INSERT INTO sidestream.twin_latest VALUES (%s, %s, %s, now() - interval '12 s', 10, %s, 3, 4, 'measured', 1,"
        """ '{"sensors": ["secret-sensor"]}', '["late"]', now()) ON CONFLICT (subject_kind, subject, quantity)"""
        " DO UPDATE SET value = excluded.value, time = excluded.time",
        [kind, subject, quantity, value],
    )


@given(st.sampled_from(["heat_flow", "mass_flow_receiver", "register_heat_flow", "register_power_receiver"]))
def test_what_one_sides_own_meter_says_goes_to_that_side_alone(quantity):
    expected = {"heat_flow": ("a", "b"), "register_heat_flow": ("a",)}.get(quantity, ("b",))
    assert readers(quantity, "a", "b") == expected
    assert readers(quantity, "a", None) == (() if quantity.endswith("_receiver") else ("a",))
    assert readers("heat_flow", "a", "a") == ("a",)


@pytest.mark.server
def test_a_figure_reaches_its_parties_in_the_contracts_form_and_nobody_else(database, connect, tmp_path, listen, start):
    apply_hub(database, test_hub(parties=[*TEST_HUB["parties"], {"id": "c", "name": "C"}]), tmp_path)
    sql = connect()
    state(sql, "stream", "heat", "heat_flow", 5000.0)
    state(sql, "stream", "heat", "heat_flow_receiver", 4900.0)
    state(sql, "node", "silo", "stock_mass", None)
    start()
    listener = listen()
    wait_for(lambda: listener.newest(SILO) and listener.newest(HEAT.format("b") + "_receiver"))
    message = listener.newest(HEAT.format("b"))
    Draft202012Validator(message_schema(TwinMessage)).validate(message)
    assert (message["value"], message["unit"], message["sd"], message["synthetic"]) == (5000.0, "W", 5.0, True)
    assert message["shown"] == {"value": 5.0, "sd": 0.005, "unit": "kW"}
    assert listener.newest(SILO)["value"] is None
    assert {topic for topic, *_ in listener.heard} == {
        HEAT.format("a"),
        HEAT.format("b"),
        HEAT.format("b") + "_receiver",
        SILO,
    }
    assert not any(b"secret-sensor" in payload for _, payload, _ in listener.heard)


@pytest.mark.server
def test_only_changes_are_sent_and_a_newcomer_has_the_newest_at_once(database, connect, tmp_path, listen, start):
    apply_hub(database, test_hub(), tmp_path)
    sql = connect()
    sql.execute("ALTER TABLE sidestream.twin_latest ALTER time SET DEFAULT now()")
    for subject in ("boiler", "farm", "silo"):
        state(sql, "node", subject, "stock_mass", 1.0)
    early, publisher = listen(), start()
    wait_for(lambda: publisher.published == 3)
    state(sql, "node", "silo", "stock_mass", 2.0)
    wait_for(lambda: (early.newest(SILO) or {}).get("value") == 2.0)
    assert publisher.published == 4
    late = listen()
    wait_for(lambda: len(late.heard) == 3)
    assert late.newest(SILO)["value"] == 2.0
    assert all(retained for *_, retained in late.heard)


@pytest.mark.server
def test_what_ended_left_the_hub_or_was_never_ours_is_cleared_even_after_a_restart(
    database, connect, tmp_path, listen, start
):
    apply_hub(database, test_hub(), tmp_path)
    sql, listener = connect(), listen()
    state(sql, "stream", "heat", "heat_flow", 5000.0)
    state(sql, "node", "silo", "stock_mass", 1.0)
    old = "sidestream/v1/h/b/twin/node/long-gone/stock_mass"
    listener.put(old, b"{}")
    publisher = start()
    wait_for(lambda: listener.newest(HEAT.format("a")) and (old, b"", False) in listener.heard)
    heat = TEST_HUB["streams"][0]
    ended = {**heat, "lifecycle": [*heat["lifecycle"], {"state": "ended", "since": "2021-01-01"}]}
    apply_hub(database, test_hub(streams=[ended]), tmp_path)
    wait_for(lambda: all((HEAT.format(party), b"", False) in listener.heard for party in "ab"))
    assert publisher.cleared == 3
    newcomer = listen()
    wait_for(lambda: newcomer.newest(SILO))
    assert {topic for topic, *_ in newcomer.heard} == {SILO}


@pytest.mark.server
def test_a_broker_that_forgot_everything_gets_it_all_again_and_nothing_piles_up_meanwhile(
    database, connect, tmp_path, broker, listen, start
):
    apply_hub(database, test_hub(), tmp_path)
    sql = connect()
    supervisor, _ = broker
    many = 3 * MOST_UNDER_WAY
    sql.execute(
        "INSERT INTO sidestream.node (id, party, kind, name) SELECT 'n' || i, 'a', 'stock', 'N' FROM generate_series(1, %s) i",
        [many],
    )
    for number in range(1, many + 1):
        state(sql, "node", f"n{number}", "stock_mass", 1.0)
    publisher = start()
    wait_for(lambda: publisher.published >= many)
    supervisor.kill("broker")
    state(sql, "node", "silo", "stock_mass", 7.0)
    sql.execute("UPDATE sidestream.twin_latest SET value = 2")
    wait_for(lambda: publisher.published >= 2 * many + 1, 20)
    newcomer = listen()
    wait_for(lambda: len(newcomer.heard) == many + 1)
    assert {json.loads(payload)["value"] for _, payload, _ in newcomer.heard} == {2.0}


@pytest.mark.server
def test_without_a_hub_it_says_what_to_do(database, broker):
    publisher = Publisher(Settings(database, BrokerAddress("127.0.0.1", broker[1])), threading.Event())
    with pytest.raises(ConfigurationError, match="hub apply"):
        publisher.run()
