"""The database's first set-up on a real PostgreSQL: its owner is no superuser, and can do all that Sidestream needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.embedded.postgres_binaries import find_binaries
from sidestream_app.supervise import unprivileged_account
from sidestream_simulators.hubs import example_hub
from sidestream_store.connect import open_connection
from sidestream_store.guard import check_writable

pytestmark = pytest.mark.server

SCRIPT = Path(__file__).parents[2] / "deploy/postgres/100_sidestream.sql"
PASSWORDS = {"sidestream_owner": "owner's pass\"word", "prefect": "pw-prefect", "sidestream_view": "pw-view"}
Login = Callable[[str, str], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of its own: the script makes roles, which belong to the whole server."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("deploy"))
    server.start()
    psql(server)
    yield server
    server.stop()


def psql(server: EmbeddedPostgres) -> None:
    """Runs the script as the image's entry point does: psql, as superuser, passwords in the environment."""
    address = urlsplit(server.dsn("postgres"))
    env = {
        "PGPASSWORD": address.password or "",
        "SIDESTREAM_DB_PASSWORD": PASSWORDS["sidestream_owner"],
        "PREFECT_DB_PASSWORD": PASSWORDS["prefect"],
    }
    words = [find_binaries(unprivileged_account()).folder / "psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1"]
    where = ["-h", address.hostname, "-p", str(address.port), "-U", address.username, "-d", "postgres", "-f", SCRIPT]
    subprocess.run([*words, *where], env=env, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def login(server: EmbeddedPostgres) -> Login:
    """The address of a database as one of the roles."""
    return lambda role, database: server.dsn(database, role, PASSWORDS[role])


@pytest.fixture(scope="module")
def prepared(server: EmbeddedPostgres, login: Login) -> Login:
    """What the service `migrate` does, by the same commands and settings: the password is not in the DSN."""
    settings = f"host=127.0.0.1 port={server.port} dbname=sidestream user=sidestream_owner"
    env = {
        "SIDESTREAM_DSN": settings,
        "PGPASSWORD": PASSWORDS["sidestream_owner"],
        "SIDESTREAM_VIEWER_PASSWORD": PASSWORDS["sidestream_view"],
    }
    hub = str(example_hub("minimal").hub_path)
    for words in (("db", "migrate"), ("hub", "apply", hub), ("db", "viewer", "sidestream_view")) * 2:
        subprocess.run([sys.executable, "-m", "sidestream_app", *words], env=env, check=True, timeout=60)
    return login


def test_neither_login_is_a_superuser_or_may_make_databases(login) -> None:
    with psycopg.connect(login("sidestream_owner", "sidestream")) as connection:
        rows = connection.execute(
            "SELECT rolname, rolsuper, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname IN ('sidestream_owner', 'prefect', 'sidestream_viewer')"
        ).fetchall()
    assert sorted(rows) == [
        (name, False, False, False, False) for name in ("prefect", "sidestream_owner", "sidestream_viewer")
    ]


def test_each_role_gets_into_its_own_database_only(login) -> None:
    for role, database in (("sidestream_owner", "prefect"), ("prefect", "sidestream")):
        psycopg.connect(login(role, role.removesuffix("_owner"))).close()
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(login(role, database))


def test_the_owner_prepares_the_database_and_may_write_to_it(prepared) -> None:
    with open_connection(prepared("sidestream_owner", "sidestream"), "test") as connection:
        check_writable(connection)
        assert connection.execute("SELECT id FROM sidestream_v.hub").fetchone() == ("minimal",)


def test_the_viewer_reads_every_view_and_no_table_and_changes_nothing(prepared) -> None:
    with psycopg.connect(prepared("sidestream_view", "sidestream"), autocommit=True) as viewer:
        views = [
            row[0]
            for row in viewer.execute("SELECT viewname FROM pg_views WHERE schemaname = 'sidestream_v'").fetchall()
        ]
        assert "latest" in views
        for view in views:
            viewer.execute(f'SELECT * FROM sidestream_v."{view}" LIMIT 1')
        for statement in (
            "SELECT * FROM sidestream.reading",
            "INSERT INTO sidestream_v.hub (id) VALUES ('x')",
            "CREATE TABLE public.mine (a int)",
            "SET ROLE sidestream_owner",
            "CREATE ROLE other LOGIN",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                viewer.execute(statement)


def test_the_owner_has_no_power_over_roles_it_did_not_make(prepared) -> None:
    with psycopg.connect(prepared("sidestream_owner", "sidestream"), autocommit=True) as owner:
        for statement in (
            "ALTER ROLE prefect PASSWORD 'x'",
            "DROP ROLE prefect",
            "ALTER ROLE sidestream_owner SUPERUSER",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(statement)


def test_a_viewer_without_a_password_is_refused_with_the_variable_to_set(server) -> None:
    words = [sys.executable, "-m", "sidestream_app", "db", "viewer", "someone"]
    ran = subprocess.run(words, env={"SIDESTREAM_DSN": "host=nowhere"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "SIDESTREAM_VIEWER_PASSWORD" in ran.stderr
