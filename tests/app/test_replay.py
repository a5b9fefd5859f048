"""Real recordings through the whole chain: everything arrives once, and the twin agrees with the meter's own register."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(240)]
SHARED = Path(os.environ.get("SIDESTREAM_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def sidestream(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sidestream_app", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def recording(path: str) -> str:
    if not (SHARED / path).exists():
        pytest.skip(f"the recording {path} is not on this machine (set SIDESTREAM_SHARED to the folder that has data/)")
    return str(SHARED / path)


def replayed(home: Path, *arguments: str) -> dict:
    done = sidestream("replay", *arguments, "--dir", str(home), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["replays"][0]


@pytest.fixture
def few_months(tmp_path: Path) -> str:
    """The first 3 000 hours of a recorded heat meter."""
    rows = Path(recording("heat-meter-dk/meter-660.csv")).read_text(encoding="utf-8").splitlines()[:3001]
    (file := tmp_path / "meter-660.csv").write_text("\n".join(rows), encoding="utf-8")
    return str(file)


def test_the_meter_agrees_with_its_own_register_once_its_position_is_set_rightly(tmp_path, few_months):
    found = replayed(tmp_path, few_months, "--meter-position", "supply")
    assert (found["sent"], found["lost"], found["doubled"]) == (4 * 3_000, 0, 0)
    assert abs(found["heat"][0]["difference_pct"]) < 1


def test_the_wrong_position_is_visible(tmp_path, few_months):
    found = replayed(tmp_path, few_months, "--meter-position", "return")
    assert found["heat"][0]["difference_pct"] > 1.5


def test_every_rfid_read_arrives_once_and_one_command_answers_for_a_tag(tmp_path):
    found = replayed(tmp_path, recording("rfid-portal/reads.csv"))
    assert (found["committed"], found["lost"], found["doubled"]) == (36_475, 0, 0)
    assert found["tags"] == {"scans": 36_475, "tags": 1_241, "scans_without_place": 4_004, "tags_without_place": 326}
    home = str(tmp_path / "rfid-portal")
    assert "Panel 1" in sidestream("where", "271", "--dir", home).stdout
    assert "place unknown" in sidestream("where", unmapped_tag(), "--dir", home).stdout
    never = sidestream("where", "no-such-tag", "--dir", home)
    assert never.returncode == 1
    assert "never read" in never.stderr


def unmapped_tag() -> str:
    mapped = {
        line.split(",")[1] for line in Path(recording("rfid-portal/panels_epc_mapping.csv")).read_text().splitlines()
    }
    reads = Path(recording("rfid-portal/reads.csv")).read_text().splitlines()[1:]
    return next(code for code in (line.split(",")[2] for line in reads) if code not in mapped)


def test_a_file_of_no_known_kind_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    done = sidestream("replay", str(tmp_path / "x.csv"))
    assert done.returncode == 2
    assert "heat-meter" in done.stderr
