"""The scale driver on real ports: pseudo-terminals, a pair of socat, a TCP port; unplugged, silent, set wrongly and back."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from edge_rig import free_port, until

from sidestream_contracts.frame import Quality
from sidestream_simulators.scale import ScaleLine, SimulatedScale

pytestmark = pytest.mark.server


@pytest.fixture
def line():
    lines = []

    def start(speech: str, **how) -> ScaleLine:
        lines.append(ScaleLine(SimulatedScale(), speech, **how))
        return lines[-1]

    yield start
    for one in lines:
        one.close()


def scale(line: ScaleLine, protocol: str, **changes) -> dict:
    source = f"serial://{line.path}" if line.path else f"tcp://127.0.0.1:{line.port}"
    return {
        "id": "s", "type": "scale", "source": source, "protocol": protocol, "unit": "kg", "period_s": 0.05,
        "sensors": [{"id": "w"}], **changes,
    }  # fmt: skip


LINES = {
    "patterns": [
        r"(?P<state>ST|US|OL|UL),(?P<kind>GS|NT),\s*(?P<value>[+-]?\s*[\d.]+) (?P<unit>kg|lb)(?:,(?P<code>\w+))?"
    ]
}


@pytest.mark.parametrize(
    ("speech", "section"),
    [
        ("sics", {"protocol": "sics"}),
        ("sics", {"protocol": "sics", "polled": True}),
        ("toledo", {"protocol": "toledo", "checksum": True}),
        ("print", {"protocol": "lines", "lines": LINES}),
    ],
)
def test_weights_arrive_over_a_serial_port_with_their_state(speech, section, line, run_driver):
    device = line(speech)
    device.scale.load_kg, device.scale.is_still = 120.5, False
    rig = run_driver({**scale(device, ""), **section})
    until(lambda: rig.values("w"), "a weight")
    device.scale.is_still = True
    until(lambda: rig.readings("w")[-1].q == Quality.GOOD, "it stands still")
    assert {(r.val, r.q) for r in rig.readings("w")} == {(120.5, 1), (120.5, 0)}
    device.scale.load_kg = 1e6
    until(lambda: rig.readings("w")[-1][2:] == (None, Quality.BAD), "overload")
    assert "overload" in rig.said("over")
    device.scale.load_kg = 3.0
    until(lambda: rig.values("w")[-1] == 3.0, "back in range")
    assert rig.status().state == "running"


def test_net_gross_and_tare_of_a_polled_scale_over_tcp(line, run_driver):
    device = line("sics", tcp_port=0)
    device.scale.load_kg, device.scale.tare_kg = 10.0, 4.0
    sensors = [{"id": "net", "reads": "net"}, {"id": "gross", "reads": "gross"}, {"id": "tare", "reads": "tare"}]
    rig = run_driver(scale(device, "sics", polled=True, sensors=sensors))
    until(lambda: rig.values("tare"), "the tare")
    assert (rig.values("net")[-1], rig.values("gross")[-1], rig.values("tare")[-1]) == (6.0, 10.0, 4.0)
    counters = until(lambda: (c := rig.status().counters).get("polls_done", 0) > 2 and c, "polls")
    assert counters["polls_due"] >= counters["polls_done"] - 1


def test_a_weight_in_another_unit_is_refused_with_both_ways_out(line, run_driver):
    device = line("print")
    device.scale.unit = "lb"
    rig = run_driver(scale(device, "lines", lines=LINES))
    said = rig.said("wrong_unit")
    assert "shows [lb_av] where edge.yaml says unit: kg" in said
    until(lambda: rig.values("w") == [None], "null, once")
    trusting = run_driver(scale(line("print"), "lines", lines=LINES, check_unit=False, unit="[lb_av]"))
    until(lambda: 0.0 in trusting.values("w"), "a weight whose unit mark is known to be wrong")


def test_a_wrong_protocol_and_a_wrong_baud_rate_are_named_and_right_bytes_end_the_trouble(line, run_driver):
    device = line("print", period_s=0.02)
    rig = run_driver(scale(device, "sics", polled=True))
    rig.said("text, but not MT-SICS")
    noise = line("sics")
    noise.be_silent()
    other = run_driver(scale(noise, "sics"))
    noisy = threading.Event()

    def say() -> None:
        for n in itertools.count():
            if noisy.wait(0.01):
                return
            noise.say(bytes((n * 41 + k * 97 + 128) % 256 for k in range(16)))

    talker = threading.Thread(target=say)
    talker.start()
    other.said("baud rate is probably wrong")
    noisy.set()
    talker.join()
    noise.be_silent(False)
    noise.say(b"\r\nS S 5.00 kg\r\n")
    until(lambda: 5.0 in other.values("w"), "a weight")
    assert other.status().error is None or "baud rate is" not in other.status().error


def test_a_silent_scale_is_told_asked_again_and_comes_back(line, run_driver):
    device = line("sics")
    rig = run_driver(scale(device, "sics", silent_s=0.3))
    until(lambda: rig.values("w"), "a weight")
    device.be_silent()
    device.lose_power()
    assert "it sends nothing" in rig.said("gives no weight")
    until(lambda: rig.readings("w")[-1].val is None, "null")
    device.be_silent(False)
    until(lambda: rig.values("w")[-1] is not None, "back")
    assert device.heard.count("SIR") >= 2, "it was asked again"


def test_an_unplugged_port_is_named_and_taken_up_again(tmp_path: Path, line, run_driver):
    link, device = tmp_path / "port", line("toledo")
    link.symlink_to(device.path)
    rig = run_driver({**scale(device, "toledo", checksum=True), "source": f"serial://{link}"})
    until(lambda: rig.values("w"), "a weight")
    link.unlink()
    device.close()
    assert str(link) in rig.said("was unplugged")
    rig.said("can't be opened: there is no")
    device = line("toledo")
    device.scale.load_kg = 8.0
    link.symlink_to(device.path)
    until(lambda: rig.values("w")[-1] == 8.0, "plugged in again")


def test_a_port_that_another_driver_holds_is_refused_in_words(line, run_driver):
    device = line("toledo")
    first = run_driver(scale(device, "toledo", checksum=True))
    until(lambda: first.values("w"), "a weight")
    run_driver(scale(device, "toledo", checksum=True, id="t")).said("another program holds")


def test_a_scale_that_is_not_there_at_start_and_is_restarted_over_tcp(line, run_driver):
    port = free_port()
    section = {**scale(line("toledo"), "toledo", checksum=True), "source": f"tcp://127.0.0.1:{port}"}
    rig = run_driver(section)
    rig.said("is not connected")
    device = line("toledo", tcp_port=port)
    until(lambda: 0.0 in rig.values("w"), "a weight")
    device.close()
    rig.said("it closed the connection")
    device = line("toledo", tcp_port=port)
    device.scale.load_kg = 9.0
    until(lambda: rig.values("w")[-1] == 9.0, "back")


def test_a_vehicle_is_weighed_once_through_a_restart_with_its_plate(line, run_driver):
    device = line("print", period_s=0.02)
    weighing = {"id": "truck", "above": 500, "below": 200, "stable_s": 0.1, "within": 20, "codes": "plate"}
    section = scale(device, "lines", lines=LINES, sensors=[], weighing=weighing)
    device.scale.load_kg, device.scale.plate = 18_240.0, "AB12345"
    rig = run_driver(section)
    until(lambda: rig.values("truck") == [18_240.0], "the weighing")
    until(lambda: rig.codes() == ["AB12345"], "the plate")
    assert rig.scans()[0].t == rig.readings("truck")[0].t
    assert {batch.lane for batch in rig.batches} == {"scan"}
    again = run_driver(section, cursor=rig.stop())
    until(lambda: again.status().last_good_at is not None, "it reads")
    device.scale.load_kg = 0.0
    until(lambda: again.cursor == '{"weighed": false}', "the bridge is empty")
    device.scale.load_kg, device.scale.is_still = 9_000.0, False
    time.sleep(0.1)
    device.scale.load_kg = 0.0
    again.said("left before it had stood still")
    assert again.values("truck") == []


def test_in_a_process_of_its_own_weights_and_weighings_go_by_their_two_lanes(line, run_driver):
    device = line("print", period_s=0.02)
    weighing = {"id": "truck", "above": 500, "below": 200, "stable_s": 0.1, "within": 20}
    device.scale.load_kg = 9_000.0
    rig = run_driver(scale(device, "lines", lines=LINES, weighing=weighing, isolation="process"))
    until(lambda: rig.values("truck") == [9_000.0] and rig.values("w"), "both")
    assert {batch.lane for batch in rig.batches} == {"live", "scan"}


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed: apt install socat")
def test_weights_arrive_over_a_pair_of_socat(tmp_path: Path, run_driver):
    near, far = tmp_path / "near", tmp_path / "far"
    pair = subprocess.Popen(["socat", f"pty,raw,echo=0,link={near}", f"pty,raw,echo=0,link={far}"])
    try:
        until(lambda: near.exists() and far.exists(), "the pair")
        with far.open("wb", buffering=0) as out:
            section = {"id": "s", "type": "scale", "source": f"serial://{near}", "protocol": "sics", "unit": "kg"}
            rig = run_driver(
                {**section, "sensors": [{"id": "w"}], "serial": {"baud": 19_200, "parity": "even", "data_bits": 7}}
            )

            def weighs() -> bool:
                out.write(b"S S      42.00 kg\r\n")
                return 42.0 in rig.values("w")

            until(weighs, "a weight through socat")
    finally:
        pair.terminate()
        pair.wait()
    rig.said("there is no")
