"""The RFID study counts what it says it counts, and SMURF lies on or below the fixed windows on a small seeded portal."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream_app.bench.rfid import recorded, simulated
from sidestream_app.bench.rfid.methods import EPOCH_US, Told, fixed_window
from sidestream_app.bench.rfid.plot import svg
from sidestream_app.bench.rfid.simulated import Score, fixed_at, score
from sidestream_app.commands.bench_rfid import rfid
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.rfid.events import Read
from sidestream_simulators.rfid_portal import Portal, Stay


def reads_at(*seconds: float) -> list[Read]:
    return [Read(round(s * 1e6), "01", "1", -50.0) for s in seconds]


def test_a_fixed_window_tells_a_leave_after_its_silence_and_an_enter_with_the_next_read():
    told = fixed_window(reads_at(0.0, 0.5, 3.0), 1.0)
    assert [(t.is_leave, t.t_us / 1e6, t.decided_us / 1e6) for t in told] == [
        (False, 0.0, 0.2), (True, 0.5, 1.6), (False, 3.0, 3.2), (True, 3.0, 4.2),
    ]  # fmt: skip


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.sampled_from([0.2, 1.0, 5.0]))
def test_a_longer_window_never_tells_more_leaves(seconds: list[float], window_s: float):
    reads = reads_at(*sorted(seconds))
    assert len(fixed_window(reads, 2 * window_s)) <= len(fixed_window(reads, window_s))


def test_a_leave_known_before_the_tag_has_gone_is_a_phantom_and_the_first_one_after_gives_the_delay():
    portal = Portal((), (Stay(b"\x01", 1, 0.0, 10.0),), 11.0)
    told = [
        Told(False, "01", "1", 0, EPOCH_US), Told(True, "01", "1", 2_000_000, 4_000_000),
        Told(False, "01", "1", 5_000_000, 5_200_000), Told(True, "01", "1", 9_500_000, 12_500_000),
        Told(False, "01", "2", 6_000_000, 6_200_000),
    ]  # fmt: skip
    assert score(told, portal) == Score(delay_s=2.5, phantom=1, stray=1, stays=1)


def test_the_fixed_curve_is_read_between_its_points_and_at_its_ends():
    curve = [Score(1.0, 20, 0, 10), Score(3.0, 10, 0, 10), Score(5.0, 0, 0, 10)]
    assert [fixed_at(curve, d) for d in (0.5, 1.0, 2.0, 4.0, 9.0)] == [2.0, 2.0, 1.5, 0.5, 0.0]


def test_smurf_lies_on_or_below_the_curve_of_fixed_windows_on_a_small_portal():
    found = simulated.study("mixed", 40, 1, lambda _: None)
    assert found["all_below"]
    document = ET.fromstring(svg([found]))
    assert len(document.findall("{http://www.w3.org/2000/svg}polyline")) == 2


def test_on_a_recording_a_leave_that_a_later_read_takes_back_is_a_phantom(tmp_path: Path):
    rows = [f"{ms},7,-60,S0,1" for ms in (0, 300, 600, 30_000, 30_300)]
    (tmp_path / "reads.csv").write_text("\n".join([",milliseconds,epc,rssi,session,experiment_nr"[1:], *rows]))
    (session,) = recorded.study(tmp_path)["sessions"]
    by = {(m["method"], m["setting"]): m for m in session["methods"]}
    assert (by["fixed", 2.0]["leaves"], by["fixed", 2.0]["phantom"]) == (2, 1)
    assert by["smurf", 1e-5]["leaves"] == 2


def test_a_folder_without_a_recording_is_a_configuration_error(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="needs columns milliseconds"):
        recorded.load(tmp_path)


def test_the_command_says_when_there_is_no_recording_and_writes_its_plot(capsys, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("sidestream_app.bench.rfid.run._QUICK", (12, 1))
    code = rfid(quick=True, plot=tmp_path / "plot.svg", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert code in {0, 1}
    assert "SIDESTREAM_RFID_PORTAL" in found["recorded_why"]
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")
