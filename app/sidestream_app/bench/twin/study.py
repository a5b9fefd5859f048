"""How good the statistics are, on a hub whose truth is known: errors before and after, bands, accusations right and wrong.

Every run draws its meters' places in their classes and then lives through: a calm past, honest intervals that are judged,
and the first three intervals of a fault of five deviations in a checkable meter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sidestream_app.bench.twin.study_hub import PIPES, StudyHub
from sidestream_twin.core.reconcile import LinearSystem, Structure, analyse, reconcile, screen, within_bounds
from sidestream_twin.core.reconcile.watch import Rules, accuse, checkable

PAST, JUDGED, FAULTY = 12, 8, 3
"""Intervals of history, honest intervals judged, and intervals within which the fault must be named."""
_BAND_90 = 1.6448536269514722
_BIAS = 5.0


@dataclass(slots=True)
class _Tally:
    runs: int = 0
    intervals: int = 0
    named: int = 0
    false: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    raw: list[np.ndarray] = field(default_factory=list)
    reconciled: list[np.ndarray] = field(default_factory=list)
    covered: list[np.ndarray] = field(default_factory=list)


def run_study(runs: int, say: Callable[[str], None], first_seed: int = 1) -> dict[str, Any]:
    """The statistics of so many seeded runs; the same for the same seeds."""
    tally = _Tally()
    for seed in range(first_seed, first_seed + runs):
        _run(seed, tally)
        if tally.runs % 50 == 0:
            say(f"{tally.runs} of {runs} runs: {tally.named} named, {sum(tally.false.values())} false accusations")
    return _figures(tally)


def _run(seed: int, tally: _Tally) -> None:
    hub, rules = StudyHub(seed), Rules()
    truths = hub.intervals()
    systems: list[LinearSystem] = []
    structure: Structure | None = None
    for _ in range(PAST + JUDGED):
        truth = next(truths)
        systems.append(hub.read(truth))
        structure = structure or analyse(systems[-1])
        _compare(truth, systems[-1], structure, tally)
    wrong: set[str] = set()
    for now in range(PAST, len(systems)):
        wrong |= _judge(systems[: now + 1], rules, tally, wrong, None)
    culprit = _culprit(seed, systems, rules)
    tally.tried[culprit] += 1
    found = False
    for _ in range(FAULTY):
        systems.append(hub.read(next(truths), {culprit: _BIAS}))
        named = _judge(systems, rules, tally, wrong, culprit)
        found |= culprit in named
        wrong |= named - {culprit}
    tally.named += found
    tally.missed[culprit] += not found
    tally.runs += 1


def _judge(systems: list[LinearSystem], rules: Rules, tally: _Tally, known: set[str], culprit: str | None) -> set[str]:
    """Who is named now; an accusation of others than the culprit's group counts as false, once while it stands."""
    recent = systems[-rules.intervals :]
    history = systems[-rules.intervals - PAST : -rules.intervals]
    tally.intervals += 1
    named: set[str] = set()
    for each in accuse(history, recent, rules):
        meters = set(each.suspect.meters)
        if culprit in meters:
            tally.questions[each.question.value] += 1
            named.add(str(culprit))
        elif not meters & known:
            tally.false[each.question.value] += 1
            named |= meters
    return named


def _culprit(seed: int, systems: list[LinearSystem], rules: Rules) -> str:
    can = checkable(systems[-rules.intervals - PAST : -rules.intervals], systems[-rules.intervals :], rules)
    names = [name for name, seen in zip(systems[-1].ids, can, strict=True) if seen]
    return str(np.random.default_rng([seed, 3]).choice(names))


def _compare(truth: dict[str, float], system: LinearSystem, structure: Structure, tally: _Tally) -> None:
    """Errors of an honest interval in deviations of the meters, and whether the 90 % bands hold the truth."""
    estimate = within_bounds(reconcile(system, structure)).estimate
    true = np.array([truth[name] for name in system.ids])
    unit = np.where(system.is_measured, np.sqrt(system.variance), np.nan)
    tally.raw.append((system.measured - true) / unit)
    tally.reconciled.append((estimate.value - true) / unit)
    tally.covered.append(
        np.where(np.isnan(estimate.value), np.nan, np.abs(estimate.value - true) <= _BAND_90 * estimate.sd)
    )


def _figures(tally: _Tally) -> dict[str, Any]:
    raw, reconciled, covered = (np.array(each) for each in (tally.raw, tally.reconciled, tally.covered))
    false = sum(tally.false.values())
    return {
        "runs": tally.runs,
        "intervals": tally.intervals,
        "rms_raw_sd": _rms(raw),
        "rms_reconciled_sd": _rms(reconciled),
        "coverage_90": round(float(np.nanmean(covered)), 4),
        "named_within_3": round(tally.named / tally.runs, 4),
        "named_by": dict(tally.questions),
        "false_accusations": false,
        "false_per_1000_intervals": round(1000.0 * false / tally.intervals, 3),
        "false_by": dict(tally.false),
        "rules": str(Rules()),
        "meters": _meters(tally, raw, reconciled, covered),
    }


def _meters(tally: _Tally, raw: np.ndarray, reconciled: np.ndarray, covered: np.ndarray) -> list[dict[str, Any]]:
    """The table of who can be checked, by one honest hub; sizes are in deviations of the meter."""
    hub = StudyHub(0)
    truths = hub.intervals()
    systems = [hub.read(next(truths)) for _ in range(PAST + FAULTY)]
    rules = Rules()
    estimate = reconcile(systems[-1])
    one = screen(estimate)
    can = checkable(systems[:PAST], systems[PAST:], rules)
    rows = []
    for at, pipe in enumerate(PIPES):
        rows.append(
            {
                "id": pipe.id,
                "class": estimate.structure.knowledge[at].value,
                "detectability": _number(one.detectability[at]),
                "adjustability": _number(one.adjustability[at]),
                "five_sd_named_in_3": bool(can[at]),
                "faults": tally.tried[pipe.id],
                "missed": tally.missed[pipe.id],
                "rms_raw_sd": _rms(raw[:, at]),
                "rms_reconciled_sd": _rms(reconciled[:, at]),
                "coverage_90": None if np.isnan(covered[:, at]).all() else round(float(np.nanmean(covered[:, at])), 4),
            }
        )
    return rows


def _rms(values: np.ndarray) -> float | None:
    return None if np.isnan(values).all() else round(float(np.sqrt(np.nanmean(np.square(values)))), 4)


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
