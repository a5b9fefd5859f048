"""`edge status` and `edge tail`: what a running agent tells on its own machine, and what is said when none runs."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_rig import AgentProcess, AgentThread, FakeHub, Mosquitto, edge_file, free_port, until
from modbus_rig import ModbusServer

from sidestream_app.cli import app
from sidestream_app.edge_local.judge import judge
from sidestream_app.edge_local.words import reading_line, scan_line
from sidestream_contracts.messages import Acknowledgement, Refusal
from sidestream_edge.hubword import HubWord
from sidestream_edge.local.door import MOST_WAITING_BYTES, Door
from sidestream_edge.local.knock import Knock, NobodyError
from sidestream_edge.measurement import Batch, Reading, Scan

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def sidestream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in the folder of the test: exit code and what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = app(words, result_action="return_value", exit_on_error=False)
        return int(code or 0), capsys.readouterr().out

    return run


def write(folder: Path, port: int, *drivers: dict[str, Any], **changes: Any) -> Path:
    path = folder / "edge.yaml"
    path.write_text(edge_file(port, *drivers, **changes).model_dump_json(by_alias=True, exclude_unset=True))
    return path


def state(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "state": "online", "epoch": "e", "at": NOW.isoformat(), "agent": "sidestream-edge 0.1.0", "sync": "synced",
        "outbox_bytes": 0, "outbox_limit_bytes": 10**9, "drivers": [],
    }  # fmt: skip
    body: dict[str, Any] = {
        "status": told, "pid": 7, "started_at": (NOW - timedelta(hours=3)).isoformat(),
        "broker": {"address": "b:1883", "connected": True},
        "hub": {"acknowledged_at": NOW.isoformat(), "clock_off_s": 0.01, "refused": []},
    }  # fmt: skip
    for key, value in changes.items():
        (body if key in body else told)[key] = value
    return body


def driver(**changes: Any) -> dict[str, Any]:
    return {
        "id": "meter", "type": "modbus", "state": "running", "last_good_at": (NOW - timedelta(seconds=2)).isoformat(),
        "counters": {"polls_due": 60, "polls_done": 59}, **changes,
    }  # fmt: skip


WAITS = [{"lane": "live", "frames": 3, "oldest_at": (NOW - timedelta(hours=1)).isoformat()}]
REFUSED = {"sensor": "s", "reason": "unknown_sensor", "text": "add `- {id: s}`", "at": NOW.isoformat()}


@pytest.mark.parametrize(
    ("body", "subject", "level", "told"),
    [
        (state(), "agent", "ok", "process 7, running for 3 h"),
        (state(), "hub", "ok", "last said 0 s ago that readings are committed"),
        (state(broker={"address": "b:1883", "connected": False}), "broker", "broken", "not connected to b:1883"),
        (
            state(trouble=["The broker's line ended 3 times within 30 s: is the network sound?"]), "broker", "attention",
            "connected to b:1883, but: The broker's line ended 3 times",
        ),
        (state(trouble=["The outbox holds 1 of 1 MB. Check the broker"]), "broker", "ok", "connected to b:1883"),
        (state(outbox=WAITS), "hub", "attention", "the oldest frame has waited for 60 min"),
        (state(outbox=WAITS), "outbox", "ok", "3 frames of lane live wait (oldest 60 min)"),
        (state(held={"live": "disk_low"}, refused={"disk_low": 5}), "outbox", "broken", "5 readings dropped"),
        (
            state(trouble=["The outbox could not be read at the start and was moved aside to o.corrupt-1"]), "outbox",
            "attention", "moved aside to o.corrupt-1",
        ),
        (state(refused={"busy": 5}), "outbox", "attention", "dropped since the start: 5 busy"),
        (state(parked=2), "outbox", "attention", "2 frames are larger"),
        (state(sync="unsynced"), "clock", "attention", "not kept right"),
        (state(trouble=["This gateway's clock is 3 years behind the hub's."]), "clock", "broken", "3 years behind"),
        (
            state(hub={"acknowledged_at": None, "clock_off_s": None, "refused": [REFUSED]}), "hub", "attention",
            "can't use s: unknown_sensor: add `- {id: s}`",
        ),
        (state(drivers=[driver()]), "meter", "ok", "modbus, running; 59 of 60 polls done; last good 2 s ago"),
        (state(drivers=[driver(trouble="no answer", error="no answer")]), "meter", "attention", "no answer"),
        (state(drivers=[driver(state="hung", restarts=2, error="hangs")]), "meter", "broken", "2 restarts: hangs"),
        (state(drivers=[driver(error="half a line")]), "meter", "ok", "last fault in the data: half a line"),
    ],
)  # fmt: skip
def test_what_an_agents_state_means(body, subject, level, told) -> None:
    line = next(line for line in judge(body, NOW) if line.subject == subject)
    assert line.level == level
    assert told in line.text


def test_a_reading_is_said_in_words_and_a_code_cannot_steer_the_terminal() -> None:
    t = 1_795_000_000_000_000
    assert reading_line(Reading("temp", t, 21.5), "d", {"temp": "Cel"}, 0.1).split() == [
        "2026-11-18T11:06:40.000Z", "temp", "21.5", "Cel", "good", "[d]",
    ]  # fmt: skip
    assert "no value" in reading_line(Reading("temp", t, None, 2), "d", {}, 0.1)
    assert "bad, measured 90 s ago" in reading_line(Reading("temp", t, None, 2), "d", {}, 90)
    assert "-40 dBm" in scan_line(Scan("gate", t, "A\x1b[2J", -40.0), "d", 0.1)
    assert "\\x1b[2J" in scan_line(Scan("gate", t, "A\x1b[2J"), "d", 0.1)


def test_the_hubs_word_stands_until_it_is_old_and_a_clock_years_off_is_said() -> None:
    now = [0.0]
    word = HubWord(lambda: now[0])
    ack = Acknowledgement(epoch="0" * 32, lane="live", upto=1, at=datetime.now(UTC) + timedelta(days=1200),
                          refused=[Refusal(sensor="s", reason="unknown_sensor", text="add it")])  # fmt: skip
    word.hear(ack)
    assert [entry["sensor"] for entry in word.refused()] == ["s"]
    assert word.trouble is not None
    assert "clock is 3 years behind the hub's" in word.trouble
    now[0] = 700.0
    assert word.refused() == []


def test_a_watcher_that_takes_nothing_holds_up_nobody_and_is_told_what_it_missed(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 30)  # longer than a socket's address may be
    folder.mkdir()
    door = Door(folder / "outbox.sqlite", lambda: {"status": "here"})
    door.start()
    with Knock(folder / "outbox.sqlite") as visitor:
        assert visitor.state() == {"status": "here"}
        visitor.watch()
        assert visitor.state(), "whoever is answered again has been heard before"
        batch = Batch("d", "bulk", readings=tuple(Reading("s", n, float(n)) for n in range(1000)))
        shown = 2 * MOST_WAITING_BYTES // 15_000
        began_s = time.monotonic()
        for _ in range(shown):
            door.show(batch)
        assert time.monotonic() - began_s < 5
        got = missed = 0
        deadline_s = time.monotonic() + 10
        while got + missed < 1000 * shown and time.monotonic() < deadline_s:
            for passed in visitor.passing(0.2):
                got, missed = (got, missed + passed) if isinstance(passed, int) else (got + len(passed), missed)
        assert missed > 0
        assert got + missed == 1000 * shown
        threading.Timer(0.05, door.close).start()
        with pytest.raises(NobodyError):
            until(lambda: list(visitor.passing(0.2)) == ["never"], "the end")


def test_without_an_agent_status_says_so_and_how_to_start_it(sidestream: Command, tmp_path: Path) -> None:
    path = write(tmp_path, 1, {"id": "m", "type": "modbus", "host": "x", "sensors": [{"id": "s", "register": 0}]})
    text = path.read_text().replace('"x"', '"${NOBODY_SET_THIS}"')
    path.write_text(text)
    code, told = sidestream("edge", "status")
    assert code == 1
    assert "No agent runs on the outbox" in " ".join(told.split())
    assert "sidestream edge run edge.yaml" in told
    with pytest.raises(NobodyError, match="No agent runs"):
        sidestream("edge", "tail")


@pytest.mark.server
def test_a_running_agent_tells_its_state_and_its_readings_while_the_broker_is_away(
    sidestream: Command, modbus: Callable[..., ModbusServer], tmp_path: Path
) -> None:
    server = modbus()
    server.words[0] = 77
    meter = {"id": "m", "type": "modbus", "host": "127.0.0.1", "port": server.port, "period_s": 0.05, "sensors": [
        {"id": "flow", "register": 0, "unit": "m3/h"}]}  # fmt: skip
    gone = {**meter, "id": "gone", "port": free_port(), "sensors": [{"id": "none", "register": 0}]}
    config = write(tmp_path, free_port(), meter, gone)
    agent = AgentProcess(config)
    try:
        until((tmp_path / "outbox.sqlite.door").exists, "the door")
        code, told = sidestream("edge", "tail", "--sensor", "flow", "-n", "2", "--for", "1m", "--json")
        assert code == 0
        readings = [json.loads(line) for line in told.splitlines()]
        assert [(r["sensor"], r["val"], r["unit"], r["quality"]) for r in readings] == [
            ("flow", 77.0, "m3/h", "good")
        ] * 2
        with contextlib.redirect_stderr(io.StringIO()) as aside:
            assert sidestream("edge", "tail", "--sensor", "flwo", "--for", "1") == (0, "")
        assert "The agent knows no sensor 'flwo' yet; did you mean 'flow'? Waiting for it." in aside.getvalue()
        until(lambda: "can't be reached" in sidestream("edge", "status", "--json")[1], "the device that is not there")
        code, told = sidestream("edge", "status", "--json")
        facts = json.loads(told)
        assert (code, facts["running"], facts["level"]) == (1, True, "broken")
        lines = {line["subject"]: line for line in facts["lines"]}
        assert lines["m"]["level"] == "ok"
        assert lines["gone"]["level"] == "attention"
        assert "can't be reached" in lines["gone"]["text"]
        assert lines["broker"]["level"] == "broken"
    finally:
        assert agent.end() == 0, agent.log()
    assert not (tmp_path / "outbox.sqlite.door").exists()


@pytest.mark.server
def test_what_the_hub_cannot_use_is_known_at_the_gateway(
    mosquitto: Mosquitto, hub_on: Callable[..., FakeHub], agent: Callable[..., AgentThread], tmp_path: Path
) -> None:
    mosquitto.start()
    hub = hub_on(silent=True)
    (tmp_path / "scans.txt").write_text("lot-1\n")
    agent(edge_file(mosquitto.port, {"id": "g", "type": "scanner", "source": "scans.txt", "sensor": "gate"}))
    key = until(lambda: hub.keys and hub.keys[0], "a frame")
    hub.send_ack(
        Acknowledgement(
            epoch=key.epoch,
            lane=key.lane,
            upto=1,
            at=datetime.now(UTC),
            refused=[Refusal(sensor="gate", reason="unknown_sensor", text="add it")],
        )
    )

    def refused() -> list[dict[str, Any]]:
        with Knock(tmp_path / "outbox.sqlite") as visitor:
            found: list[dict[str, Any]] = visitor.state()["hub"]["refused"]
            return found

    assert until(refused, "the hub's word")[0]["reason"] == "unknown_sensor"


@pytest.mark.server
def test_two_gateways_with_one_identity_say_so_while_they_are_connected(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Each throws the other off and is back at once, so that a glance mostly finds it connected."""
    mosquitto.start()
    agents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "r.txt").touch()
        edge = edge_file(mosquitto.port, {"id": "g", "type": "scanner", "source": "r.txt", "sensor": "s"})
        agents.append(AgentThread(edge, tmp_path / name))
    try:
        for name in ("one", "two"):
            until((tmp_path / name / "outbox.sqlite.door").exists, "the door")
            with Knock(tmp_path / name / "outbox.sqlite") as visitor:

                def told(visitor: Knock = visitor) -> bool:
                    lines = {line.subject: line for line in judge(visitor.state(), datetime.now(UTC))}
                    return lines["broker"].level == "attention" and "identity" in lines["broker"].text

                until(told, f"gateway {name} knows", 30)
    finally:
        for agent in agents:
            agent.stop()


@pytest.mark.server
def test_an_outbox_that_was_moved_aside_is_told_until_the_next_start(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.start()
    (tmp_path / "outbox.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "r.txt").touch()
    agent = AgentThread(
        edge_file(mosquitto.port, {"id": "g", "type": "scanner", "source": "r.txt", "sensor": "s"}), tmp_path
    )
    try:
        until((tmp_path / "outbox.sqlite.door").exists, "the door")
        with Knock(tmp_path / "outbox.sqlite") as visitor:
            lines = {line.subject: line for line in judge(visitor.state(), datetime.now(UTC))}
        assert lines["outbox"].level == "attention"
        assert str(next(tmp_path.glob("outbox.sqlite.corrupt-*")).name) in lines["outbox"].text
    finally:
        agent.stop()
