"""Chaos: the plan comes from the seed, every kind strikes, the report tells the truth, and a broken promise is found."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_app.chaos import schedule
from sidestream_app.chaos.faults import FAULTS
from sidestream_app.chaos.memory import Memory
from sidestream_app.chaos.report import Outcome, Struck, as_object, as_text
from sidestream_app.chaos.tally import comparable
from sidestream_app.demo.counting import Count, count

TRACKS = {number: fault.track for number, fault in FAULTS.items()}
WANTED = {*range(1, 9), 10, 13, *range(20, 25), 26, 28, 34}
DOCS = Path(__file__).parents[2] / "docs" / "chaos.md"


def test_every_fault_that_is_asked_of_chaos_is_in_the_table():
    assert FAULTS.keys() == WANTED
    assert all(fault.does and fault.holds for fault in FAULTS.values())


def test_the_page_about_chaos_tells_of_every_fault_in_the_words_of_the_table():
    text = DOCS.read_text()
    for fault in FAULTS.values():
        assert f"| {fault.number} | {fault.name} | {fault.does} | {fault.holds} |" in text


@given(st.integers(0, 10**6), st.floats(15, 600))
def test_the_same_seed_gives_the_same_plan_in_which_every_kind_strikes_in_time(seed, to_s):
    plan = schedule.plan(TRACKS, from_s=5, to_s=to_s, seed=seed)
    assert plan == schedule.plan(TRACKS, from_s=5, to_s=to_s, seed=seed)
    assert {step.number for step in plan} == WANTED
    assert all(5 <= step.at_s <= to_s for step in plan)


def test_another_seed_gives_another_order():
    orders = {tuple(s.number for s in schedule.plan(TRACKS, from_s=5, to_s=60, seed=seed)) for seed in range(20)}
    assert len(orders) == 20


@given(st.integers(0, 1000), st.floats(20, 300))
def test_faults_of_one_track_have_their_room_to_themselves(seed, to_s):
    for track in schedule.Track:
        mine = [s for s in schedule.plan(TRACKS, from_s=5, to_s=to_s, seed=seed) if s.track is track]
        assert all(a.at_s + a.room_s <= b.at_s + 1e-6 for a, b in itertools.pairwise(mine))


def test_a_nan_is_counted_like_any_other_value():
    sent = [("a", 1, float("nan")), ("a", 2, 1.0)]
    kept = [("a", 1, float("nan")), ("a", 2, 1.0)]
    found = count(comparable(sent), comparable(kept), [])
    assert (found.lost, found.doubled) == (0, 0)


def outcome(**changes) -> Outcome:
    memory = Memory(dict, {"edge": 40.0, "gone": 9.0}, {"edge": 41.0, "new": 50.0}, 99.0)
    good = {
        "seed": 4, "seconds": 60.0, "quick": False, "faults": (Struck(9.5, 2, "kill -9 ingest", "ingest-one", "killed", True),),
        "count": Count(100, 90, 10, 0, 0), "quarantine": {}, "drained_s": 1.0, "memory": memory, "processes": ("edge",),
        "rerun": "sidestream chaos --seed 4 --for 60s",
    }  # fmt: skip
    return Outcome(**(good | changes))


def test_memory_growth_is_of_what_was_there_at_both_times():
    assert as_object(outcome())["memory_growth_mb"] == 1.0
    assert as_object(outcome())["memory_growth_share"] == 0.025


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"count": Count(100, 90, 9, 1, 0)}, "lost 1"),
        ({"count": Count(100, 90, 11, 0, 1)}, "doubled 1"),
        ({"drained_s": None}, "acknowledged in time"),
        ({"memory": Memory(dict, {"edge": 40.0}, {"edge": 44.0})}, "memory grew by 10%"),
        ({"faults": (Struck(1.0, 2, "kill -9 ingest", "?", "never alive", False),)}, "never alive"),
    ],
)
def test_whatever_does_not_hold_fails_the_run_and_names_how_to_have_it_again(changes, word):
    bad = outcome(**changes)
    assert word in " ".join(bad.complaints())
    assert "sidestream chaos --seed 4 --for 60s" in as_text(bad)
    assert not as_object(bad)["ok"]


def test_a_fault_that_can_not_be_done_here_is_told_and_fails_nothing():
    skipped = outcome(faults=(Struck(1.0, 13, "database disk full", "postgres", "skipped: no tmpfs", None),))
    assert not skipped.complaints()
    assert "skipped: no tmpfs" in as_text(skipped)


def chaos_command(home: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "sidestream_app", "chaos", "--dir", str(home), "--no-flows", "--json", *options]


def chaos(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(chaos_command(home, *options), capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_short_run_loses_and_doubles_nothing_and_leaves_no_process(tmp_path):
    done = chaos(tmp_path / "chaos", "--for", "10s", "--seed", "11", "--faults", "1,2,3,22,24,26,28")
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert not [line for line in found["complaints"] if "memory" not in line], done.stderr
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["sent"] > 500 * 10
    assert {fault["number"] for fault in found["faults"]} == {1, 2, 3, 22, 24, 26, 28}
    assert found["quarantine_reasons"]["key_reused"] >= 1
    assert found["quarantine_reasons"]["database_refused"] == 1
    left = [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())]
    assert not left


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.long
def test_one_row_taken_away_and_one_put_in_twice_behind_its_back_fail_the_run(tmp_path):
    process = subprocess.Popen(
        chaos_command(tmp_path / "chaos", "--for", "5s", "--seed", "5", "--faults", "23"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with psycopg.connect(dsn_of(process), autocommit=True) as database:
            wait_for(lambda: database.execute("SELECT count(*) > 10 FROM sidestream.scan").fetchone() == (True,))
            first = database.execute("SELECT min(ctid) FROM sidestream.scan").fetchone()
            database.execute(
                "INSERT INTO sidestream.scan SELECT * FROM sidestream.scan WHERE ctid <> %s LIMIT 1", first
            )
            database.execute("DELETE FROM sidestream.scan WHERE ctid = %s", first)
        out, progress = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, bool(out)) == (1, True), progress
    found = json.loads(out)
    assert (found["lost"], found["doubled"]) == (1, 1)
    assert "--seed 5" in found["rerun"]


def dsn_of(run: subprocess.Popen[str]) -> str:
    """The database of a run, as its ingest worker is told."""
    found: list[str] = []

    def told() -> bool:
        for child in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if child.cmdline()[-2:] == ["ingest", "run"]:
                    found.append(child.environ()["SIDESTREAM_DSN"])
        return bool(found)

    wait_for(told)
    return found[0]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_unknown_fault_numbers_are_a_sentence(tmp_path):
    done = chaos(tmp_path / "chaos", "--faults", "1,99")
    assert done.returncode == 2
    assert "no such fault" in done.stderr
    assert not re.search("Traceback", done.stderr)
