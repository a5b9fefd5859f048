from __future__ import annotations

import numpy as np
import pytest

from sidestream_app.bench.twin.study import run_study
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile import Question, Rules, Stream, accuse, network
from sidestream_twin.core.uncertain import Uncertain

PIPES = (("in", None, "a"), ("mid", "a", "b"), ("side", "a", "b"), ("out", "b", None), ("check", None, "a"))
TRUTH = np.array([80.0, 60.0, 40.0, 100.0, 20.0])
RANDOM, SYSTEMATIC = 0.3, 0.5


def interval(shift=(0, 0, 0, 0, 0), noise=(0, 0, 0, 0, 0)):
    shown = TRUTH + np.array(shift) + RANDOM * np.array(noise)
    return network(
        Stream(*pipe, Uncertain(float(value), RANDOM, SYSTEMATIC)) for pipe, value in zip(PIPES, shown, strict=True)
    )


def calm(count, seed=1):
    random = np.random.default_rng(seed)
    return [interval(noise=random.normal(size=5)) for _ in range(count)]


OFF = (0, 0, 0, 5.0, 0)


def test_a_fault_is_named_once_it_has_lasted_three_intervals_and_not_before():
    history, faulty = calm(12), [interval(OFF) for _ in range(3)]
    quiet = calm(3, seed=2)
    assert accuse(history, quiet) == ()
    assert accuse(history, [*quiet[:2], faulty[0]]) == ()
    assert accuse(history, faulty[:2]) == ()
    (found,) = accuse(history, faulty)
    assert found.suspect.meters == ("out",)
    assert found.suspect.bias == pytest.approx(5.0, abs=0.5)
    assert accuse(history, faulty) == (found,)


def test_a_spike_is_not_a_fault_however_large():
    assert accuse(calm(12), [interval(), interval((0, 0, 0, 50.0, 0)), interval()]) == ()


def test_a_meter_at_its_class_limit_is_never_accused_however_often_it_is_seen():
    """All say the same every time, so the mean is sharp, but the class error does not average out."""
    limit = SYSTEMATIC * np.sqrt(3.0)
    at_limit = [interval((0, 0, 0, limit, 0)) for _ in range(30)]
    assert accuse([], at_limit) == ()
    assert accuse(at_limit[:12], at_limit[12:]) == ()


def test_a_move_within_the_class_is_no_fault_and_one_beyond_it_is_seen_though_the_level_is_not():
    rules = Rules(level=1e-6)
    history = [interval() for _ in range(12)]
    within, beyond = 3.0 * SYSTEMATIC, 6.0 * SYSTEMATIC
    assert accuse(history, [interval((0, 0, 0, within, 0))] * 3, rules) == ()
    (found,) = accuse(history, [interval((0, 0, 0, beyond, 0))] * 3, rules)
    assert found.question is Question.CHANGE
    assert found.suspect.meters == ("out",)


def test_changes_are_judged_once_there_is_a_past_and_with_load_swings_nobody_is_blamed():
    rules = Rules(level=1e-6)
    assert accuse([interval()] * 2, [interval((0, 0, 0, 3.0, 0))] * 3, rules) == ()
    swing = np.array([20.0, 20.0, 0.0, 20.0, 0.0])
    assert accuse([interval()] * 12, [interval(swing)] * 3) == ()


def test_a_meter_that_was_away_for_an_interval_does_not_count_and_the_others_do():
    away = network(
        Stream(*pipe, None if pipe[0] == "check" else Uncertain(float(value), RANDOM, SYSTEMATIC))
        for pipe, value in zip(PIPES, TRUTH + np.array(OFF), strict=True)
    )
    (found,) = accuse(calm(12), [interval(OFF), away, interval(OFF)])
    assert set(found.suspect.meters) == {"mid", "side", "out"}  # without the check's meter nothing tells these apart


def test_rules_that_cannot_be_followed_are_refused():
    with pytest.raises(ModelError, match="at least 1"):
        Rules(intervals=0)


def test_the_study_in_small_has_honest_bands_and_names_faults():
    """Two seeded runs of `sidestream bench twin --study`, which CI can afford; limits are wider than the study's."""
    found = run_study(2, print)
    assert found["rms_reconciled_sd"] < 0.85 < found["rms_raw_sd"]
    assert 0.85 <= found["coverage_90"] <= 0.95
    assert found["named_within_3"] == 1.0
    assert found["false_accusations"] == 0
    assert {each["id"] for each in found["meters"] if not each["five_sd_named_in_3"]} >= {"brine", "biogas", "overflow"}
