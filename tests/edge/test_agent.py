"""The agent end to end: real Modbus server, real scanner, real files, real broker; a hub that acknowledges."""

from __future__ import annotations

import signal
import socket
import time

import pytest
from edge_rig import AgentThread, FakeHub, ScannerServer, edge_file, free_port, until

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.frame import payload_hash
from sidestream_contracts.messages import Acknowledgement
from sidestream_edge.agent import run
from sidestream_edge.drivers.modbus.registers import encode
from sidestream_edge.outbox import Outbox, read_journal

pytestmark = pytest.mark.server


def meter(port: int, **changes: object) -> dict:
    sensors = [
        {
            "id": "flow",
            "register": 0,
            "type": "float32",
            "word_order": "little",
            "unit": "m3/h",
            "quantity": "volume_flow",
        },
        {"id": "temp", "register": 4, "type": "int16", "scale": 0.1, "unit": "Cel", "quantity": "temperature"},
    ]
    body = {"id": "meter", "type": "modbus", "host": "127.0.0.1", "port": port, "period_s": 0.1, "timeout_s": 0.5}
    return {**body, "sensors": sensors, **changes}


def reader(scanner: ScannerServer) -> dict:
    return {"id": "gate", "type": "scanner", "source": f"tcp://127.0.0.1:{scanner.port}", "sensor": "gate-qr"}


def recorded(name: str, **changes: object) -> dict:
    sensors = [{"id": "energy", "column": "kwh"}, {"id": "volume", "column": "m3"}]
    return {"id": "rec", "type": "recorded", "file": name, "time_column": "time", "sensors": sensors, **changes}


def driver_status(hub: FakeHub, name: str) -> dict | None:
    found = [d.model_dump() for d in hub.statuses[-1].drivers if d.id == name] if hub.statuses else []
    return found[0] if found else None


def test_a_meter_and_a_scanner_reach_the_hub_with_unitless_values_times_and_keys(
    mosquitto, hub_on, agent, scanner, modbus
):
    mosquitto.start()
    hub, device = hub_on(), modbus()
    before_us = time.time_ns() // 1000
    edge = edge_file(mosquitto.port, meter(device.port), reader(scanner))
    device.words[0:2] = encode(12.5, edge.drivers[0].sensors[0])
    device.words[4] = 655
    agent(edge)
    scanner.wait_for_agent()
    scanner.send(b"urn:epc:1\r\nurn:e")
    scanner.send("pc:æ2\n\n".encode())
    until(lambda: len(hub.values("flow")) >= 3 and len(hub.values("gate-qr")) == 2, "readings and scans")
    assert set(hub.values("flow")) == {12.5}
    assert {round(v, 9) for v in hub.values("temp")} == {65.5}
    assert hub.values("gate-qr") == ["urn:epc:1", "urn:epc:æ2"]
    after_us = time.time_ns() // 1000
    assert all(before_us < t <= after_us and q == 0 for _, t, _, q in hub.readings())
    for key in hub.keys:
        assert key.hash == payload_hash(hub.frames[key.epoch, key.lane, key.seq])
    assert all(2 <= expiry <= 300 for expiry in hub.expiries)
    assert all(before_us < int(told["sent"]) < after_us + 1e6 for told in hub.told)
    assert {told["sync"] for told in hub.told} <= {"synced", "unsynced", "unknown"}
    assert {body["clock"] for body in hub.bodies()} == {"live"}
    assert device.reads[0] == (0, 5), "near registers are read together"


def test_status_is_retained_announces_sensors_and_says_offline_at_the_end(mosquitto, hub_on, agent, scanner, modbus):
    mosquitto.start()
    device = modbus()
    one = agent(edge_file(mosquitto.port, meter(device.port), reader(scanner)))
    hub = hub_on()
    status = until(lambda: hub.statuses and hub.statuses[-1], "status")
    assert status.state == "online"
    assert status.sync in ("synced", "unsynced", "unknown")
    assert {(s.id, s.unit, s.quantity) for s in status.sensors} == {
        ("flow", "m3/h", "volume_flow"), ("temp", "Cel", "temperature"), ("gate-qr", "1", "scan"),
    }  # fmt: skip
    until(lambda: (driver_status(hub, "meter") or {}).get("counters", {}).get("polls_done", 0) > 0, "counters told", 15)
    assert one.stop() < 2.0
    until(lambda: hub.statuses[-1].state == "offline", "offline")
    assert hub.statuses[-1].epoch == status.epoch


