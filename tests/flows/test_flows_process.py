"""The flows process: works with and without Prefect, shows its runs there, and ends at once when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hub_files import test_hub

from sidestream_app.embedded.ports import free_port
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_flows import server_argv, server_env
from sidestream_flows.server import QUIET
from sidestream_store.hub_apply import apply_hub

pytestmark = pytest.mark.server

PROGRAM = (
    "import logging, sys; logging.basicConfig(level=logging.INFO); from sidestream_flows import serve;"
    " sys.exit(serve(sys.argv[1], 0.5))"
)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """What the condition returns once it is true; fails when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s: {what}"
        time.sleep(0.1)
    return found


@dataclass
class Prefect:
    """A real Prefect server and its API."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def healthy(self) -> bool:
        try:
            return self.ask("/health") is True
        except OSError:
            return False

    def runs(self, **state: Any) -> list[dict[str, Any]]:
        return self.ask("/flow_runs/filter", {"limit": 50, "sort": "START_TIME_DESC", **state})


@pytest.fixture(scope="module")
def prefect(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """Prefect's server with its records in our PostgreSQL, started as the product starts it."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE prefect_of_flows")
    port, home = free_port(), tmp_path_factory.mktemp("prefect")
    env = os.environ | server_env(home, postgres.dsn("prefect_of_flows"), "127.0.0.1", port)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(server_argv("127.0.0.1", port), env=env, stdout=log, stderr=log)
    server = Prefect(process, f"http://127.0.0.1:{port}/api")
    try:
        wait_for(server.healthy, f"Prefect is not up, see {home / 'log'}", 90.0)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture
def start(database: str, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts the flows process for a hub, with Prefect at an address; kills it at the end if it still lives."""
    apply_hub(database, test_hub(), tmp_path)
    started: list[subprocess.Popen[bytes]] = []

    def run(api_url: str) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | QUIET
        env |= {"PREFECT_API_URL": api_url, "PREFECT_HOME": str(tmp_path / "client")}
        with (tmp_path / "flows.log").open("wb") as log:
            started.append(subprocess.Popen([sys.executable, "-c", PROGRAM, database], env=env, stdout=log, stderr=log))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def ends(process: subprocess.Popen[bytes], number: int) -> float:
    """How long it takes to end after a signal; it must end with 0 and leave no child."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == 0
    took = time.monotonic() - began
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    return took


def mark_changed(connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
        " SELECT sensor_id, '2026-11-01', '2026-11-01' FROM sidestream.sensor"
    )


def end_sessions(connection: psycopg.Connection, application: str) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        [application],
    )


def nothing_dirty(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT count(*) FROM sidestream.dirty").fetchone() == (0,)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_prefect_the_work_is_done_all_the_same_and_ends_within_three_seconds(start, connect, number):
    connection = connect()
    process = start(f"http://127.0.0.1:{free_port()}/api")
    mark_changed(connection)
    wait_for(lambda: nothing_dirty(connection), "nothing was recomputed", 30.0)
    wait_for(lambda: partitions(connection) >= 2, "no partitions were made ahead", 10.0)
    assert ends(process, number) < 3.0


def partitions(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'sidestream.reading'::regclass"
    ).fetchone()
    return int(row[0]) if row else 0


def test_a_database_that_goes_away_is_waited_for(start, connect, database):
    process = start("")
    connection = connect()
    mark_changed(connection)
    wait_for(lambda: nothing_dirty(connection), "nothing was recomputed", 30.0)
    end_sessions(connection, "sidestream flows")
    mark_changed(connection)
    wait_for(lambda: nothing_dirty(connection), "the work did not go on", 30.0)
    assert process.poll() is None


@pytest.mark.slow
def test_runs_schedules_and_retries_are_seen_in_prefect_and_its_death_stops_nothing(prefect, start, connect):
    connection = connect()
    process = start(prefect.url)
    wait_for(lambda: completed(prefect, "refresh-twin") >= 2, "no runs of the fast flow are recorded")
    deployments = wait_for(lambda: deployed(prefect), "the schedules are not deployed")
    assert {d["schedules"][0]["schedule"]["timezone"] for d in deployments} == {"Europe/Oslo"}
    asked = prefect.ask(f"/deployments/{deployments[0]['id']}/create_flow_run", {})
    wait_for(lambda: state(prefect, asked) == "Completed", "a run asked for in Prefect is not carried out")
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    wait_for(
        lambda: prefect.runs(**scheduled), "Prefect makes no runs from the schedules; is its SQLAlchemy above 2.0?"
    )

    end_sessions(connection, "sidestream flows")
    wait_for(lambda: any(r["run_count"] > 1 for r in prefect.runs()), "no retry is recorded")
    prefect.process.kill()
    prefect.process.wait(10)
    mark_changed(connection)
    wait_for(lambda: nothing_dirty(connection), "the work stopped with Prefect", 30.0)
    assert ends(process, signal.SIGTERM) < 3.0


def state(prefect: Prefect, run: dict[str, Any]) -> str:
    return prefect.ask(f"/flow_runs/{run['id']}")["state_name"]


def completed(prefect: Prefect, tag: str) -> int:
    return sum(run["state_name"] == "Completed" and tag in run["tags"] for run in prefect.runs())


def deployed(prefect: Prefect) -> list[dict[str, Any]]:
    found = prefect.ask("/deployments/filter", {})
    return found if len(found) == 2 else []
