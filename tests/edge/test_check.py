"""`edge check`: the step at which a value stops is named, and what to do; a running agent is watched, not disturbed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_rig import AgentProcess, AgentThread, FakeHub, Mosquitto, edge_file, free_port, until
from modbus_rig import ModbusServer

from sidestream_app.commands.edge_check import check
from sidestream_app.edge_local.unit_words import doubt
from sidestream_app.edge_local.walk import Row, Step, clock, is_decided, walk
from sidestream_app.edge_local.watching import Passed, Seen, diagnose
from sidestream_edge.drivers.diagnosis import Finding
from sidestream_edge.measurement import Batch, Reading

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
METER = {
    "id": "m", "type": "modbus", "host": "127.0.0.1", "period_s": 0.1,
    "sensors": [{"id": "flow", "register": 0, "unit": "m3/h", "quantity": "volume_flow"}],
}  # fmt: skip
EDGE = edge_file(1883, METER)


def seen(
    *, trouble: str | None = None, state: str = "running", passed: bool = True, val: float | None = 7.5, acknowledged: bool = True,
    connected: bool = True, troubles: tuple[str, ...] = (), refused: tuple[dict[str, Any], ...] = (),
    findings: tuple[Finding, ...] = (), waiting_since: datetime | None = None, ends: int = 0,
) -> Seen:  # fmt: skip
    """What was seen at NOW by a check that began 10 s ago."""
    driver = {
        "id": "m", "type": "modbus", "state": state, "trouble": trouble, "error": trouble, "restarts": 0,
        "last_good_at": None if trouble else NOW.isoformat(), "counters": {"polls_due": 10, "polls_done": 9},
    }  # fmt: skip
    at = (NOW - timedelta(seconds=2)).isoformat() if acknowledged else None
    lanes = [{"lane": "live", "frames": 1, "oldest_at": waiting_since.isoformat()}] if waiting_since else []
    return Seen(
        own=True,
        began_at=NOW - timedelta(seconds=10),
        passed={"flow": Passed(Reading("flow", 1, val, 0 if val is not None else 2), "m", NOW - timedelta(seconds=5))} if passed else {},
        state={
            "address": "h/p/gw", "pid": 1, "status": {"drivers": [driver], "sensors": [], "outbox": lanes},
            "broker": {"connected": connected, "ends": ends}, "hub": {"acknowledged_at": at, "refused": list(refused)},
        },
        troubles=list(troubles),
        findings={"m": list(findings)},
        waited_s=10.0,
    )  # fmt: skip


def stops_at(found: Seen, rows: dict[str, Row] | None = None) -> tuple[str, str, str]:
    step: Step | None = next((step for step in walk(EDGE, found, rows, NOW) if step.level == "broken"), None)
    return (step.step, step.about, f"{step.text} → {step.todo}") if step else ("none", "", "")


REFUSED = {"sensor": "flow", "reason": "unknown_sensor", "text": "add `- {id: flow}`", "at": NOW.isoformat()}
ROW = Row(NOW, 7.5, None, "m3/h", NOW)


@pytest.mark.parametrize(
    ("found", "rows", "step", "told"),
    [
        (seen(), None, "none", ""),
        (seen(), {"flow": ROW}, "none", ""),
        (seen(state="failed", trouble="RuntimeError: no library"), None, "driver", "no library"),
        (seen(trouble="Modbus device m can't be reached"), None, "device", "can't be reached"),
        (seen(val=None), None, "value", "no value, quality bad"),
        (
            seen(passed=False, findings=(Finding("value", ok=False, text="refused: exception 2", sensor="flow"),)), None,
            "value", "exception 2",
        ),
        (seen(connected=False, troubles=("The broker x can't be reached",)), None, "broker", "can't be reached"),
        (seen(troubles=("gone: taken over by another client with our identity",)), None, "broker", "two gateways have one"),
        (seen(ends=2), None, "broker", "another client with the identity h/p/gw throws it off"),
        (seen(acknowledged=False, waiting_since=NOW), None, "hub", "sidestream ingest run"),
        (seen(refused=(REFUSED,)), None, "row", "unknown_sensor: add `- {id: flow}`"),
        (seen(), {}, "row", "this database has no row of it"),
    ],
)  # fmt: skip
def test_the_step_at_which_a_value_stops_is_named(found, rows, step, told) -> None:
    where, _, text = stops_at(found, rows)
    assert where == step
    assert told in text


def test_an_acknowledgement_counts_only_when_nothing_older_waits() -> None:
    assert seen().committed("flow")
    assert not seen(waiting_since=NOW - timedelta(seconds=6)).committed("flow")
    assert not seen(acknowledged=False).committed("flow")
    assert is_decided(EDGE, seen(), 4.0)
    assert not is_decided(EDGE, seen(acknowledged=False), 4.0)
    assert is_decided(EDGE, seen(refused=(REFUSED,)), 4.0)


def test_what_the_hub_refused_before_it_was_told_of_the_sensor_is_forgiven() -> None:
    before = {**REFUSED, "at": (NOW - timedelta(seconds=6)).isoformat()}
    found = seen(refused=(before,))
    assert found.refusal("flow") is not None
    found.times["flow"] = deque([NOW - timedelta(seconds=4)])  # later than that, and acknowledged without a word
    assert found.refusal("flow") is None
    assert seen(refused=({**REFUSED, "at": (NOW - timedelta(hours=1)).isoformat()},)).refusal("flow") is None


def test_a_doubtful_value_shows_what_its_registers_could_mean_and_the_way_goes_on() -> None:
    finding = Finding("value", ok=False, text="outside its range", sensor="flow", could_mean=("uint32 big: 7.5", "x"))
    steps = {step.step: step for step in walk(EDGE, seen(findings=(finding,)), None, NOW)}
    assert steps["value"].level == "attention"
    assert steps["value"].more == ("uint32 big: 7.5", "x")
    assert steps["row"].level == "ok"


def test_a_value_that_the_driver_refuses_is_told_with_what_it_found_wrong() -> None:
    found = seen(val=None)
    found.state["status"]["drivers"][0]["error"] = "Scale m shows [lb_av] where edge.yaml says unit: kg"
    assert stops_at(found)[0] == "value"
    assert "found wrong: Scale m shows [lb_av] where edge.yaml says unit: kg" in stops_at(found)[2]


def test_a_device_in_trouble_does_not_hide_the_values_that_came_all_the_same() -> None:
    """One register of it is refused: the step at the device is broken, and the other sensor goes on to its row."""
    other = {"id": "gone", "register": 200, "unit": "K", "quantity": "temperature"}
    edge = edge_file(1883, {**METER, "sensors": [*METER["sensors"], other]})
    found = seen(trouble="Modbus device m refuses holding register 200 (gone)")
    steps = [(step.step, step.about, step.level) for step in walk(edge, found, None, NOW)]
    assert ("device", "m", "broken") in steps
    assert [step for step in steps if step[0] in ("value", "row")] == [("value", "flow", "ok"), ("row", "flow", "ok")]


@pytest.mark.parametrize(
    ("now_at", "level", "told"),
    [
        (NOW, "ok", "2026-11-22"),
        (datetime(1970, 1, 2, tzinfo=UTC), "broken", "but a file of this machine is from 2026-11-20"),
        (datetime(2050, 1, 1, tzinfo=UTC), "broken", "24 years after anything"),
    ],
)
def test_a_clock_years_off_is_named_before_anything_is_sent(now_at, level, told) -> None:
    step = clock(now_at, NOW - timedelta(days=2))
    assert step.level == level
    assert told in step.text
    assert clock(NOW, NOW, "3 years behind the hub's").level == "broken"


@pytest.mark.parametrize(
    ("unit", "quantity", "told"),
    [
        ("°C", "temperature", "'Cel' is probably meant"),
        ("C", "temperature", "'Cel' is probably meant"),
        ("kWh", "energy", "'kW.h' is probably meant"),
        (None, None, "no unit is announced"),
        ("m3/h", "flowrate", "quantity 'flowrate' is none that a hub knows"),
        ("m3/h", "volume_flow", None),
        ("Cel", None, None),
    ],
)
def test_units_as_people_write_them_are_told(unit, quantity, told) -> None:
    assert (doubt(unit, quantity) or "none").count(told or "none") == 1


def test_of_each_sensor_the_first_value_is_kept() -> None:
    found = Seen(own=False, began_at=NOW)
    for val in (None, 1.0, 2.0):
        found.take(Batch("m", "live", readings=(Reading("flow", 1, val),)))
    assert found.passed["flow"].what.val == 1.0


def write(folder: Path, port: int, meter: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "edge.yaml"
    path.write_text(edge_file(port, meter).model_dump_json(by_alias=True, exclude_unset=True))
    return path


def facts(capsys: pytest.CaptureFixture[str], path: Path, for_s: float = 15.0) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = check(path, duration=f"{for_s}s", as_json=True)
    told: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, told


@pytest.mark.server
def test_the_whole_way_with_an_agent_of_its_own_and_beside_one_that_runs(
    mosquitto: Mosquitto, hub_on: Callable[..., FakeHub], modbus: Callable[..., ModbusServer],
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server = modbus()
    server.words[0] = 42
    mosquitto.start()
    hub = hub_on()
    config = write(tmp_path, mosquitto.port, {**METER, "port": server.port})
    code, told = facts(capsys, config)
    assert (code, told["ok"], told["stops_at"]) == (0, True, None), told
    steps = {step["step"]: step for step in told["steps"]}
    assert list(steps) == ["config", "clock", "driver", "device", "value", "unit", "broker", "hub", "row"]
    assert steps["value"]["text"] == "42 m3/h, good"
    assert steps["row"]["text"] == "committed in the hub's database, as its acknowledgement says"
    assert 42.0 in hub.values("flow"), "what a check measures is as real as the rest"
    agent = AgentProcess(config)
    try:
        until(lambda: hub.statuses[-1].state == "online", "the agent")
        before = len(hub.statuses)
        code, told = facts(capsys, config)
        assert code == 0, told
        assert all(status.state == "online" for status in hub.statuses[before:]), "it was not thrown off"
    finally:
        agent.end()


@pytest.mark.server
def test_two_gateways_with_one_identity_and_a_device_that_is_not_there_are_named(
    mosquitto: Mosquitto, hub_on: Callable[..., FakeHub], modbus: Callable[..., ModbusServer],
    agent: Callable[..., AgentThread], tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server = modbus()
    mosquitto.start()
    hub_on()
    agent(edge_file(mosquitto.port, {**METER, "port": server.port}))
    elsewhere = write(tmp_path / "elsewhere", mosquitto.port, {**METER, "port": server.port})
    for_s = 3.0
    while (told := facts(capsys, elsewhere, for_s)[1])["ok"]:  # who throws off whom, and when, is the brokers' matter
        for_s *= 2
        assert for_s < 30
    assert told["stops_at"]["step"] == "broker"
    assert "h/p/gw" in told["stops_at"]["text"], "its identity, told by the broker or suspected"
    nothing = write(tmp_path / "nothing", free_port(), {**METER, "port": free_port()})
    code, told = facts(capsys, nothing, 1.5)
    assert (code, told["stops_at"]["step"]) == (1, "device")
    assert "can't be reached" in told["stops_at"]["text"]
    assert [step["level"] for step in told["steps"] if step["step"] == "broker"] == ["broken"]


def test_a_drivers_own_diagnosis_is_asked_where_it_has_one() -> None:
    edge = edge_file(1, {**METER, "port": free_port()}, {"id": "g", "type": "scanner", "source": "s", "sensor": "x"})
    found = diagnose(edge, {})
    assert list(found) == ["m"]
    assert [(finding.step, finding.ok) for finding in found["m"]] == [("way", False)]
