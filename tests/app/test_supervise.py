"""The supervisor with real child processes: order, readiness, restarts, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from sidestream_app.embedded.ports import LOOPBACK, free_port
from sidestream_app.supervise import (
    ChildStartError,
    ProcessSpec,
    Started,
    Supervisor,
    all_of,
    file_exists,
    http_ok,
    log_line,
    tcp_open,
    tree_memory_mb,
)
from sidestream_app.supervise.backoff import Backoff
from sidestream_app.supervise.logs import MAX_LOG_BYTES, log_tail, open_log
from sidestream_contracts.errors import ConfigurationError, DomainError

WAIT = "print('up', flush=True); import time; time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(events: list[tuple[str, str]]) -> Iterator[Supervisor]:
    with Supervisor(on_event=lambda name, what: events.append((name, what))) as running:
        yield running


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ProcessSpec]:
    def make(name: str, code: str = WAIT, **more: object) -> ProcessSpec:
        settings = {"ready": log_line("up"), **more}
        return ProcessSpec(name, (sys.executable, "-I", "-S", "-c", code), tmp_path / f"{name}.log", **settings)

    return make


def until(condition: Callable[[], bool], within_s: float = 8.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(0.02)


def gone(*pids: int) -> bool:
    """Whether all have ended; the kernel may take a moment to end what was killed on a busy machine."""
    deadline_s = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_children_start_only_when_what_they_depend_on_is_ready(supervisor, spec, events) -> None:
    supervisor.add(spec("database", "import time; time.sleep(0.3); " + WAIT))
    supervisor.add(spec("ingest", depends_on=("database",)))
    supervisor.start_all()
    said = [(name, what.split(" after")[0]) for name, what in events]
    assert said == [("database", "starting"), ("database", "ready"), ("ingest", "starting"), ("ingest", "ready")]
    assert set(supervisor.pids()) == {"database", "ingest"}


def test_children_added_later_are_started_by_the_next_start(supervisor, spec) -> None:
    supervisor.add(spec("database"))
    supervisor.start_all()
    before = supervisor.pids()["database"]
    supervisor.add(spec("web", depends_on=("database",)))
    supervisor.start_all()
    assert supervisor.pids()["database"] == before
    assert "web" in supervisor.pids()


def test_a_killed_child_is_restarted_and_counted(supervisor, spec, events) -> None:
    supervisor.add(spec("edge"))
    supervisor.start_all()
    for expected in (1, 2):
        pid = supervisor.kill("edge")
        supervisor.wait_ready("edge", restarts=expected)
        assert supervisor.restarts("edge") == expected
        assert supervisor.pids()["edge"] != pid
    deaths = [what for _, what in events if what.startswith("died")]
    assert deaths == ["died (killed by SIGKILL); restart in 0.2 s", "died (killed by SIGKILL); restart in 0.4 s"]


def test_readiness_looks_only_at_the_log_of_the_present_life(supervisor, spec, tmp_path) -> None:
    """After a restart the line of the life before does not count as ready."""
    gate = tmp_path / "gate"
    gate.touch()
    code = f"import os,time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\n{WAIT}"
    supervisor.add(spec("slow", code))
    supervisor.start_all()
    gate.unlink()
    supervisor.kill("slow")
    with pytest.raises(ChildStartError, match=r"slow is not ready after 0\.6 s: starting, 1 restarts"):
        supervisor.wait_ready("slow", restarts=1, timeout_s=0.6)
    gate.touch()
    supervisor.wait_ready("slow", restarts=1)


def test_a_child_that_fails_at_first_is_tried_again_and_then_reported_with_its_log(supervisor, spec) -> None:
    supervisor.add(spec("good"))
    supervisor.add(spec("bad", "print('the disk is purple'); raise SystemExit(7)", first_attempts=2))
    with pytest.raises(ChildStartError, match=r"(?s)bad did not start: exit code 7.*bad\.log:\nthe disk is purple"):
        supervisor.start_all()
    assert supervisor.pids() == {}
    assert supervisor.restarts("bad") == 1


def test_exit_code_2_is_a_configuration_error_and_not_tried_again(supervisor, spec) -> None:
    supervisor.add(spec("bad", "print('hub.yaml line 3'); raise SystemExit(2)"))
    with pytest.raises(ConfigurationError, match=r"(?s)exit code 2.*hub\.yaml line 3"):
        supervisor.start_all()
    assert supervisor.restarts("bad") == 0


def test_a_program_that_can_not_be_run_is_reported(supervisor, tmp_path) -> None:
    supervisor.add(ProcessSpec("gone", (str(tmp_path / "no-such"),), tmp_path / "log", first_attempts=1, ready=never))
    with pytest.raises(ChildStartError, match=r"(?s)exit code 126.*cannot run .*no-such: No such file"):
        supervisor.start_all()


def test_a_working_folder_that_does_not_exist_is_reported(supervisor, spec, tmp_path) -> None:
    supervisor.add(spec("lost", cwd=tmp_path / "nowhere", first_attempts=1))
    with pytest.raises(ChildStartError, match=r"can't be started: .*nowhere"):
        supervisor.start_all()


def never(_: Started) -> bool:
    return False


def test_a_child_that_never_gets_ready_is_ended_and_reported(supervisor, spec) -> None:
    supervisor.add(spec("mute", ready=never, ready_timeout_s=0.3))
    with pytest.raises(ChildStartError, match=r"not ready within 0\.3 s"):
        supervisor.start_all()
    assert supervisor.pids() == {}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_ready_condition_that_raises_is_reported_and_leaves_nothing(supervisor, spec) -> None:
    def broken(_: Started) -> bool:
        raise ZeroDivisionError

    supervisor.add(spec("odd", ready=broken))
    with pytest.raises(ChildStartError, match="odd is no longer supervised"):
        supervisor.start_all()
    assert supervisor.pids() == {}


def test_stopping_ends_dependents_first(supervisor, spec, events) -> None:
    for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",))):
        supervisor.add(spec(name, depends_on=needs))
    supervisor.start_all()
    supervisor.stop_all()
    assert [name for name, what in events if what == "stopping"] == ["c", "b", "a"]


def test_deaf_and_frozen_children_are_killed_within_the_time_allowed(supervisor, spec) -> None:
    supervisor.add(spec("deaf", DEAF))
    supervisor.add(spec("deaf-too", DEAF, depends_on=("deaf",)))
    supervisor.add(spec("frozen", depends_on=("deaf",)))
    supervisor.start_all()
    supervisor.send("frozen", signal.SIGSTOP)
    pids = supervisor.pids().values()
    begun = time.monotonic()
    supervisor.stop_all(timeout_s=1.5)
    assert time.monotonic() - begun < 1.5 + 0.3
    assert gone(*pids)


GRANDCHILDREN = """
import subprocess, sys, time
sleep = [sys.executable, "-I", "-S", "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
same = subprocess.Popen(sleep); own = subprocess.Popen(sleep, start_new_session=True)
print("up", same.pid, own.pid, flush=True); time.sleep(600)
"""


def grandchildren(log: Path) -> list[int]:
    return [int(word) for word in log.read_text().split()[1:3]]


def test_stopping_ends_grandchildren_too_even_in_sessions_of_their_own(supervisor, spec, tmp_path) -> None:
    supervisor.add(spec("parent", GRANDCHILDREN))
    supervisor.start_all()
    pids = grandchildren(tmp_path / "parent.log")
    assert all(alive(pid) for pid in pids)
    supervisor.stop_all()
    assert gone(*pids)


def test_a_child_that_dies_takes_its_group_along_before_it_is_restarted(supervisor, spec, tmp_path) -> None:
    supervisor.add(spec("parent", GRANDCHILDREN))
    supervisor.start_all()
    same, own = grandchildren(tmp_path / "parent.log")
    supervisor.kill("parent")
    supervisor.wait_ready("parent", restarts=1)
    assert gone(same)
    os.kill(own, signal.SIGKILL)


HOST = """
import json, sys, time
from pathlib import Path
from sidestream_app.supervise import ProcessSpec, Supervisor, log_line
folder = Path(sys.argv[1])
supervisor = Supervisor()
for name, code in json.loads(sys.argv[2]).items():
    supervisor.add(ProcessSpec(name, (sys.executable, "-I", "-S", "-c", code), folder / name, ready=log_line("up")))
supervisor.start_all()
print(json.dumps(supervisor.pids()), flush=True)
time.sleep(600)
"""


def test_killing_the_supervisor_leaves_no_process(tmp_path) -> None:
    """Deaf children, and grandchildren in their group, are gone within seconds after kill -9 of the supervisor."""
    codes = json.dumps({"deaf": DEAF, "parent": GRANDCHILDREN})
    with subprocess.Popen([sys.executable, "-c", HOST, str(tmp_path), codes], stdout=subprocess.PIPE) as host:
        children = list(json.loads(host.stdout.readline()).values())
        same, own = grandchildren(tmp_path / "parent")
        helpers = [process.pid for process in psutil.Process(host.pid).children()]
        host.kill()
    os.kill(own, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in [*children, *helpers, same]))


def test_a_child_gets_the_default_signals_even_if_the_supervisor_ignores_them(spec) -> None:
    """A supervisor started with `nohup … &` ignores SIGINT; its children must still stop on it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Supervisor([spec("plain", stop_signal=signal.SIGINT)]) as running:
            running.start_all()
            begun = time.monotonic()
            running.stop_all()
            assert time.monotonic() - begun < 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_environment_is_laid_over_our_own(supervisor, spec, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KEPT", "k")
    code = "import os; print('up', os.environ['KEPT'], os.environ['ADDED'], os.getcwd(), flush=True); " + WAIT
    supervisor.add(spec("env", code, env={"ADDED": "a"}, cwd=tmp_path))
    supervisor.start_all()
    assert (tmp_path / "env.log").read_text().startswith(f"up k a {tmp_path}\n")


def test_memory_counts_the_whole_tree_without_counting_shared_pages_twice(supervisor, spec, tmp_path) -> None:
    """Four forks of a process that holds 40 MB share them: the tree is near 40 MB, not 200."""
    code = (
        "import os, time; block = b'x' * 40_000_000\n"
        "for _ in range(4):\n  if os.fork() == 0: time.sleep(600)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    supervisor.add(spec("fat", code))
    supervisor.start_all()
    assert 40 < supervisor.memory_mb()["fat"] < 80
    assert tree_memory_mb(2**22 + 1) == 0


def test_names_must_be_unique_and_dependencies_known(supervisor, spec) -> None:
    supervisor.add(spec("a"))
    with pytest.raises(ConfigurationError, match="Two processes are called 'a'"):
        supervisor.add(spec("a"))
    with pytest.raises(ConfigurationError, match=r"'b' depends on \['z'\].*Added so far: a"):
        supervisor.add(spec("b", depends_on=("z",)))


def test_signals_to_unknown_or_dead_children_are_refused(supervisor, spec) -> None:
    supervisor.add(spec("a"))
    with pytest.raises(DomainError, match="a is not alive"):
        supervisor.kill("a")
    with pytest.raises(DomainError, match=r"no process 'b'\. There are: a"):
        supervisor.kill("b")


def test_stopping_twice_or_before_the_start_is_harmless(spec) -> None:
    supervisor = Supervisor([spec("a")])
    supervisor.stop_all()
    supervisor.stop_all()
    assert supervisor.pids() == {}


def test_delays_double_up_to_five_seconds_and_begin_anew_after_a_healthy_life() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [backoff.after(60), backoff.after(0.1)] == [0.2, 0.4]


def started(log: Path) -> Started:
    log.touch()
    return Started(os.getpid(), log, 0, time.time())


def test_an_open_port_is_ready_and_a_closed_one_is_not(tmp_path) -> None:
    with HTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler) as server:
        assert tcp_open(LOOPBACK, server.server_port)(started(tmp_path / "log"))
    assert not tcp_open(LOOPBACK, free_port())(started(tmp_path / "log"))


@pytest.mark.parametrize(("status", "expected"), [(200, True), (204, False), (404, False), (503, False)])
def test_only_http_200_is_ready(tmp_path, status: int, expected: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert http_ok(f"http://{LOOPBACK}:{server.server_port}/health")(started(tmp_path / "log")) is expected
        thread.join()
    assert not http_ok(f"http://{LOOPBACK}:{free_port()}/")(started(tmp_path / "log"))


def test_a_file_of_an_earlier_life_is_not_ready(tmp_path) -> None:
    path = tmp_path / "socket"
    condition = file_exists(path)
    assert not condition(started(tmp_path / "log"))
    path.touch()
    os.utime(path, (1, 1))
    assert not condition(started(tmp_path / "log"))
    life = started(tmp_path / "log")
    path.touch()
    assert condition(life)
    assert all_of(condition, log_line("^$"))(life)
    assert not all_of(condition, never)(life)


def test_a_log_that_has_grown_too_large_is_put_aside(tmp_path) -> None:
    path = tmp_path / "logs" / "x.log"
    with open_log(path) as log:
        log.truncate(MAX_LOG_BYTES + 1)
    open_log(path).close()
    assert path.stat().st_size == 0
    assert (tmp_path / "logs" / "x.log.1").stat().st_size == MAX_LOG_BYTES + 1


def test_the_tail_of_a_log_is_its_last_lines_after_the_offset(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"old\n" + b"".join(b"%d\n" % n for n in range(40)) + b"\xff\n")
    assert log_tail(path, 4, lines=3) == "38\n39\n�"
    assert log_tail(path, path.stat().st_size) == "(it logged nothing)"
