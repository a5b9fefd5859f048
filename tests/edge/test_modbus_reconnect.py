"""Modbus through the reconnect matrix, against servers of other libraries: pyModbusTCP by TCP, modbus-serial by RTU."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_rig import free_port, until
from reconnect_rig import MATRIX, ServerProcess, Subject, Watched, never_answers

from sidestream_app.cli import app
from sidestream_contracts.edge import load_edge
from sidestream_edge.drivers.modbus import driver, line

SERVERS = Path(__file__).parent / "modbus_servers"
FAST = {"period_s": 0.1, "timeout_s": 0.3}
SENSORS = [{"id": "flow", "register": 4, "unit": "m3/h"}]
pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "LONGEST_PAUSE_S", 0.3)
    monkeypatch.setattr(line, "LONGEST_REOPEN_S", 0.3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    made: list[ServerProcess] = []

    def make(*command: str) -> ServerProcess:
        made.append(ServerProcess(command, tmp_path / f"server-{len(made)}.log"))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def node(server: Callable[..., ServerProcess]) -> Callable[..., ServerProcess]:
    """A device made of modbus-serial."""
    if shutil.which("node") is None or not (SERVERS / "node_modules").exists():
        pytest.skip("modbus-serial is not installed: make setup-node")
    return lambda kind, where, **options: server(
        "node", str(SERVERS / "server.js"), kind, str(where), json.dumps(options)
    )


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two serial ports that are joined: the gateway's end and the device's."""
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed: apt install socat")
    ends = tmp_path / "gateway", tmp_path / "device"
    socat = subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    until(lambda: all(end.exists() for end in ends), "both ends of the cable")
    yield ends
    socat.kill()
    socat.wait()


def tcp_subject(server: Callable[..., ServerProcess], tmp_path: Path) -> Subject:
    port = free_port()
    section = {"id": "meter", "type": "modbus", "host": "127.0.0.1", "port": port, **FAST, "sensors": SENSORS}
    return Subject(
        server(sys.executable, str(SERVERS / "tcp_server.py"), str(port), json.dumps([*range(100, 120)])),
        section, tmp_path, named="meter (127.0.0.1",
    )  # fmt: skip


def rtu(port: Path, unit: int = 1, **changes: Any) -> dict[str, Any]:
    serial = {"port": str(port), "baud": 115200, "parity": "none"}
    return {
        "id": f"m{unit}",
        "type": "modbus",
        "serial": serial,
        "unit_id": unit,
        **FAST,
        "sensors": SENSORS,
        **changes,
    }


@pytest.mark.parametrize("case", MATRIX)
def test_modbus_tcp_comes_back(case, server, tmp_path):
    MATRIX[case](tcp_subject(server, tmp_path))


@pytest.mark.parametrize("case", ["absent at start", "killed and back", "frozen and thawed", "stopped while frozen"])
def test_modbus_rtu_comes_back(case, node, cable, tmp_path):
    MATRIX[case](Subject(node("rtu", cable[1]), rtu(cable[0]), tmp_path, named="m1 ("))


def test_a_wrong_unit_id_is_named_by_tcp_and_on_a_line(node, cable, tmp_path):
    port = free_port()
    node("tcp", port, unit=1).start()
    section = {
        "id": "meter",
        "type": "modbus",
        "host": "127.0.0.1",
        "port": port,
        "unit_id": 9,
        **FAST,
        "sensors": SENSORS,
    }
    never_answers(section, tmp_path, "meter", "unit 9", "check unit_id")
    node("rtu", cable[1], unit=1).start()
    never_answers(rtu(cable[0], 9), tmp_path, "m9", "unit 9", "check unit_id, its power, wiring")


def test_a_serial_port_that_is_not_there_is_named_and_used_once_it_comes(node, cable, tmp_path):
    port = tmp_path / "ttyUSB0"
    node("rtu", cable[1]).start()
    watched = Watched(rtu(port), tmp_path)
    try:
        text = watched.until_trouble("the missing port is told")
        assert f"there is no {port}" in text
        port.symlink_to(cable[0])  # the adapter is plugged in
        watched.until_good("values")
    finally:
        watched.stop()
    assert watched.values()[0] == 1004.0


def test_one_dead_slave_among_twenty_does_not_cost_the_others_a_poll(node, cable, tmp_path):
    node("rtu", cable[1], silent=[7]).start()
    units = range(1, 21)
    slaves = {unit: Watched(rtu(cable[0], unit, period_s=1.0, timeout_s=3.0), tmp_path) for unit in units}

    def polls(unit: int) -> dict[str, int]:
        return slaves[unit].status.counters

    def all_read() -> bool:
        for slave in slaves.values():
            slave.pump()
        return all(polls(unit).get("polls_done", 0) >= 3 for unit in units if unit != 7)

    try:
        until(all_read, "three polls of all the others")
        assert {unit: set(slaves[unit].values()) for unit in units} == {
            unit: set() if unit == 7 else {unit * 1000.0 + 4} for unit in units
        }
        late = {unit: polls(unit)["polls_due"] - polls(unit)["polls_done"] for unit in units if unit != 7}
        assert sum(count > 1 for count in late.values()) <= 2, late  # one may be under way; a busy machine may cost one
        assert "m7 (" in str(slaves[7].status.error)
    finally:
        for slave in slaves.values():
            slave.stop()


