"""What the documentation shows is true: its files load, its commands are understood, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from itertools import chain
from pathlib import Path

import pytest

from sidestream_app.cli import app
from sidestream_contracts.edge import load_edge
from sidestream_contracts.hubcheck import load_hub

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
COMMAND = re.compile(r"`(?:docker compose run --rm \w+ )?sidestream ([^`…]+)`")


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> list[str]:
    lines = chain.from_iterable(body.splitlines() for body in blocks(page, "sh"))
    shown = [line.removeprefix("sidestream ") for line in lines if line.startswith("sidestream ")]
    inline = [words for words in COMMAND.findall(page.read_text(encoding="utf-8")) if not words.startswith("-")]
    return shown + [words for words in inline if len(words.split()) > 2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_to_a_file(page):
    targets = {page.parent / target for target, _ in LINK.findall(page.read_text(encoding="utf-8")) if target}
    assert [str(target) for target in targets if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_command_is_understood_by_the_real_command_line(page, monkeypatch):
    monkeypatch.setenv("SIDESTREAM_DSN", "host=nowhere")
    for words in commands(page):
        app.parse_args(shlex.split(words, comments=True), exit_on_error=False, print_error=False)


def test_the_files_that_connect_a_meter_are_well_formed_and_fit_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("SIDESTREAM_BROKER_PASSWORD", "secret")
    bodies = blocks(DOCS / "connect-a-meter.md", "yaml")
    for name, body in zip(("hub.yaml", "edge.yaml", "line.yaml"), bodies, strict=True):
        (tmp_path / name).write_text(body, encoding="utf-8")
    hub, edge = load_hub(tmp_path / "hub.yaml"), load_edge(tmp_path / "edge.yaml")
    assert hub.hub.id == edge.hub
    assert [s.id for s in hub.sensors] == [register.id for register in edge.drivers[0].sensors]
    assert edge.broker.username == f"{edge.party}/{edge.device}"
    on_a_line = bodies[1][: bodies[1].index("drivers:")] + bodies[2]
    (tmp_path / "edge.yaml").write_text(on_a_line, encoding="utf-8")
    assert [driver.unit_id for driver in load_edge(tmp_path / "edge.yaml").drivers] == [1, 2]


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"]({page.name}" not in index] == []


def test_the_password_is_set_before_the_first_command_that_reads_the_gateways_file():
    shown = [line for body in blocks(DOCS / "connect-a-meter.md", "sh") for line in body.splitlines()]
    reading = [n for n, line in enumerate(shown) if line.startswith("sidestream ") and "edge.yaml" in line]
    setting = next(n for n, line in enumerate(shown) if "export SIDESTREAM_BROKER_PASSWORD" in line)
    assert len(reading) == 3
    assert setting < min(reading)
