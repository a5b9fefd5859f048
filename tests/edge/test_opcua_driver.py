"""The OPC UA driver against a server that is not ours (node-opcua): values, outages, restarts, trust. One server for most of it."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_rig import free_port
from opcua_rig import NODE, Cable, NodeServer, Watched

from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSecurity
from sidestream_contracts.errors import TransientError
from sidestream_edge.probe.draft import Head, edge_yaml
from sidestream_edge.probe.opcua import Manner, probe
from sidestream_edge.probe.opcua_report import driver_sections, lines

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        NODE is None, reason="node-opcua is not installed: run `make setup-node` (needs nodejs and npm)"
    ),
]
LINE = "Plant/Line&/1"
FLOW = {"id": "flow", "node": "nsu=urn:test:plant;s=Line1.Flow", "unit": "m3/h"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeServer]:
    """One process for most tests, since it takes seconds to start."""
    one = NodeServer(tmp_path_factory.mktemp("opcua"))
    yield one
    one.kill()


@pytest.fixture
def running(server: NodeServer) -> NodeServer:
    return server if server.runs else server.start()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Starts the driver; many things may be said of it, short times by default."""
    opened: list[Watched] = []

    def start(url: str, *sensors: dict[str, Any], kept: dict[str, Any] | None = None, **how: Any) -> Watched:
        quick = {"publishing_s": 0.05, "sampling_s": 0, "keepalive_s": 0.3, "timeout_s": 3}
        config = OpcUaDriver.model_validate(
            {"id": "plc", "type": "opcua", "url": url, **quick, **how, "sensors": list(sensors)}
        )
        opened.append(Watched(config, tmp_path / "opcua", **(kept or {})))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_a_server_that_is_absent_at_first_is_read_with_the_times_states_and_types_of_its_sources(
    running: NodeServer, watch: Callable[..., Watched]
) -> None:
    cable = Cable(running.port, plugged=False)
    driver = watch(
        cable.url, FLOW, {"id": "temp", "path": f"{LINE}/Temp", "unit": "K"}, {"id": "on", "node": f"ns={running.index};s=Line1.Running"},
        {"id": "count", "path": f"{LINE}/Count", "scale": 0.1, "deadband": 10}, {"id": "label", "path": f"{LINE}/Label"},
        {"id": "profile", "path": f"{LINE}/Profile"}, {"id": "twin", "path": f"{LINE}/Twin"}, {"id": "typo", "path": f"{LINE}/Flwo"},
    )  # fmt: skip
    driver.until(lambda: "nothing listens on port" in driver.error, "the server is told absent")
    driver.until(lambda: [r[2:] for r in driver.readings("flow")] == [(None, 2)], "it has no value")
    cable.plug()
    driver.until(lambda: driver.values("flow")[-1] is not None, "the first value comes")
    at_ms = time.time_ns() // 1_000_000 - 5000
    running.tell(*(f"set Flow {n} {at_ms + n}" for n in range(1, 101)))
    driver.until(lambda: 100.0 in driver.values("flow"), "all changes come")
    assert [r for r in driver.readings("flow") if r.t < at_ms * 1000 + 1_000_000][-100:] == [
        ("flow", (at_ms + n) * 1000, float(n), 0) for n in range(1, 101)
    ]
    running.tell("set Running 1", "set Count 4000000000", "uncertain Temp UncertainLastUsableValue")
    driver.until(
        lambda: 1.0 in driver.values("on") and 4e8 in driver.values("count"), "a boolean and a large integer come"
    )
    running.tell("set Count 4000000005", "set Count 4000000050")
    driver.until(lambda: 400000005.0 in driver.values("count"), "a change beyond the deadband comes")
    assert 400000000.5 not in driver.values("count")
    driver.until(lambda: "UncertainLastUsableValue" in driver.said, "doubt is told in words")
    running.tell("bad Temp BadSensorFailure")
    last = driver.until(
        lambda: [
            r
            for r in driver.readings("temp")
            if r.val is None and r.t > at_ms * 1000 and "BadSensorFailure" in driver.said
        ],
        "a bad state comes",
    )
    assert last[-1].q == 2
    assert {r.q for r in driver.readings("temp") if r.val is not None} == {1}, "edge.yaml says K, the server °C"
    assert "edge.yaml says K, the server °C (CEL)" in driver.said
    assert 'Write node: \\"nsu=urn:test:plant;s=Line1.Running\\"' in driver.said
    assert "its type is String" in driver.said
    assert "an array of 3 Double" in driver.said
    assert "there is no 'Flwo'; did you mean 'Flow'?" in driver.said
    assert "'Twin' stands for ns=" in driver.said
    assert {driver.values(name)[-1] for name in ("label", "profile", "twin", "typo")} == {None}
    cable.close()


