"""How Prefect's server is started, and that knowing it costs no import of Prefect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sidestream_flows import server_argv, server_env


@pytest.mark.parametrize(
    "given",
    ["postgresql://me:p%2Fw@127.0.0.1:5433/prefect", "host=127.0.0.1 port=5433 user=me password=p/w dbname=prefect"],
)
def test_the_database_is_named_as_prefect_wants_it(given):
    env = server_env(Path("/somewhere"), given, "127.0.0.1", 4200)
    assert env["PREFECT_API_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://me:p%2Fw@127.0.0.1:5433/prefect"


def test_it_phones_nobody_and_has_a_folder_of_its_own():
    env = server_env(Path("/somewhere"), None, "127.0.0.1", 4200)
    assert env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert env["DO_NOT_TRACK"] == "1"
    assert env["PREFECT_HOME"] == "/somewhere"
    assert "PREFECT_API_DATABASE_CONNECTION_URL" not in env
    assert server_argv("127.0.0.1", 4200)[-5:-1] == ["--host", "127.0.0.1", "--port", "4200"]


def test_importing_the_package_imports_no_prefect():
    program = "import sidestream_flows, sys; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
