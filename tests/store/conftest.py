"""TimescaleDB for tests: in WebAssembly wherever node is, and a native one where the environment names it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from yoyo import read_migrations
from yoyo.migrations import topological_sort

from sidestream_app.embedded.ports import free_port
from sidestream_store.migrate import MIGRATIONS, migrate

HERE = Path(__file__).parent.parent / "timescale"
NATIVE = "SIDESTREAM_TEST_TIMESCALE_DSN"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def timescale() -> Iterator[psycopg.Connection]:
    """The one connection that this server takes, with the schema applied. It has no COPY, so rows come by INSERT."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed, so there is no TimescaleDB to test on: apt-get install nodejs npm")
    if not (HERE / "node_modules").exists():
        pytest.skip("tests/timescale has no node_modules: run `make setup-node`")
    port = free_port()
    server = subprocess.Popen(["node", "server.mjs", str(port)], cwd=HERE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline().strip() == "ready"
    dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable password=postgres"
    try:
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
            for migration in topological_sort(read_migrations(MIGRATIONS)):  # each after those that it depends on
                connection.execute(Path(migration.path).read_text())
            yield connection
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


@pytest.fixture
def native_timescale() -> Iterator[str]:
    """The DSN of a fresh, migrated database on a native TimescaleDB; see docs/storage.md for how to name one."""
    admin_dsn = os.environ.get(NATIVE)
    if not admin_dsn:
        pytest.skip(f"{NATIVE} names no native TimescaleDB, so COPY and direct compress are not tested here")
    name = f"sidestream_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    dsn = make_conninfo(admin_dsn, dbname=name)
    migrate(dsn)
    yield dsn
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