def test_every_table_type_and_order_is_read_from_another_librarys_server(node, cable, tmp_path):
    words = {10: 0x41C8, 11: 0x0000, 12: 0x0000, 13: 0x41C8, 14: 0xC841, 15: 0x0000, 16: 0x0000, 17: 0xC841, 18: 0xFFFE}
    node("rtu", cable[1], words=words, bits={3: 1}).start()
    sensors = [
        {"id": "abcd", "register": 10, "type": "float32"},
        {"id": "cdab", "register": 12, "type": "float32", "word_order": "little"},
        {"id": "badc", "register": 14, "type": "float32", "byte_order": "little"},
        {"id": "dcba", "register": 16, "type": "float32", "word_order": "little", "byte_order": "little"},
        {"id": "minus", "register": 18, "type": "int16", "scale": 0.5},
        {"id": "input", "register": 18, "type": "int16", "table": "input", "offset": 10},
        {"id": "coil", "register": 3, "table": "coil"},
        {"id": "discrete", "register": 2, "table": "discrete"},
    ]
    watched = Watched(rtu(cable[0], sensors=sensors), tmp_path)
    try:
        watched.until(lambda: {r.sensor for r in watched.readings} >= {s["id"] for s in sensors}, "every sensor")
    finally:
        watched.stop()
    found = {r.sensor: r.val for r in watched.readings}
    assert found == {
        "abcd": 25.0, "cdab": 25.0, "badc": 25.0, "dcba": 25.0, "minus": -1.0, "input": 8.0, "coil": 1.0, "discrete": 0.0,
    }  # fmt: skip


def test_rtu_frames_through_a_serial_server_are_read(node, cable, tmp_path):
    node("rtu", cable[1]).start()
    port = free_port()
    socat = subprocess.Popen(
        ["socat", f"tcp-listen:{port},bind=127.0.0.1,reuseaddr,fork", f"{cable[0].readlink()},raw,echo=0"]
    )
    section = {
        "id": "m3",
        "type": "modbus",
        "host": "127.0.0.1",
        "port": port,
        "framing": "rtu",
        "unit_id": 3,
        **FAST,
        "sensors": SENSORS,
    }
    watched = Watched(section, tmp_path)
    try:
        watched.until_good("values")
    finally:
        watched.stop()
        socat.kill()
        socat.wait()
    assert watched.values()[0] == 3004.0


class Babbler:
    """Listens and answers whatever it is asked with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                try:
                    while peer.recv(100):
                        peer.sendall(self._answer)
                except OSError:
                    continue

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 40,
        b"\0\1\0\0\0\3\1\3\0",
        b"\0\1\0\0\0\5\1\3\2\1\2",
        b"\0\1\0\0\0\7\1\x83\2\0\0\0\0",
        b"\0\1\0\0\0\7\1\4\4\0\1\0\2",
    ],
    ids=[
        "another protocol",
        "zeros",
        "no registers",
        "an answer to the first question only",
        "too long an exception",
        "an answer to another function",
    ],
)
def test_a_device_that_answers_garbage_is_named_and_gives_no_value(answer, tmp_path):
    babbler = Babbler(answer)
    section = {
        "id": "odd", "type": "modbus", "host": "127.0.0.1", "port": babbler.port, **FAST,
        "sensors": [{"id": "a", "register": 0}, {"id": "b", "register": 1}],
    }  # fmt: skip
    try:
        never_answers(section, tmp_path, "odd (127.0.0.1")
    finally:
        babbler.close()


@pytest.mark.parametrize(
    "answer",
    [b"\xff\x00\xaa" * 5, bytes.fromhex("010302006479aa"), bytes.fromhex("090302006498af")],
    ids=["noise", "a wrong check sum", "another device's answer"],
)
def test_garbage_on_a_line_is_named_with_its_first_bytes_and_gives_no_value(answer, cable, tmp_path):
    device = os.open(cable[1], os.O_RDWR | os.O_NOCTTY)
    ended = threading.Event()

    def babble() -> None:
        while not ended.is_set():
            if select.select([device], [], [], 0.05)[0]:
                os.read(device, 256)
                os.write(device, answer)

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        never_answers(rtu(cable[0]), tmp_path, "m1 (", answer[:4].hex(" "), "check baud rate and parity")
    finally:
        ended.set()
        thread.join(10)
        os.close(device)


def test_a_probe_finds_the_units_of_a_serial_line_and_drafts_drivers_that_share_it(node, cable, tmp_path, capsys):
    node("rtu", cable[1], silent=[2]).start()
    draft = tmp_path / "edge.yaml"
    options = ["--serial", str(cable[0]), "--baud", "115200", "--parity", "none", "--unit", "1-3", "--registers", "0-9"]
    assert (
        app(
            ["edge", "probe", "modbus", *options, "--timeout", "0.3", "--write", str(draft)],
            result_action="return_value",
        )
        == 0
    )
    said = capsys.readouterr().out
    assert f"{cable[0]} 115200 8N1: unit 1, 3 of 1–3 answers" in said
    assert "holding registers: 0–9" in said
    edge = load_edge(draft)
    assert [(driver.unit_id, driver.serial.port, driver.serial.parity) for driver in edge.drivers] == [
        (unit, str(cable[0]), "none") for unit in (1, 3)
    ]
