"""The LLRP driver on a real LLRP server: events once, times of the reader, trouble in words; see also `test_llrp_reconnect`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from edge_rig import free_port, until
from llrp_rig import FAST, DriverRun, ReaderThread

from sidestream_contracts.frame import Quality
from sidestream_simulators.rfid_portal import PortalRead, sgtin

pytestmark = pytest.mark.server

BAG, CODE = sgtin(6789), "urn:epc:id:sgtin:0614141.812345.6789"


def now_us() -> int:
    return round(datetime.now(UTC).timestamp() * 1e6)


@pytest.fixture
def reader() -> Iterator[Callable[..., ReaderThread]]:
    made: list[ReaderThread] = []

    def make(port: int = 0, **options) -> ReaderThread:
        made.append(ReaderThread(port, **options))
        return made[-1]

    yield make
    for one in made:
        if one._thread.is_alive():
            one.stop()


@pytest.fixture
def run(tmp_path) -> Iterator[Callable[..., DriverRun]]:
    made: list[DriverRun] = []

    def make(port: int, **changes) -> DriverRun:
        made.append(DriverRun(tmp_path, port, **changes))
        return made[-1]

    yield make
    for one in made:
        assert one.stop()


def flapping(epc: bytes, antenna: int, times: int, seed: int = 1, rate: float = 0.65) -> list[PortalRead]:
    """So many reads of rounds of 50 ms, of which some miss the tag (at most six together)."""
    rng, reads, n, missed = random.Random(seed), [], 0, 0
    while len(reads) < times:
        hit = rng.random() < rate or missed >= 6
        reads += [PortalRead(n * 0.01, epc, antenna, -55.0)] if hit else []
        n, missed = n + 1, 0 if hit else missed + 1
    return reads


def test_flapping_reads_are_one_enter_and_one_leave(reader, run):
    """Fault 30, over the protocol; with 200 reads and the twin in `test_llrp_twin.py`."""
    door = reader()
    driver = run(door.port, smoothing={"epoch_s": 0.1, "delta": 1e-4})
    door.until_reading()
    before_us = now_us()
    door.play(flapping(BAG, 1, 60))
    until(lambda: len(driver.scans()) == 2, "enter and leave")
    enter, leave = driver.scans()
    assert [(s.sensor, s.code, s.rssi, s.q) for s in (enter, leave)] == [
        ("door", CODE, -55.0, Quality.GOOD), ("door-left", CODE, -55.0, Quality.GOOD),
    ]  # fmt: skip
    assert before_us - 10_000 <= enter.t < leave.t <= now_us()
    assert leave.t - enter.t > 500_000
    assert driver.status.counters["reads"] == 60
    assert driver.status.state == "running"
    assert driver.status.error is None


def test_from_outside_to_inside_is_one_scan_of_the_passage_and_raw_reads_are_kept_apart(reader, run):
    gate = reader()
    driver = run(
        gate.port,
        keep_raw=True,
        places=[{"id": "outside", "antennas": [1]}, {"id": "inside", "antennas": [2]}],
        passages=[{"from": "outside", "to": "inside", "sensor": "gate-in"},
                  {"from": "inside", "to": "outside", "sensor": "gate-out"}],
    )  # fmt: skip
    gate.until_reading()
    gate.play(flapping(BAG, 1, 20))
    until(lambda: len(driver.scans("bulk")) == 20, "raw reads")
    gate.play(flapping(BAG, 2, 20))
    until(driver.scans, "the passage")
    assert driver.told() == [("gate-in", CODE)]
    until(lambda: len(driver.scans("bulk")) == 40, "raw reads")
    assert {sensor for sensor, _ in driver.told("bulk")} == {"dock-raw-1", "dock-raw-2"}
    assert all(one.t <= other.t for one, other in pairwise(driver.scans("bulk")))
    assert driver.told() == [("gate-in", CODE)]


@pytest.mark.parametrize(
    ("options", "trusted", "words"),
    [
        ({"clock_off_s": 0.5}, True, None),
        ({"clock_off_s": -94_608_000.0}, False, "94,608,000 s behind"),
        ({"clock_off_s": 315_576_000.0}, False, "ahead"),
        ({"uptime": True}, False, "counts from its start"),
    ],
)
def test_times_are_the_readers_where_its_clock_is_right_and_the_gateways_where_not(
    reader, run, options, trusted, words
):
    """Fault 17 at a reader: the time is never years off, and it is said whose it is."""
    door = reader(**options)
    driver = run(door.port)
    door.until_reading()
    before_us = now_us()
    door.play(flapping(BAG, 1, 10))
    until(driver.scans, "an enter")
    (enter, *_) = driver.scans()
    shift_us = 500_000 if trusted else 0
    assert before_us - 100_000 <= enter.t - shift_us <= now_us()
    assert enter.q == (Quality.GOOD if trusted else Quality.UNCERTAIN)
    assert any(words in note for note in driver.status.notes) if words else driver.status.notes == []


def test_a_reader_that_another_client_holds_is_named_so_and_taken_over_when_it_is_free(reader, run, tmp_path):
    door = reader()
    first = DriverRun(tmp_path, door.port)
    door.until_reading()
    second = run(door.port)
    until(lambda: "is taken: another LLRP client" in (second.status.error or ""), "the reason in words")
    assert first.stop()
    until(lambda: second.status.error is None and second.status.last_good_at, "the second one reads")
    door.until_reading()
    door.play(flapping(BAG, 1, 5))
    until(second.scans, "an enter")


def test_an_antenna_whose_cable_is_pulled_is_named_and_no_tag_leaves_there(reader, run):
    door = reader()
    driver = run(door.port)
    door.until_reading()
    door.play(flapping(BAG, 1, 10))
    until(lambda: driver.told() == [("door", CODE)], "an enter")
    door.do(door.reader.plug(1, connected=False))
    until(lambda: any("antenna 1 is not connected" in note for note in driver.status.notes), "a note")
    time.sleep(0.7)  # long past the leave, had it been silence
    assert driver.told() == [("door", CODE)]
    door.do(door.reader.plug(1, connected=True))
    until(lambda: any("antenna 1 is connected" in note for note in driver.status.notes), "the note is taken back")
    until(lambda: driver.told() == [("door", CODE), ("door-left", CODE)], "a leave, now that silence counts")


def test_an_antenna_that_is_not_there_from_the_beginning_is_named(reader, run):
    door = reader(antennas=2)
    driver = run(door.port, places=[{"id": "door", "antennas": [1, 3], "sensor": "door"}])
    door.until_reading()
    until(lambda: any("has 2 antennas, not 3" in note for note in driver.status.notes), "a note")
    door.play(flapping(BAG, 1, 5))
    until(lambda: driver.told() == [("door", CODE)], "the other antenna is read")


def test_an_overflow_is_counted_and_a_tag_does_not_leave_by_reads_that_were_lost(reader, run):
    door = reader()
    driver = run(door.port)
    door.until_reading()
    door.play(flapping(BAG, 1, 10))
    until(driver.told, "an enter")
    door.do(door.reader.overflow())
    until(lambda: driver.status.counters.get("reader_overflow"), "an overflow")
    assert "reads are lost" in (driver.status.error or "")


def test_a_power_that_the_reader_can_not_is_told_with_what_to_correct(reader, run):
    door = reader()
    driver = run(door.port, power_dbm=5)
    until(lambda: "below the reader minimum" in (driver.status.error or ""), "the reason")
    assert "Correct `power_dbm`" in driver.status.error


def test_absent_at_the_start_killed_and_back_no_tag_enters_twice_or_leaves_meanwhile(reader, run):
    port = free_port()
    driver = run(port)
    until(lambda: "can't be reached" in (driver.status.error or ""), "it is told that there is no reader")
    door = reader(port)
    door.until_reading()
    door.play(flapping(BAG, 1, 20))
    until(lambda: driver.told() == [("door", CODE)], "an enter")
    door.stop()
    until(lambda: driver.status.error, "the loss")
    time.sleep(0.7)  # long past the leave, had it been silence
    again = reader(port)
    again.until_reading()
    again.play(flapping(BAG, 1, 20))
    until(lambda: len(driver.scans()) == 2, "a leave")
    assert driver.told() == [("door", CODE), ("door-left", CODE)]
    assert driver.status.restarts == 0


def test_a_port_that_speaks_no_llrp_is_named_so(run):
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                peer.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        driver = run(server.getsockname()[1])
        until(lambda: "does not speak LLRP" in (driver.status.error or ""), "the reason")
        thread.join(5)


def test_a_code_that_is_no_gs1_code_is_told_in_hex_and_longer_ones_too(reader, run):
    door = reader()
    driver = run(door.port, smoothing={**FAST, "enter_epochs": 1})
    door.until_reading()
    for epc in (bytes.fromhex("E20000170109010162100001"), bytes.fromhex("AB" * 16)):
        door.show(epc, 1)
    until(lambda: len(driver.scans()) == 4, "both")
    assert {code for _, code in driver.told()} == {"E20000170109010162100001", "AB" * 16}
