"""Loggers that post to the real listener: yes only when stored, no with a reason, repeats once, nobody holds it up."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from edge_rig import edge_file, free_port, until

from sidestream_contracts.edge import sensor_ids

pytestmark = pytest.mark.server

TOKEN = "0123456789"
NOW_S = int(time.time())


def section(port: int, **changes: object) -> dict:
    devices = [
        {
            "path": "/boiler", "token": TOKEN, "time": {"path": "ts", "format": "epoch_s"},
            "sensors": [{"id": "supply", "path": "t", "unit": "Cel"}, {"id": "flow", "path": "f"}],
        },
        {"path": "/plain", "sensors": [{"id": "x", "path": "x"}]},
        {
            "path": "/tank", "payload": "csv", "time": {"path": "ts", "format": "epoch_s"}, "in_order": True,
            "sensors": [{"id": "level", "path": "m"}],
        },
    ]  # fmt: skip
    return {
        "id": "web",
        "type": "http",
        "host": "127.0.0.1",
        "port": port,
        "timeout_s": 2.0,
        "devices": devices,
        **changes,
    }


class Web:
    """A logger."""

    def __init__(self, port: int) -> None:
        self.port = port

    def post(self, path: str, body: object, *, method: str = "POST", **headers: str) -> tuple[int, dict]:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        auth = {"Authorization": f"Bearer {TOKEN}"} if path == "/boiler" else {}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, payload, {**auth, **headers})
            with connection.getresponse() as answer:
                return answer.status, json.loads(answer.read() or b"{}")


@pytest.fixture
def web(run_driver):
    def start(**changes: object):
        port = free_port()
        rig = run_driver(section(port, **changes))
        until(lambda: rig.status().state == "running", "it listens")
        return rig, Web(port)

    return start


def test_values_arrive_with_their_own_times_and_repeats_once(web, run_driver):
    rig, logger = web()
    row = {"ts": NOW_S - 60, "t": 81.5, "f": 2}
    assert logger.post("/boiler", row) == (200, {"stored": 2, "repeated": 0, "refused": [], "refused_count": 0})
    assert logger.post("/boiler", row)[1]["repeated"] == 2
    assert logger.post("/boiler", [row, {**row, "ts": NOW_S}])[1] == {
        "stored": 2, "repeated": 2, "refused": [], "refused_count": 0,
    }  # fmt: skip
    assert [(r.t, r.val, r.q) for r in rig.readings("supply")] == [
        ((NOW_S - 60) * 1_000_000, 81.5, 0), (NOW_S * 1_000_000, 81.5, 0),
    ]  # fmt: skip
    many = [{"ts": NOW_S - 5000 + n, "t": n, "f": n} for n in range(400)]
    assert logger.post("/boiler", many)[1]["stored"] == 800
    cursor = rig.stop()
    again = run_driver(section(logger.port), cursor=cursor, marks=rig.marks)
    until(lambda: again.status().state == "running", "it listens again")
    assert logger.post("/boiler", row)[1]["repeated"] == 2
    assert logger.post("/boiler", many)[1] == {"stored": 0, "repeated": 800, "refused": [], "refused_count": 0}
    assert again.values("supply") == []


def test_without_a_time_every_value_counts_and_is_stamped_at_its_arrival(web):
    rig, logger = web()
    assert [logger.post("/plain", {"x": 4})[0] for _ in range(2)] == [200, 200]
    assert rig.values("x") == [4.0, 4.0]
    assert abs(rig.readings("x")[0].t / 1e6 - time.time()) < 20
    announced = {one.id: one.delivery for one in edge_file(1, section(1)).drivers[0].announced()}
    assert announced == {"supply": "once", "flow": "once", "x": "at_least_once", "level": "once"}
    assert sensor_ids(edge_file(1, section(1)).drivers[0]) == ["supply", "flow", "x", "level"]


def test_a_logger_that_sends_its_last_day_each_time_is_taken_once(web):
    rig, logger = web()
    rows = [f"{NOW_S - 600 + n},{n}" for n in range(300)]
    assert logger.post("/tank", ("ts,m\n" + "\n".join(rows[:200])).encode())[1]["stored"] == 200
    assert logger.post("/tank", ("ts,m\n" + "\n".join(rows)).encode())[1] == {
        "stored": 100, "repeated": 200, "refused": [], "refused_count": 0,
    }  # fmt: skip
    assert rig.values("level") == [float(n) for n in range(300)]


def test_yes_comes_only_when_it_is_stored_and_a_repeat_after_a_no_counts_once(web):
    rig, logger = web(timeout_s=0.5)
    rig.hold()
    row = {"ts": NOW_S, "t": 1, "f": 2}
    status, answer = logger.post("/boiler", row)
    assert (status, answer["reason"]) == (503, "not_stored")
    assert "not stored within 0.5 s" in answer["error"]
    assert logger.post("/boiler", row)[0] == 503, "the repeat is not stored either"
    rig.storing.set()
    until(lambda: logger.post("/boiler", row)[0] == 200, "stored")
    assert rig.values("supply") == [1.0]


def test_an_outbox_that_takes_nothing_is_a_no_to_come_back(web):
    rig, logger = web(timeout_s=0.3)
    rig.hold()
    with ThreadPoolExecutor(16) as loggers:
        answers = list(loggers.map(lambda n: logger.post("/plain", {"x": n}), range(160)))
    assert any("takes nothing now" in answer.get("error", "") for _, answer in answers), "the way to the outbox is full"
    assert rig.status().counters["put_off"] >= 1
    rig.storing.set()
    until(lambda: logger.post("/plain", {"x": -1})[0] == 200, "it takes again")
    assert rig.values("x")[-1] == -1


NOS = [
    ("/nowhere", b"{}", {}, 404, "no device of edge.yaml posts to"),
    ("/boiler", b"{}", {"Authorization": "Bearer wrong"}, 401, "wants its token"),
    ("/boiler", b"{}", {"Authorization": "Basic !"}, 401, "wants its token"),
    ("/plain", b"{", {}, 400, "not JSON"),
    ("/plain", b'{"x": "12,5"}', {}, 400, "decimal_comma"),
    ("/plain", b"x" * 3000, {}, 413, "at most 2048"),
    ("/plain", b"x", {"Content-Length": "-1"}, 411, "Content-Length"),
    ("/plain", b"x", {"Content-Encoding": "gzip"}, 415, "uncompressed"),
    ("/boiler", json.dumps({"ts": 5, "t": 1, "f": 1}).encode(), {}, 400, "before 2000"),
]


def test_a_no_says_what_is_wrong(web):
    rig, logger = web(max_bytes=2048)
    for path, body, headers, status, said in NOS:
        answer = logger.post(path, body, **headers)
        assert (answer[0], said in answer[1]["error"]) == (status, True), answer
    until(lambda: rig.status().counters.get("rejected") == len(NOS) + 1, "each is counted, a bad time for both sensors")
    assert TOKEN not in rig.status().model_dump_json()
    assert logger.post("/plain", {"x": 1})[0] == 200


def test_a_bad_neighbour_is_named_and_the_good_value_is_taken(web):
    rig, logger = web()
    status, answer = logger.post("/boiler", {"ts": NOW_S, "t": "hot", "f": 3})
    assert (status, answer["stored"], answer["refused_count"]) == (200, 1, 1)
    assert (answer["refused"][0]["sensor"], answer["refused"][0]["reason"]) == ("supply", "not_a_number")
    until(lambda: [r.q for r in rig.readings("supply")] == [2], "null of quality bad")


def test_basic_authentication_carries_the_token_too_and_get_is_refused(web):
    _, logger = web()
    login = base64.b64encode(f"logger:{TOKEN}".encode()).decode()
    body = {"ts": NOW_S, "t": 1, "f": 1}
    assert logger.post("/boiler", body, Authorization=f"Basic {login}")[0] == 200
    assert logger.post("/boiler", b"", method="GET")[0] == 405
    assert logger.post("/boiler", body, method="PUT")[0] == 200


def test_slow_and_many_connections_hold_nobody_up(web):
    rig, logger = web(max_connections=4, timeout_s=0.7)
    slow = [socket.create_connection(("127.0.0.1", logger.port)) for _ in range(6)]
    for one in slow[:4]:
        one.sendall(b"POST /plain HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    until(lambda: rig.status().counters.get("rejected", 0) >= 2, "the fifth and sixth are told to come back")
    until(lambda: logger_answers(logger), "the slow ones are cut off")
    for one in slow:
        one.close()
    assert "too_slow" in rig.said("too_slow")


def logger_answers(logger: Web) -> bool:
    try:
        return logger.post("/plain", {"x": 1})[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_many_loggers_at_once_are_each_answered_and_counted_once(web):
    rig, logger = web(timeout_s=20.0)
    answers: list[int] = []

    def work(k: int) -> None:
        answers.extend(logger.post("/plain", {"x": 100 * k + n})[0] for n in range(10))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 80
    assert sorted(rig.values("x")) == sorted(100 * k + n for k in range(8) for n in range(10))


def test_a_port_that_is_taken_is_named_and_had_once_it_is_free(run_driver):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        rig = run_driver(section(port))
        assert str(port) in rig.said("can't listen")
    until(lambda: rig.status().error is None, "it listens")
    assert Web(port).post("/plain", {"x": 1})[0] == 200