def test_a_frozen_server_is_stale_and_goes_on_when_it_thaws(running: NodeServer, watch: Callable[..., Watched]) -> None:
    driver, other = watch(running.url, FLOW, timeout_s=0.7), watch(running.url, FLOW, timeout_s=9)
    driver.until(lambda: driver.status.last_good_at and other.status.last_good_at, "it is read")
    try:
        running.signal(signal.SIGSTOP)
        driver.until(lambda: "does not answer" in driver.error, "silence is told")
        driver.until(lambda: driver.readings("flow")[-1][2:] == (None, 2), "no old value stands for a new one")
        began_s = time.monotonic()
        other.close()
        assert time.monotonic() - began_s < 5, "the agent can end while the server is frozen"
    finally:
        running.signal(signal.SIGCONT)
    running.tell("set Flow 7.25")
    driver.until(lambda: 7.25 in driver.values("flow"), "it goes on")
    driver.until(lambda: not driver.error, "all is well again")
    assert len([v for v in driver.values("flow") if v == 7.25]) == 1


def test_what_happens_while_the_line_is_cut_comes_later_with_its_own_times_and_once(
    running: NodeServer, watch: Callable[..., Watched]
) -> None:
    cable = Cable(running.port)
    driver, small = watch(cable.url, FLOW), watch(cable.url, FLOW, queue=5)
    driver.until(lambda: driver.status.last_good_at and small.status.last_good_at, "it is read")
    at_ms = time.time_ns() // 1_000_000
    cable.cut()
    running.tell(*(f"set Flow {n} {at_ms + n}" for n in range(1000, 1200)))
    driver.until(lambda: driver.error, "the cut is told")
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    driver.until(lambda: cable.refused >= 2, "it tries several times")
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2
    cable.mend()
    driver.until(lambda: 1199.0 in driver.values("flow"), "it goes on")
    assert [(r.t, r.val) for r in driver.readings("flow") if (r.val or 0) >= 1000] == [
        ((at_ms + n) * 1000, float(n)) for n in range(1000, 1200)
    ]
    assert "gaps" not in driver.status.counters
    small.until(lambda: "its queue at the server ran over" in small.said, "changes that are missing are told")
    assert len([v for v in small.values("flow") if (v or 0) >= 1000]) == 5
    cable.close()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ACKF\x1c\0\0\0" + b"\xff" * 60, b""],
    ids=["a web server", "garbage", "hangs up"],
)
def test_what_is_no_opcua_server_is_told_and_does_no_harm(answer: bytes, watch: Callable[..., Watched]) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                with peer:
                    peer.recv(100)
                    peer.sendall(answer)

    threading.Thread(target=talk, daemon=True).start()
    driver = watch(f"opc.tcp://127.0.0.1:{server.getsockname()[1]}", FLOW, timeout_s=1)
    driver.until(lambda: driver.error, "it is told")
    assert driver.error.startswith("OPC UA server plc (opc.tcp://127.0.0.1:")
    driver.until(lambda: driver.values("flow") == [None], "there is no value")
    assert driver.status.restarts == 0
    server.close()


def test_a_steady_value_is_said_again_by_the_server_where_that_is_wanted(
    running: NodeServer, watch: Callable[..., Watched]
) -> None:
    driver = watch(running.url, {"id": "on", "path": f"{LINE}/Running"}, refresh_s=0.1)
    running.tell("set Running 0", "set Running 1")  # a read with maximum age 0 would spoil its server time for good
    driver.until(lambda: 1.0 in driver.values("on"), "it is read")
    driver.until(lambda: driver.values("on").count(1.0) >= 4, "it is asked for")
    said = [reading for reading in driver.readings("on") if reading.val == 1.0]
    assert [reading.t for reading in said] == sorted({reading.t for reading in said})
    assert {reading.q for reading in said} == {0}


