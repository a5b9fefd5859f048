from __future__ import annotations

import json

from sidestream_app.bench.twin import run
from sidestream_app.bench.twin.reconcile_speed import measure
from sidestream_app.bench.twin.report import speed_lines, speed_ok, study_lines, study_ok
from sidestream_app.bench.twin.study import run_study
from sidestream_app.cli import app


def test_what_no_part_measures_is_null_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(run, "PARTS", (lambda quick, say: measure(quick=quick, sizes=(30, 100, 300)),))
    monkeypatch.setattr("sidestream_app.bench.twin.report.AT", "300")
    assert app(["bench", "twin", "--quick", "--json"], result_action="return_value") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reconcile_s"].keys() == {"30", "100", "300"}
    assert found["update_500_s"] is None
    assert "no part" in found["update_500_s_why"]
    assert all(each["peer_difference"] <= 1e-8 for each in found["reconcile_detail"].values())
    assert speed_ok(found)
    assert "update_500_s: not measured" in "\n".join(speed_lines(found))


def test_the_study_is_the_same_for_the_same_seeds_and_has_a_row_per_stream():
    found = run_study(1, print)
    assert found == run_study(1, print)
    assert len(list(study_lines(found))) == 6 + len(found["meters"])
    assert study_ok(found)
