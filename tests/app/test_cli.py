"""The command line as a user meets it: help that teaches, sentences instead of tracebacks, exit codes that mean something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidestream_app import cli
from sidestream_simulators.hubs import example_hub

COMMANDS = [
    "hub check", "hub apply", "db migrate", "edge check", "edge run", "ingest run", "twin update", "flows run", "web run", "correct void", "correct set", "correct adjust", "correct list", "correct show", "correct withdraw", "enter",
    "dashboards write", "dashboards check", "schemas write", "where", "simulate", "replay", "demo", "heat targets", "heat match", "heat reconcile", "chaos", "chaos fuzz", "status",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def sidestream(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command as `sidestream` does, in this process: starting Python anew would take longer than all that is tested."""
    monkeypatch.setattr(cli, "configure_logging", lambda: None)  # loggers would keep this test's stderr for later ones

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["sidestream", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capfd.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run


def in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidestream_app", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_says_what_it_does(sidestream, command):
    done = sidestream(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 200


def test_the_page_of_a_command_teaches_more_than_its_line_in_the_list(sidestream):
    assert "wrong entry is voided" in " ".join(sidestream("enter", "--help").stdout.split())
    assert "wrong entry is voided" not in " ".join(sidestream("--help").stdout.split())


def test_a_well_formed_hub_is_summed_up_and_its_figures_called_synthetic(sidestream):
    done = sidestream("hub", "check", str(example_hub().hub_path))
    assert done.returncode == 0
    assert "synthetic" in done.stdout


def test_a_wrong_hub_gives_exit_code_2_with_file_line_and_nearest_id(sidestream, tmp_path: Path):
    text = example_hub().hub_path.read_text()
    wrong = tmp_path / "hub.yaml"
    wrong.write_text(text.replace("party: smelter", "party: smeltr", 1))
    line = wrong.read_text().splitlines().index(next(x for x in wrong.read_text().splitlines() if "smeltr" in x)) + 1
    done = sidestream("hub", "check", str(wrong))
    assert done.returncode == 2
    assert f"{wrong}:{line}:" in done.stderr
    assert "did you mean 'smelter'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_database_address_is_a_sentence_that_names_both_ways_to_give_it(sidestream, monkeypatch):
    monkeypatch.delenv("SIDESTREAM_DSN", raising=False)
    done = sidestream("correct", "list")
    sentence = " ".join(done.stderr.split())
    assert done.returncode == 2
    assert "needs --dsn, or SIDESTREAM_DSN in the environment" in sentence, sentence


@pytest.mark.server
@pytest.mark.parametrize("command", ["correct list", "quarantine list", "enter silo 4 --at 2026-11-22T07:00 --by Kari"])
def test_a_database_without_the_schema_is_a_sentence_with_the_command_to_run(sidestream, command, postgres):
    done = sidestream(*command.split(), "--dsn", postgres.dsn("postgres"))
    assert done.returncode == 2, done.stderr
    assert "sidestream db migrate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_ends_a_command_without_a_word():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sidestream_app", "hub", "check", str(example_hub().hub_path)],
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_missing_file_is_a_sentence():
    done = in_a_process("hub", "check", "/nowhere/hub.yaml")
    assert done.returncode == 2
    assert done.stderr.strip() == "sidestream: /nowhere/hub.yaml: can't be read: No such file or directory."


def test_json_is_one_object_on_stdout(sidestream):
    done = sidestream("hub", "check", str(example_hub("minimal").hub_path), "--json")
    assert json.loads(done.stdout)["ok"] is True


def test_a_database_that_is_away_gives_exit_code_3(sidestream):
    done = sidestream("db", "migrate", "--dsn", "postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_an_option_that_makes_no_sense_gives_exit_code_2(sidestream):
    assert sidestream("demo", "--for", "soon").returncode == 2
    assert sidestream("demo", "--for", "60s", "--kill", "moon").returncode == 2
    assert sidestream("demo", "--kill", "edge").returncode == 2


def test_an_empty_database_address_is_refused_and_not_waited_for(sidestream, monkeypatch):
    monkeypatch.setenv("SIDESTREAM_DSN", " ")
    done = sidestream("correct", "list")
    assert done.returncode == 2
    assert "it is empty; give the database's address" in " ".join(done.stderr.replace("│", " ").split())


def test_ctrl_c_while_the_program_still_loads_ends_it_without_a_word():
    program = (
        "import os, runpy, signal, sys\n"
        "class Ctrl:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'cyclopts': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Ctrl())\n"
        "runpy.run_module('sidestream_app', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_where_needs_to_know_which_database(sidestream):
    done = sidestream("where", "SS-BAG-1")
    assert done.returncode == 2
    assert "--dsn" in done.stderr


def test_what_the_database_pool_says_of_each_attempt_is_not_printed():
    program = (
        "import logging; from sidestream_app.logs import configure_logging; configure_logging(); "
        "logging.getLogger('psycopg.pool').warning('error connecting in pool-1'); logging.warning('another')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "pool-1" not in done.stderr
    assert "another" in done.stderr
