"""What a gateway gets: no server part, wheels for 64-bit ARM, a start within two seconds, a unit that systemd understands."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from sidestream_edge.notify import ServiceManager

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/edge/sidestream-edge.service"
START_S = 2.0
BUSY = 1.5
"""What the same work may take longer on cores that others use as well."""
LINUX = {
    "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}  # fmt: skip


def installed(extra: str, machine: str, python: str) -> dict[str, dict[str, Any]]:
    """Every package of the lock file that `pip install sidestream[extra]` brings on such a Linux machine."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        packages.setdefault(package["name"], []).append(package)
    where = {**LINUX, "platform_machine": machine, "python_version": python, "python_full_version": f"{python}.9"}
    found: dict[str, dict[str, Any]] = {}
    waiting: list[tuple[str, str | None, list[str]]] = [("sidestream", None, [extra])]
    while waiting:
        name, version, extras = waiting.pop()
        [package] = [one for one in packages[name] if version in (None, one["version"])]
        wanted = [dep for e in extras for dep in package.get("optional-dependencies", {}).get(e, [])]
        wanted += package.get("dependencies", []) if name not in found else []
        found[name] = package
        waiting += [
            (dep["name"], dep.get("version"), dep.get("extra", []))
            for dep in wanted
            if ("marker" not in dep or Marker(dep["marker"]).evaluate(where))
            and (dep["name"] not in found or dep.get("extra"))
        ]
    del found["sidestream"]
    return found


def has_wheel(package: dict[str, Any], machine: str, python: str) -> bool:
    """Whether PyPI has a wheel of this very version that pip takes there (glibc of Debian 12: 2.36)."""
    tag = python.replace(".", "")
    for wheel in package.get("wheels", []):
        interpreter, abi, platforms = wheel["url"].rsplit("/", 1)[1].removesuffix(".whl").split("-")[-3:]
        fits = "py3" in interpreter or f"cp{tag}" in interpreter or abi == "abi3"
        glibc = [int(minor) for minor in re.findall(rf"manylinux_2_(\d+)_{machine}", platforms)]
        if fits and (platforms == "any" or f"manylinux2014_{machine}" in platforms or (glibc and min(glibc) <= 36)):
            return True
    return False


def extras() -> dict[str, set[str]]:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {extra: {Requirement(line).name.lower() for line in lines} for extra, lines in told.items()}


@pytest.mark.parametrize("extra", ["edge", "opcua"])
def test_a_gateway_gets_no_server_part(extra: str) -> None:
    theirs = extras()["server"] - extras()["edge"] - extras()["opcua"]
    assert {"psycopg", "numpy", "prefect", "fastapi"} <= theirs
    assert theirs & set(installed(extra, "aarch64", "3.11")) == set()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("extra", ["edge", "opcua"])
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_every_dependency_of_a_gateway_is_a_wheel(machine: str, extra: str, python: str) -> None:
    packages = installed(extra, machine, python)
    assert [name for name, package in packages.items() if not has_wheel(package, machine, python)] == []


def test_the_page_names_every_compiled_package_and_where_it_comes_from_on_armv7() -> None:
    packages = {**installed("edge", "armv7l", "3.11"), **installed("opcua", "armv7l", "3.11")}
    compiled = {
        name: "wheel" if has_wheel(package, "armv7l", "3.11") else "system"
        for name, package in packages.items()
        if not any(wheel["url"].endswith("-none-any.whl") for wheel in package.get("wheels", []))
    }
    page = (ROOT / "docs/small-gateways.md").read_text()
    told = dict(re.findall(r"^\| ([a-z-]+) \| .* \| (wheel|system)\b", page, re.MULTILINE))
    assert told == compiled


@pytest.mark.server
def test_the_agent_starts_within_two_seconds_and_loads_no_server_part(tmp_path: Path) -> None:
    """Processor time from the command to the first turn of the main loop, which a busy machine does not lengthen."""
    (tmp_path / "edge.yaml").write_text(
        "version: 1\nhub: h\nparty: p\ndevice: gw\nbroker: {host: 127.0.0.1, port: 9}\ndrivers:\n"
        "  - {id: m, type: modbus, host: 127.0.0.1, port: 9, sensors: [{id: s, register: 0}]}\n"
    )
    code = (
        "import json, os, sys, time\n"
        "from sidestream_edge.agent import Agent\n"
        "def step(agent):\n"
        "    loaded = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "    print(json.dumps([time.process_time(), loaded]), flush=True)\n"
        "    os._exit(0)\n"
        "Agent.step = step\n"
        "from sidestream_app.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "edge", "run", str(tmp_path / "edge.yaml")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    took_s, loaded = json.loads(done.stdout)
    print(f"start: {took_s:.2f} s of processor time")
    assert took_s < START_S * BUSY
    heavy = {"psycopg", "numpy", "scipy", "prefect", "fastapi", "sqlalchemy", "pyarrow", "CoolProp", "pint", "rich"}
    assert heavy & set(loaded) == set()


def test_the_unit_starts_guards_and_confines_the_agent() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    service = unit["Service"]
    assert service["ExecStart"].endswith("sidestream edge run /etc/sidestream/edge.yaml")
    assert (service["Type"], service["Restart"], service["RestartPreventExitStatus"]) == ("notify", "always", "2")
    assert (service["KillMode"], service["OOMPolicy"]) == ("mixed", "continue")
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == (
        "strict",
        "yes",
        "",
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    here = UNIT.read_text().replace("/opt/sidestream/bin/sidestream", sys.executable)
    (tmp_path / UNIT.name).write_text(re.sub(r"^(User|Group|SupplementaryGroups)=.*\n", "", here, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, UNIT.name in done.stderr) == (0, False), done.stderr


def test_the_service_manager_hears_ready_life_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        agent = ServiceManager(every_s=1000.0)
        assert "NOTIFY_SOCKET" not in os.environ
        agent.ready()
        agent.alive()
        agent.alive()
        agent.stopping()
        heard = [manager.recv(100).decode() for _ in range(3)]
    assert heard == [f"READY=1\nMAINPID={os.getpid()}", "WATCHDOG=1", "STOPPING=1"]
    ServiceManager().ready()
