"""The Dockerfile and the small programs around the containers."""

from __future__ import annotations

import http.server
import re
import socket
import stat
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEALTH = ROOT / "deploy/health.py"


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def test_the_base_image_and_uv_are_pinned_and_the_lock_is_obeyed(dockerfile):
    assert re.search(r"^ARG PYTHON_TAG=3\.11\.\d+-slim-bookworm$", dockerfile, re.MULTILINE)
    assert re.search(r"\buv==\d+\.\d+\.\d+\b", dockerfile)
    syncs = re.findall(r"uv sync (.*)", dockerfile)
    assert len(syncs) == 4
    assert all("--frozen" in sync for sync in syncs)


def test_both_images_run_as_a_user_without_rights(dockerfile):
    base = dockerfile.partition(" AS base\n")[2]
    assert re.findall(r"^USER (.*)$", base, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^FROM (\S+) AS (\S+)$", base, re.MULTILINE) == [("base", "edge"), ("base", "server")]


def test_the_gateways_image_gets_no_server_part(dockerfile):
    part = dockerfile.partition(" AS build-edge\n")[2].partition("\nFROM ")[0]
    assert set(re.findall(r"--extra (\w+)", part)) == {"edge"}


def test_what_the_wheel_is_made_of_and_nothing_else_goes_into_the_build():
    """Above all no .env."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    single = {"pyproject.toml", "uv.lock", project["project"]["readme"], *project["project"]["license-files"]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {*packages, *single, "deploy/health.py"}


def health(*words: str) -> tuple[int, str]:
    ran = subprocess.run([sys.executable, HEALTH, *words], capture_output=True, text=True, check=False, timeout=15)
    return ran.returncode, ran.stdout.strip()


def test_health_knows_a_port_that_is_listened_on_and_a_connection_that_stands():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert health("listening", str(port)) == (0, "well")
        assert health("connected", f"database:{port}") == (1, f"no connection to database:{port}")
        with socket.create_connection(("127.0.0.1", port)):
            assert health("connected", f"database:{port}") == (0, "well")
    assert health("listening", str(port)) == (1, f"nothing listens on port {port}")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_believes_a_web_server_by_its_status(status, code):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request).start()
        assert health("http", f"http://127.0.0.1:{server.server_port}/")[0] == code


def test_health_refuses_a_check_it_does_not_know():
    assert health("guess", "1")[0] == 1
    assert health()[0] == 1


def test_make_secrets_fills_each_empty_password_differently_and_only_those(tmp_path, example_env):
    file = tmp_path / ".env"
    file.write_bytes((ROOT / ".env.example").read_bytes() + b"MINE_PASSWORD=kept")
    for _ in range(2):
        subprocess.run(["sh", ROOT / "deploy/make-secrets.sh", file], check=True)
        lines = file.read_text(encoding="utf-8").splitlines()
    filled = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert filled.pop("MINE_PASSWORD") == "kept"
    made = {name: value for name, value in filled.items() if name.endswith("_PASSWORD")}
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in made.values())
    assert len(set(made.values())) == len(made) == 8
    assert {name: filled[name] for name in filled.keys() - made.keys()} == {
        name: example_env[name] for name in example_env.keys() - made.keys()
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_make_secrets_needs_the_file_to_be_there(tmp_path):
    ran = subprocess.run(["sh", ROOT / "deploy/make-secrets.sh", tmp_path / "none"], capture_output=True, check=False)
    assert ran.returncode == 2
    assert b".env.example" in ran.stderr