def test_nothing_leaves_the_outbox_before_the_hub_acknowledges_and_hello_sends_it_again(
    mosquitto, hub_on, agent, scanner, tmp_path
):
    mosquitto.start()
    hub = hub_on(silent=True)
    one = agent(edge_file(mosquitto.port, reader(scanner)))
    scanner.wait_for_agent()
    scanner.send(b"lot-1\n")
    until(lambda: hub.frames, "the frame at the silent hub")
    (place,) = hub.frames
    hub.send_ack(Acknowledgement(epoch=place[0], lane="scan", upto=99))
    until(lambda: len(hub.order) >= 2, "sent again after the time-out", 8)
    hub.silent = False
    hub.hello()
    until(lambda: len(hub.order) >= 3, "sent again on hello", 1.5)
    one.stop()
    outbox = Outbox(tmp_path / "outbox.sqlite")
    assert outbox.is_empty
    outbox.close()
    assert not hub.clashes


def test_a_command_to_resend_is_obeyed_and_garbage_is_ignored(mosquitto, hub_on, agent, scanner):
    mosquitto.start()
    hub = hub_on(silent=True)
    agent(edge_file(mosquitto.port, reader(scanner)))
    scanner.wait_for_agent()
    scanner.send(b"lot-1\n")
    until(lambda: len(hub.order) == 1, "first")
    for topic in ("ack", "cmd"):
        hub.publish(f"sidestream/v1/h/p/gw/{topic}", b"\xff{")
    hub.publish("sidestream/v1/h/p/gw/cmd", b'{"v":1,"id":"1","do":"resend"}')
    until(lambda: len(hub.order) == 2, "resent", 1.5)


def test_a_device_that_never_answers_does_not_delay_the_scanner(mosquitto, hub_on, agent, scanner):
    """A Modbus server that takes the connection and says nothing; a scan must still arrive at once."""
    mosquitto.start()
    hub = hub_on()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        agent(edge_file(mosquitto.port, meter(deaf.getsockname()[1], timeout_s=5.0), reader(scanner)))
        scanner.wait_for_agent()
        time.sleep(0.3)
        began_s = time.monotonic()
        scanner.send(b"lot-7\n")
        until(lambda: hub.values("gate-qr") == ["lot-7"], "scan")
        assert time.monotonic() - began_s < 1.0


def test_an_outage_is_told_once_as_missing_and_ends_with_good_values(mosquitto, hub_on, agent, modbus):
    mosquitto.start()
    hub, port = hub_on(), free_port()
    agent(edge_file(mosquitto.port, meter(port)))
    until(lambda: len(hub.values("flow")) == 1, "missing at start")
    until(lambda: "can't be reached" in str(driver_status(hub, "meter")), "the error in the status")
    first = modbus(port)
    until(lambda: 0.0 in hub.values("flow"), "good values")
    first.stop()
    until(lambda: hub.values("flow").count(None) == 2, "missing again")
    modbus(port)
    good = hub.values("flow").count(0.0)
    until(lambda: hub.values("flow").count(0.0) > good + 3, "good again")
    assert hub.values("flow").count(None) == 2
    assert {q for _, _, val, q in hub.readings() if val is None} == {2}


def test_a_device_with_gaps_between_its_registers_is_read_apart(mosquitto, hub_on, agent, modbus):
    mosquitto.start()
    hub, device = hub_on(), modbus(refused={2, 3})
    agent(edge_file(mosquitto.port, meter(device.port)))
    until(lambda: len(hub.values("flow")) > 2 and len(hub.values("temp")) > 2, "both sensors")
    assert None not in hub.values("flow") + hub.values("temp")


def test_a_register_the_device_does_not_have_is_named_and_its_neighbour_is_read(mosquitto, hub_on, agent, modbus):
    mosquitto.start()
    hub, device = hub_on(), modbus(refused={4})
    agent(edge_file(mosquitto.port, meter(device.port)))
    until(lambda: len(hub.values("flow")) > 3 and hub.values("temp"), "both sensors")
    assert None not in hub.values("flow")
    assert hub.values("temp") == [None]
    status = until(
        lambda: (s := driver_status(hub, "meter")) and "illegal data address" in str(s) and s.get("last_good_at") and s,
        "named in the status, with when the other register was last good", 15,
    )  # fmt: skip
    assert status["counters"].get("polls_done", 0) == 0


