"""docs/connect.md, command by command: from an empty folder to a Modbus value in a real database, over a real broker."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from edge_rig import AgentProcess, until
from modbus_rig import ModbusServer

import sidestream_simulators.hubs
from sidestream_app.cli import app
from sidestream_contracts.hubcheck import load_hub
from sidestream_store.hub_apply import apply_hub

PAGE = Path(__file__).parents[2] / "docs" / "connect.md"
HUB = Path(sidestream_simulators.hubs.__file__).parent / "minimal" / "hub.yaml"
CONFIG_LINES = 12


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for body in blocks("sh") for line in body.splitlines()]
    return [line.removeprefix("sidestream ") for line in lines if line.startswith("sidestream ")]


def test_the_file_of_the_walk_through_has_at_most_twelve_lines() -> None:
    [edge] = blocks("yaml")
    assert len(edge.splitlines()) <= CONFIG_LINES


@pytest.fixture
def ingest(database: str, broker: tuple[Any, int], tmp_path: Path) -> Iterator[None]:
    """A hub as its host runs it: hub.yaml applied, an ingest worker on the broker."""
    shutil.copy(HUB, tmp_path / "hub.yaml")
    apply_hub(database, load_hub(tmp_path / "hub.yaml"), tmp_path)
    command = [sys.executable, "-m", "sidestream_app", "ingest", "run", "--broker-port", str(broker[1])]
    with (tmp_path / "ingest.log").open("wb") as log:
        worker = subprocess.Popen(command, stderr=log, env={**os.environ, "SIDESTREAM_DSN": database})
    yield
    worker.kill()
    worker.wait()


@pytest.mark.server
def test_the_walk_through_leads_from_an_empty_folder_to_a_row(
    ingest: None, database: str, broker: tuple[Any, int], modbus: Callable[..., ModbusServer],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    meter = modbus()
    meter.words[3] = 4550
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIDESTREAM_DSN", database)
    here = {"10.0.0.5": "127.0.0.1", "502": str(meter.port), "broker.example.org": "127.0.0.1", "1883": str(broker[1])}

    def ours(text: str) -> str:
        return re.sub("|".join(map(re.escape, here)), lambda found: here[found.group()], text)

    def run(command: str) -> tuple[int, str]:
        capsys.readouterr()
        code = app(shlex.split(ours(command)), result_action="return_value", exit_on_error=False)
        return int(code or 0), " ".join(capsys.readouterr().out.split())

    (tmp_path / "edge.yaml").write_text(ours(blocks("yaml")[0]))
    probe, check, listed, explained, mended, again, agent, *looks = commands()
    code, told = run(probe)
    assert code == 0
    assert "4550" in told
    code, told = run(check)
    assert code == 1
    assert "return-temp: 45.5 Cel, good" in told
    assert "quarantine, unknown_sensor" in told
    assert (
        "{id: return-temp, device: gw-boiler, name: return-temp, quantity: temperature, unit: Cel, stream: STREAM}"
        in told
    )
    number = re.findall(r"sidestream quarantine explain (\d+)", run(listed)[1])[-1]
    assert "return-temp" in run(explained.replace(" 1", f" {number}"))[1]
    assert run(mended.replace(" 1 ", f" {number} "))[0] == 0
    assert "{id: return-temp, device: gw-boiler" in (tmp_path / "hub.yaml").read_text()
    code, told = run(again)
    assert code == 0, told
    assert "OK row return-temp: 45.5 Cel, measured" in told
    assert "All the way to the hub's database." in told
    assert agent == "edge run edge.yaml"
    running = AgentProcess(tmp_path / "edge.yaml")
    try:
        until((tmp_path / "outbox.sqlite.door").exists, "the agent")
        for look in looks:
            assert "return-temp" in run(look)[1] or look.startswith("edge status")
    finally:
        running.end()
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT time) FROM sidestream_v.reading WHERE sensor = 'return-temp'").fetchone()  # fmt: skip
    assert rows[0] == rows[1] > 0, "each once, those that waited in quarantine too"