def test_a_probe_lists_what_is_there_and_drafts_a_file_that_reads_it(running: NodeServer, tmp_path: Path) -> None:
    found = probe(running.url, Manner(keys=tmp_path / "opcua"), lambda _: None)
    assert {one.shown for one in found.endpoints} >= {"no security", "Basic256Sha256, SignAndEncrypt"}
    known = {variable.node: variable for variable in found.variables}
    flow = known["nsu=urn:test:plant;s=Line1.Flow"]
    assert (flow.names, flow.type, flow.unit and flow.unit.ucum) == (("Plant", "Line/1", "Flow"), "Double", "m3/h")
    assert "array of 3 Double" in (known["nsu=urn:test:plant;s=Line1.Profile"].why_not or "")
    assert len([1 for variable in found.variables if variable.names[-1] == "Twin"]) == 2
    draft = tmp_path / "edge.yaml"
    draft.write_text(edge_yaml(Head("h", "p"), [], driver_sections(found, None)))
    (driver,) = load_edge(draft).drivers
    assert {"line-1-flow", "line-1-twin", "line-1-twin-2"} <= {sensor.id for sensor in driver.sensors}
    assert any("Plant/Line&/1/Flow" in line for line in lines(found))
    secured = probe(running.url, Manner(keys=tmp_path / "opcua", security=OpcUaSecurity()), lambda _: None)
    assert "is not trusted here" in (secured.refused or "")
    with pytest.raises(TransientError, match="can't be reached"):
        probe(f"opc.tcp://127.0.0.1:{free_port()}", Manner(timeout_s=2), lambda _: None)


def test_trust_is_asked_for_on_both_sides_in_words_and_then_the_line_is_encrypted(
    running: NodeServer, watch: Callable[..., Watched], tmp_path: Path
) -> None:
    keys, pki = tmp_path / "opcua", running.folder / "pki"
    secure = {"security": {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}, "user": "reader"}
    driver = watch(running.url, FLOW, **secure, password="wrong")
    driver.until(lambda: "is not trusted here" in driver.error, "we don't trust it yet")
    (kept,) = (keys / "rejected").iterdir()
    assert f"mv '{kept}' '{keys / 'trusted'}/'" in driver.error
    shutil.move(kept, keys / "trusted")
    driver.until(lambda: "does not accept this gateway's certificate" in driver.error, "it does not trust us yet")
    assert (keys / "own.pem").stat().st_mode & 0o777 == 0o600
    (ours,) = (pki / "rejected").iterdir()
    shutil.move(ours, pki / "trusted" / "certs")
    driver.until(lambda: "does not let user 'reader' in" in driver.error, "the password is wrong")
    right = watch(running.url, FLOW, **secure, password="right")
    right.until(lambda: right.status.last_good_at, "it is read over an encrypted line")
    running.tell("orphan")
    right.until(lambda: right.status.counters.get("messages", 0) and right.error, "its session is taken from it")
    running.tell("set Flow 77")
    right.until(lambda: 77.0 in right.values("flow"), "a new session goes on with the old subscription")
    assert "gaps" not in right.status.counters
    nobody = watch(running.url, FLOW, security={"policy": "Aes128_Sha256_RsaOaep", "mode": "Sign"})
    nobody.until(lambda: nobody.status.last_good_at, "and over a signed one")
    plain = watch(running.url, FLOW, user="reader", password="right")
    plain.until(
        lambda: plain.status.last_good_at or "clear text" in plain.error, "the password is encrypted, or not sent"
    )


def test_after_a_restart_with_other_indexes_the_gap_is_said_and_comes_from_history_once(
    running: NodeServer, watch: Callable[..., Watched]
) -> None:
    by_index = {"id": "count", "node": f"ns={running.index};s=Line1.Count"}
    driver = watch(running.url, FLOW, by_index)
    running.tell("set Flow 50", "set Count 5")
    driver.until(lambda: 50.0 in driver.values("flow") and 5.0 in driver.values("count"), "it is read")
    running.kill()
    driver.until(lambda: driver.error, "the loss is told")
    at_ms = time.time_ns() // 1_000_000
    past = [f"set Flow {n} {at_ms + n - 2000}" for n in range(2000, 2300)]
    running.start(*past, "set Count 6", shift=running.index == 2, history=True)
    driver.until(lambda: 2299.0 in driver.values("flow") and 6.0 in driver.values("count"), "both are found again")
    driver.until(lambda: "readings of" in driver.said and driver.status.counters.get("gaps") == 1, "the gap is told")
    assert [v for v in driver.values("flow") if v is not None and v >= 2000] == [float(n) for n in range(2000, 2300)]
    assert "did not keep what we watch from" in driver.said
    driver.close()
    kept = {"cursor": driver.cursor, "marks": driver.marks}
    again = watch(running.url, FLOW, by_index, kept=kept)
    running.tell("set Flow 9")
    again.until(lambda: 9.0 in again.values("flow"), "a restarted agent goes on")
    assert [v for v in again.values("flow") if v is not None] == [9.0]