def test_scanner_faults_are_counted_named_and_harm_no_neighbour(mosquitto, hub_on, agent, scanner):
    mosquitto.start()
    hub = hub_on()
    agent(edge_file(mosquitto.port, reader(scanner)))
    scanner.wait_for_agent()
    scanner.send(b"a\n\xff\xff\n" + b"x" * 600 + b"\nb\nhalf")
    until(lambda: hub.values("gate-qr") == ["a", "b"], "good lines")
    scanner.hang_up()
    scanner.wait_for_agent()
    scanner.send(b"c\n")
    until(lambda: hub.values("gate-qr") == ["a", "b", "c"], "after reconnect")
    status = until(
        lambda: (s := driver_status(hub, "gate")) and s["counters"].get("half_lines") and s, "faults in the status", 15
    )
    assert status["counters"] == {"bad_lines": 2, "half_lines": 1}
    assert "half a line" in status["error"]


def test_a_scan_file_is_followed_through_rotation_and_restart(mosquitto, hub_on, tmp_path, agent):
    mosquitto.start()
    hub, file = hub_on(), tmp_path / "scans.txt"
    file.write_text("old-1\n")
    edge = edge_file(mosquitto.port, {"id": "gate", "type": "scanner", "source": "scans.txt", "sensor": "gate-qr"})
    one = agent(edge)
    until(lambda: hub.values("gate-qr") == ["old-1"], "what was there")
    with file.open("a") as out:
        out.write("new-2\nhal")
    until(lambda: hub.values("gate-qr")[1:] == ["new-2"], "what came")
    one.stop()
    with file.open("a") as out:
        out.write("f-3\n")
    agent(edge)
    until(lambda: hub.values("gate-qr")[2:] == ["half-3"], "the rest after the restart")
    file.rename(tmp_path / "scans.1")
    file.write_text("rotated-4\n")
    until(lambda: hub.values("gate-qr")[3:] == ["rotated-4"], "the new file")
    quality = {val: q for _, _, val, q in hub.readings()}
    assert (quality["old-1"], quality["new-2"]) == (1, 0), "the time of a line that was there before is uncertain"


def test_a_recorded_file_arrives_whole_with_its_own_times_and_bad_cells_named(mosquitto, hub_on, agent, tmp_path):
    mosquitto.start()
    hub = hub_on()
    lines = [f"{n},{n * 0.5},{n}" for n in range(2500)]
    lines[7] = '7,"12,5",7'
    lines[9] = "soon,9,9"
    (tmp_path / "r.csv").write_text("time,kwh,m3\n" + "\n".join(lines))
    one = agent(edge_file(mosquitto.port, recorded("r.csv", time_format="epoch_s")), until_drained=True)
    one.wait()
    got = sorted((t, val, q) for name, t, val, q in hub.readings() if name == "energy" and val is not None)
    assert got == [(n * 1_000_000, n * 0.5, 0) for n in range(2500) if n not in {7, 9}]
    assert [(t, q) for name, t, val, q in hub.readings() if val is None and name == "energy"] == [(7_000_000, 2)]
    assert len(hub.values("volume")) == 2499
    assert {body["clock"] for body in hub.bodies()} == {"recorded"}
    assert {key.lane for key in hub.keys} == {"bulk"}
    assert max(len(body["i"]) for body in hub.bodies()) == 1000


def test_a_recorded_file_that_is_missing_or_misdescribed_fails_alone(mosquitto, hub_on, agent, scanner, tmp_path):
    mosquitto.start()
    hub = hub_on()
    (tmp_path / "r.csv").write_text("time,kWh,m3\n0,1,1\n")
    absent = {**recorded("none.csv"), "id": "absent", "sensors": [{"id": "x", "column": "x"}]}
    agent(edge_file(mosquitto.port, recorded("r.csv"), absent, reader(scanner)))
    scanner.wait_for_agent()
    scanner.send(b"lot\n")
    until(lambda: hub.values("gate-qr") == ["lot"], "scan")
    status = until(lambda: (s := driver_status(hub, "rec")) and s["state"] == "failed" and s, "failed")
    assert "did you mean 'kWh'" in status["error"]
    assert "No such file" in driver_status(hub, "absent")["error"]


