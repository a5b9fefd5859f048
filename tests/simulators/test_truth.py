"""The truth file: means over whole steps aligned to the epoch, stocks at the step's end, safe against a kill."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.physics import Lot, Scan, Snapshot
from sidestream_simulators.truth import StepRecorder, TruthWriter, read_truth, remember
from sidestream_simulators.water import Water

STEP_S = 2
TICKS = STEP_S * 10
FIRST = 1_800_000_000 * 10  # tick at a step's beginning


def record(path: Path, ticks: range, flow=lambda tick: 1.0, stock=lambda tick: float(tick - FIRST), scans=None) -> None:
    writer = TruthWriter(path)
    recorder = StepRecorder(writer, STEP_S)
    circuit = Water().circuit(2.0, 360.0, 330.0)
    for tick in ticks:
        seen = (scans or {}).get(tick, ())
        snapshot = Snapshot(
            water={"w": circuit}, mass_flow_kg_s={"s": flow(tick)}, stock_kg={"n": stock(tick)}, scans=seen
        )
        recorder.add(tick, snapshot, {"r": 3.0})
    writer.close()


def test_a_flow_is_its_mean_over_the_step_and_a_stock_its_value_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    record(path, range(FIRST, FIRST + 2 * TICKS), flow=lambda tick: float((tick - FIRST) % TICKS))
    found = {(r.quantity, r.at): r for r in read_truth(path)}
    start = datetime.fromtimestamp(FIRST / 10, tz=UTC)
    assert found["mass_flow", start].value == pytest.approx((TICKS - 1) / 2)
    assert found["mass_flow", start].subject_kind == "stream"
    assert found["stock_mass", start].value == TICKS - 1
    assert found["stock_mass", start].subject_kind == "node"
    assert found["heat_flow", start].value == pytest.approx(Water().circuit(2.0, 360.0, 330.0).heat_w)
    assert found["heat_flow", start].step_s == STEP_S
    assert {r.at.timestamp() % STEP_S for r in found.values()} == {0.0}


def test_a_step_that_was_not_simulated_from_beginning_to_end_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    record(path, range(FIRST + 5, FIRST + 2 * TICKS + 7))
    assert {r.at.timestamp() for r in read_truth(path)} == {FIRST / 10 + STEP_S}


def test_where_a_lot_is_stands_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    record(path, range(FIRST, FIRST + 3), scans={FIRST + 1: (Scan("gate", "SS-BAG-000001", 501.0),)})
    (found,) = read_truth(path)
    assert (found.quantity, found.subject, found.place, found.value) == ("lot_place", "SS-BAG-000001", "gate", 501.0)
    assert found.at.timestamp() == pytest.approx((FIRST + 2) / 10)


def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    record(path, range(FIRST, FIRST + TICKS))
    whole = path.read_text()
    path.write_text(whole + '{"time": "2027-01')
    before = list(read_truth(path))
    TruthWriter(path).close()
    assert path.read_text() == whole
    assert list(read_truth(path)) == before


def test_a_line_that_is_no_record_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text("{}\n")
    with pytest.raises(ConfigurationError, match=r"truth\.jsonl:1: is no record"):
        list(read_truth(path))
    with pytest.raises(ConfigurationError, match="can't be read"):
        list(read_truth(tmp_path / "none"))


def test_the_next_run_remembers_the_last_stocks_lots_and_registers(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    assert not remember(path).lots
    scans = {FIRST: (Scan("gate", "A", 5.0),), FIRST + 1: (Scan("yard", "A", 5.0),)}
    record(path, range(FIRST, FIRST + TICKS), scans=scans)
    writer = TruthWriter(path)
    StepRecorder(writer, STEP_S).checkpoint(FIRST + 30, Snapshot(stock_kg={"n": 77.0}), {"r": 4.0})
    writer.close()
    memory = remember(path)
    assert memory.stock_kg == {"n": 77.0}
    assert memory.lots == {"A": Lot("yard", 5.0)}
    assert memory.registers == {"r": 4.0}
