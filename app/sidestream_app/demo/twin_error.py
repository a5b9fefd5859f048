"""How far the twin is from the simulator's hidden truth, per stock and heat flow. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Subject = tuple[str, str, str]
"""Kind, id, quantity."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure of the twin: value and standard deviation in SI, for the step that starts at `time_us`."""

    subject: Subject
    time_us: int
    value: float
    sd: float


def twin_error(samples: Iterable[Sample], truth: Mapping[tuple[Subject, int], float]) -> dict[str, Any]:
    """`coverage`: share of samples with |twin − truth| ≤ 2 sd; `relative`: mean of |twin − truth| / |truth|; per subject too."""
    by_subject: dict[Subject, list[tuple[bool, float | None]]] = defaultdict(list)
    for sample in samples:
        true = truth.get((sample.subject, sample.time_us))
        if true is None:
            continue
        error = abs(sample.value - true)
        by_subject[sample.subject].append((error <= 2 * sample.sd, error / abs(true) if true else None))
    per = {"/".join(subject): _figures(pairs) for subject, pairs in sorted(by_subject.items())}
    return {**_figures([pair for pairs in by_subject.values() for pair in pairs]), "per": per}


def _figures(pairs: list[tuple[bool, float | None]]) -> dict[str, Any]:
    if not pairs:
        why = "no sample of the twin falls on a whole step of the truth"
        return {"samples": 0, "coverage": None, "coverage_why": why, "relative": None, "relative_why": why}
    relative = [r for _, r in pairs if r is not None]
    figures: dict[str, Any] = {
        "samples": len(pairs),
        "coverage": round(sum(inside for inside, _ in pairs) / len(pairs), 4),
        "relative": round(sum(relative) / len(relative), 6) if relative else None,
    }
    return figures if relative else {**figures, "relative_why": "the true value is zero throughout"}