def test_back_pressure_holds_the_file_and_not_the_scanner(mosquitto, hub_on, agent, scanner, tmp_path):
    """The hub is silent and the outbox small: the file waits, scans go on, nothing is dropped, all arrives later."""
    mosquitto.start()
    hub = hub_on(silent=True)
    (tmp_path / "r.csv").write_text("time,kwh,m3\n" + "".join(f"{n},{n},{n}\n" for n in range(20_000)))
    edge = edge_file(
        mosquitto.port, recorded("r.csv", time_format="epoch_s"), reader(scanner), outbox={"path": "o", "max_mb": 0.5}
    )
    one = agent(edge, until_drained=False)
    until(lambda: hub.statuses and "nothing of lane bulk is taken" in str(hub.statuses[-1].model_extra), "held", 15)
    scanner.wait_for_agent()
    scanner.send(b"alarm\n")
    until(lambda: hub.values("gate-qr") == ["alarm"], "scan during the hold", 2)
    hub.silent = False
    hub.hello()
    until(lambda: len(hub.values("energy")) == 20_000, "all of the file", 30)
    assert sorted(hub.values("volume")) == list(range(20_000))
    one.stop()


def test_each_lane_arrives_in_order(mosquitto, hub_on, agent, tmp_path):
    mosquitto.start()
    hub = hub_on()
    (tmp_path / "r.csv").write_text("time,kwh,m3\n" + "".join(f"{n},{n},{n}\n" for n in range(30_000)))
    agent(edge_file(mosquitto.port, recorded("r.csv", time_format="epoch_s")), until_drained=True).wait()
    first_arrivals = list(dict.fromkeys(hub.order))
    assert [seq for _, _, seq in first_arrivals] == list(range(1, len(first_arrivals) + 1))
    assert len(hub.values("energy")) == 30_000


def test_a_second_agent_on_the_same_outbox_is_refused(mosquitto, agent, scanner, tmp_path):
    mosquitto.start()
    edge = edge_file(mosquitto.port, reader(scanner))
    agent(edge)
    scanner.wait_for_agent()
    with pytest.raises(ConfigurationError, match="another edge agent"):
        run(edge, tmp_path, None)


def test_a_dead_broker_costs_no_thread_and_the_agent_is_back_within_a_second(
    mosquitto, hub_on, agent, scanner, tmp_path
):
    mosquitto.start()
    agent(edge_file(mosquitto.port, reader(scanner)))
    scanner.wait_for_agent()
    mosquitto.kill()
    scanner.send(b"offline-1\n")
    until(lambda: list(read_journal(tmp_path / "outbox.sqlite")), "stored while offline")
    time.sleep(2.0)
    mosquitto.start()
    began_s = time.monotonic()
    hub = hub_on()
    until(lambda: hub.values("gate-qr") == ["offline-1"], "after the broker's return")
    assert time.monotonic() - began_s < 2.0


def test_it_stops_within_two_seconds_even_while_a_device_hangs(mosquitto, tmp_path):
    mosquitto.start()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        one = AgentThread(edge_file(mosquitto.port, meter(deaf.getsockname()[1], timeout_s=30.0)), tmp_path)
        time.sleep(0.5)
        assert one.stop() < 2.0


def test_a_frozen_broker_is_noticed_within_the_keep_alive_and_survived(mosquitto, hub_on, agent, scanner):
    """SIGSTOP: the connection stands but nothing is confirmed; no frame is suspected, all arrive after the thaw."""
    mosquitto.start()
    hub = hub_on()
    broker = {"host": "127.0.0.1", "port": mosquitto.port, "keepalive_s": 1}
    agent(edge_file(mosquitto.port, reader(scanner), broker=broker))
    scanner.wait_for_agent()
    scanner.send(b"before\n")
    until(lambda: hub.values("gate-qr") == ["before"], "before")
    mosquitto.signal(signal.SIGSTOP)
    scanner.send(b"during\n")
    time.sleep(2.5)
    mosquitto.signal(signal.SIGCONT)
    until(lambda: hub.values("gate-qr") == ["before", "during"], "after the thaw")
    assert hub.statuses[-1].parked == 0
