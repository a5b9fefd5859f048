"""Real servers for the tests: one PostgreSQL for the session, a fresh migrated database and a broker per test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as every command does, before numpy is first imported

from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.broker_config import BrokerKind
from sidestream_app.embedded.ports import free_port
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.supervise import Supervisor
from sidestream_store.migrate import migrate

settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=25)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, max_examples=50)
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile("default")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of our own for the whole session, with fsync on as in production."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """Name of a migrated database to copy."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE migrated")
    migrate(postgres.dsn("migrated"))
    return "migrated"


@pytest.fixture
def database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The DSN of a fresh, migrated, empty database."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres.dsn(name)
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:  # a test may have killed the server
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def broker_kind() -> BrokerKind | None:
    """Which broker: whatever is installed, unless a test asks for one."""
    return None


@pytest.fixture
def broker(tmp_path: Path, broker_kind: BrokerKind | None) -> Iterator[tuple[Supervisor, int]]:
    """A real broker: its supervisor (to kill it) and its port on 127.0.0.1."""
    port = free_port()
    supervisor = Supervisor([broker_spec(port, tmp_path / "broker.log", kind=broker_kind)])
    supervisor.start_all()
    yield supervisor, port
    supervisor.stop_all()


@pytest.fixture
def connect(database: str) -> Iterator[Callable[[], psycopg.Connection]]:
    """Opens autocommit connections to the test's database and closes them afterwards."""
    opened: list[psycopg.Connection] = []

    def open_one() -> psycopg.Connection:
        opened.append(psycopg.connect(database, autocommit=True))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()
