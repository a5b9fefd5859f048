"""How to start Prefect's own server as a child process: it keeps its records in our PostgreSQL and phones nobody."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # else a client without a server starts one of its own
    "PREFECT_CLI_COLORS": "false",
}
"""Settings of everything that runs Prefect here."""


def server_argv(host: str, port: int) -> list[str]:
    """The command that serves Prefect's API and user interface on `host:port`, in the foreground."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port), "--analytics-off"]


def server_env(home: Path, database_url: str | None, host: str, port: int) -> dict[str, str]:
    """What its environment must have on top: a folder of its own, where its records are, and where it is reached.

    `database_url`: `postgresql://user:password@host:port/name` of an existing database, its driver is put in; None: a
    SQLite file in `home`, which is slow with more than a few runs at a time.
    """
    env = {
        **QUIET,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://{host}:{port}/api",
        "PREFECT_UI_API_URL": "/api",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # A pass every ten seconds makes events by the thousand; a day of them is enough to look at.
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P1D",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "5",
        "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "5",
    }
    if database_url is not None:
        env["PREFECT_API_DATABASE_CONNECTION_URL"] = _for_asyncpg(database_url)
    return env


def _for_asyncpg(url: str) -> str:
    """The same database as SQLAlchemy names it; libpq's own `key=value` form is understood as well."""
    if "://" in url:
        parts = urlsplit(url)
        return parts._replace(scheme="postgresql+asyncpg", query="").geturl()
    words = dict(word.split("=", 1) for word in url.split())
    login = quote(words.get("user", ""), safe="") + (
        f":{quote(words['password'], safe='')}" if "password" in words else ""
    )
    place = f"{words.get('host', '127.0.0.1')}:{words.get('port', '5432')}"
    return f"postgresql+asyncpg://{login}@{place}/{quote(words.get('dbname', ''), safe='')}"
