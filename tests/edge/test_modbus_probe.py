"""Probe and diagnosis against Modbus servers of other libraries: what is there is found, and drafted so that it runs."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edge_rig import free_port
from reconnect_rig import ServerProcess

from sidestream_app.cli import app
from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_modbus import ModbusDriver, SerialLine
from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_edge.drivers.modbus.diagnose import diagnose
from sidestream_edge.drivers.modbus.link import TcpAddress
from sidestream_edge.probe.modbus import Manner, probe
from sidestream_edge.probe.modbus_report import lines

SERVERS = Path(__file__).parent / "modbus_servers"
HELD = [word for value in (12.5, 60.25, 81.37) for word in reversed(struct.unpack(">HH", struct.pack(">f", value)))]
HASTY = Manner(timeout_s=0.3, pause_s=0.0)
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A pyModbusTCP device with three floats in order CDAB, a temperature of 21.5 as 215, and 20 words of nothing."""
    port = free_port()
    log = tmp_path_factory.mktemp("meter") / "log"
    server = ServerProcess(
        [sys.executable, str(SERVERS / "tcp_server.py"), str(port), json.dumps([*HELD, 215, *[0] * 20])], log
    )
    server.start()
    yield port
    server.kill()


@pytest.fixture
def serial(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Starts a modbus-serial device."""
    if shutil.which("node") is None or not (SERVERS / "node_modules").exists():
        pytest.skip("modbus-serial is not installed: make setup-node")
    made: list[ServerProcess] = []

    def start(kind: str, where: object, **options: object) -> None:
        command = ["node", str(SERVERS / "server.js"), kind, str(where), json.dumps(options)]
        made.append(ServerProcess(command, tmp_path / f"{len(made)}.log"))
        made[-1].start()

    yield start
    for one in made:
        one.kill()


def run(*tokens: str) -> int:
    return int(app([*tokens], result_action="return_value"))


def test_registers_identification_and_byte_order_are_found_and_the_draft_is_well_formed(meter, tmp_path, capsys):
    draft = tmp_path / "edge.yaml"
    command = [
        "edge",
        "probe",
        "modbus",
        f"127.0.0.1:{meter}",
        "--registers",
        "0-99",
        "--pause",
        "0",
        "--write",
        str(draft),
    ]
    assert run(*command, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (unit,) = told["units"]
    assert told["answers_to_all"]
    assert unit["says"] == {"vendor": "ACME", "product": "HM-12", "version": "V1.02"}
    holding = unit["tables"][0]
    assert [(span["first"], span["last"]) for span in holding["spans"]] == [(0, 26)]
    likely = {each["register"]: each["likely"] for each in holding["contents"]}
    assert likely[0] == {"value": 12.5, "type": "float32", "order": "CDAB"}
    assert likely[6] == {"value": 215.0, "type": "uint16", "order": "ABCD"}
    (driver,) = load_edge(draft).drivers
    assert [(s.register_, s.type, s.word_order) for s in driver.sensors[:4]] == [
        (0, "float32", "little"), (2, "float32", "little"), (4, "float32", "little"), (6, "uint16", "big"),
    ]  # fmt: skip
    assert told["draft"] == draft.read_text()
    with pytest.raises(ConfigurationError, match="is there already and is left as it is"):
        run(*command)
    assert run(*command, "--overwrite") == 0
    assert "0 0000 4148 12.5 float32 CDAB or" in " ".join(capsys.readouterr().out.split())


def test_a_probe_that_runs_out_of_requests_tells_what_it_has_found_so_far(meter):
    found = probe(TcpAddress("127.0.0.1", meter), [1], [(0, 999)], Manner(0.5, 0.0, most_requests=12), lambda _: None)
    holding, inputs = found.units[0].tables
    assert found.units[0].cut_short
    assert holding.spans[0].words[:2] == tuple(HELD[:2])
    assert holding.ended == inputs.ended == "not all was asked: 12 requests were made"


def test_a_drafted_sensor_reads_what_the_probe_showed(meter, tmp_path):
    draft = tmp_path / "edge.yaml"
    assert (
        run(
            "edge", "probe", "modbus", f"127.0.0.1:{meter}", "--registers", "0-9", "--pause", "0", "--write", str(draft)
        )
        == 0
    )
    (driver,) = load_edge(draft).drivers
    values = {f.sensor: f.value for f in diagnose(driver, {}) if f.step == "value"}
    assert [round(value, 3) for value in values.values() if value][:4] == [12.5, 60.25, 81.37, 215.0]


def test_units_of_a_gateway_are_told_apart_and_silent_ones_are_left_out(serial):
    port = free_port()
    serial("tcp", port, silent=[2, 4])
    found = probe(TcpAddress("127.0.0.1", port), [1, 2, 3, 4], [(0, 9)], HASTY, lambda _: None)
    assert [unit.unit for unit in found.units] == [1, 3]
    assert [str(span) for span in found.units[0].tables[0].spans] == ["0–9"]
    assert found.units[1].tables[0].spans[0].words[:2] == (3000, 3001)


def test_where_no_unit_answers_the_report_says_what_to_check(serial):
    port = free_port()
    serial("tcp", port, unit=77)
    address = TcpAddress("127.0.0.1", port)
    found = probe(address, [1, 2], [], Manner(timeout_s=0.1, pause_s=0.0), lambda _: None)
    assert found.units == ()
    assert list(lines(address, found)) == [
        f"127.0.0.1:{port}: none of unit 1–2 answers.",
        "Check the unit id in the device's manual (--unit all asks 1 to 247), and whether it lets only one master in.",
    ]
    assert run("edge", "probe", "modbus", f"127.0.0.1:{port}", "--unit", "1", "--timeout", "0.1") == 1


@pytest.mark.parametrize(
    ("tokens", "error", "said"),
    [
        ((), ConfigurationError, r"either HOST\[:PORT\] or --serial"),
        (("a b",), ConfigurationError, "is no HOST or HOST:PORT"),
        (("h", "--unit", "9-1"), ConfigurationError, "write numbers from 0 to 255"),
        (("--serial", "/dev/nothing"), TransientError, "/dev/nothing: there is no /dev/nothing"),
        (("127.0.0.1:1",), TransientError, "127.0.0.1:1: the machine is there, but nothing listens"),
    ],
)
def test_what_can_not_be_asked_is_said_with_a_way_out(tokens, error, said):
    with pytest.raises(error, match=said):
        run("edge", "probe", "modbus", *tokens)


def test_a_diagnosis_shows_the_four_readings_and_which_is_in_range(meter):
    wrong = ModbusDriver.model_validate(
        {
            "id": "m", "type": "modbus", "host": "127.0.0.1", "port": meter, "timeout_s": 1,
            "sensors": [
                {"id": "flow", "register": 0, "type": "float32", "unit": "m3/h"},
                {"id": "temp", "register": 6, "unit": "Cel"},
                {"id": "gone", "register": 90},
            ],
        }
    )  # fmt: skip
    found = list(diagnose(wrong, {"flow": (0, 40), "temp": (0, 100)}))
    assert [(f.step, f.ok) for f in found] == [
        ("way", True),
        ("device", True),
        ("value", False),
        ("value", False),
        ("value", False),
    ]
    flow, temp, gone = found[2:]
    assert flow.text.startswith("flow (holding 0): 2.34")
    assert "is hardly a measurement. Check type, word_order" in flow.text
    assert [line.split(" (")[1][:4] for line in flow.could_mean[:4]] == ["ABCD", "CDAB", "BADC", "DCBA"]
    assert "could mean 12.5 (CDAB; type: float32, word_order: little), in range" in flow.could_mean
    assert (
        temp.text
        == "temp (holding 6): 215 Cel is out of its range 0…100 Cel. Check type, word_order, byte_order and scale"
    )
    assert temp.could_mean[-1] == "or, with another scale, in range: scale 0.1, 0.01, 0.001"
    assert "exception 2, illegal data address" in gone.text
    beyond = list(diagnose(wrong, {"flow": (0, 10)}))[2]
    assert not beyond.ok, "nonsense stays doubtful where the sensible reading lies out of range"


def test_a_serial_line_that_is_held_is_named():
    config = ModbusDriver.model_validate(
        {"id": "m", "type": "modbus", "serial": {"port": "/dev/null"}, "sensors": [{"id": "a", "register": 0}]}
    )
    (found,) = diagnose(config, {})
    assert (found.step, found.ok) == ("way", False)
    assert "/dev/null is held by another program, is no serial port, or does not take these settings" in found.text
    assert isinstance(config.serial, SerialLine)
