"""What reconciliation found, as a page of text: a table, then what it means in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sidestream_app.reconcile.network_file import NetworkFile
from sidestream_twin.core.reconcile import Diagnosis, Knowledge, Suspect, unmet_bounds

_HARDLY = 0.1
"""Detectability below which a meter is as good as unchecked: tens of its deviations would go unseen."""
_HEAD = ("stream", "measured", "sd", "reconciled", "sd", "adjust.", "detect.", "test", "finds 9/10", "")


def as_text(found: Diagnosis, file: NetworkFile) -> str:
    """The answer for people."""
    head = _HEAD if found.without is None else (*_HEAD[:-1], "without suspects", "sd", "")
    rows = [head, *(_row(found, file, at) for at in range(len(file.streams)))]
    last = len(head) - 1
    widths = [max(len(row[at]) for row in rows) for at in range(last + 1)]
    table = [
        "  ".join(
            cell.rjust(w) if 0 < at < last else cell.ljust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([line.rstrip() for line in table] + ["", *sentences(found, file)])


def sentences(found: Diagnosis, file: NetworkFile) -> Iterator[str]:
    """What the figures mean, for who does not read χ²."""
    unit = f" {file.unit}" if file.unit else ""
    yield _overall(found, file.level)
    for suspect in found.suspects:
        yield _suspect(suspect, unit)
    for leak in found.leaks:
        if leak.suspect:
            what = "loses" if leak.size > 0 else "gains"
            yield (
                f"The same could be a leak: node {leak.node} {what} {abs(leak.size):.4g} ± {2 * leak.sd:.2g}{unit} unseen "
                f"(test {leak.test:.1f})."
            )
    yield from _limits(found)
    for name in found.at_bound:
        yield f"{name} is held at its bound; unbounded it would lie beyond."
    for group in unmet_bounds(found.estimate):
        yield (
            f"No values within their bounds fit the others, though they aren't known: {_names(list(group))}. "
            "Mistrust the meters beside them, or widen a bound."
        )


def _overall(found: Diagnosis, level: float) -> str:
    test = found.overall
    if test is None:
        return "No meter checks another here, so nothing can be said about their health."
    verdict = "the meters agree" if test.passed else "the meters contradict each other"
    return (
        f"Global test: {verdict}: χ² {test.statistic:.2f}, at most {test.critical:.2f} expected at level {level:g} "
        f"with {test.dof} independent check{'s' if test.dof > 1 else ''} (p {test.p_value:.2g})."
    )


def _suspect(suspect: Suspect, unit: str) -> str:
    parts = [
        f"{meter} reads {abs(size):.4g} ± {2 * sd:.2g}{unit} too {'high' if size > 0 else 'low'}"
        for meter, size, sd in zip(suspect.meters, suspect.biases, suspect.bias_sds, strict=True)
    ]
    if len(parts) == 1:
        return f"Suspect: {parts[0]} (test {suspect.test:.1f})."
    return f"Suspect: one of these, and nothing here can tell which: {'; or '.join(parts)} (test {suspect.test:.1f})."


def _limits(found: Diagnosis) -> Iterator[str]:
    ids, knowledge = found.estimate.system.ids, found.estimate.structure.knowledge
    of_class = {each: [name for name, known in zip(ids, knowledge, strict=True) if known is each] for each in Knowledge}
    if of_class[Knowledge.NON_REDUNDANT]:
        yield f"Can't be checked by the others, so taken as they read: {_names(of_class[Knowledge.NON_REDUNDANT])}."
    detectability = np.nan_to_num(found.screening.detectability, nan=1.0)
    hardly = [
        name
        for name, known, seen in zip(ids, knowledge, detectability, strict=True)
        if known is Knowledge.REDUNDANT and seen < _HARDLY
    ]
    if hardly:
        yield f"Hardly checked, being small or sharp beside their neighbours: {_names(hardly)}."
    if of_class[Knowledge.UNOBSERVABLE]:
        yield f"Not known, for want of meters: {_names(of_class[Knowledge.UNOBSERVABLE])}."
    for group in found.alike:
        yield f"Can't be told apart when one of them is wrong: {_names(list(group))}."


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _row(found: Diagnosis, file: NetworkFile, at: int) -> tuple[str, ...]:
    part, estimate, tests = file.streams[at], found.estimate, found.screening
    knowledge = estimate.structure.knowledge[at]
    named = any(part.id in each.meters for each in found.suspects)
    marks = [*(["SUSPECT"] if named else []), *(["at bound"] if part.id in found.at_bound else [])]
    if knowledge is not Knowledge.REDUNDANT:
        marks.append(knowledge.value)
    return (
        part.id,
        "-" if part.measured is None else f"{part.measured:.6g}",
        "-" if part.measured is None else _number(float(np.sqrt(estimate.system.variance[at])), ".3g"),
        _number(estimate.value[at], ".6g"),
        _number(estimate.sd[at], ".3g"),
        _number(tests.adjustability[at], ".3f"),
        _number(tests.detectability[at], ".3f"),
        _number(tests.test[at], ".2f"),
        _number(tests.smallest_detectable(0.9)[at], ".3g"),
        *_without(found, at),
        ", ".join(marks),
    )


def _without(found: Diagnosis, at: int) -> tuple[str, ...]:
    if found.without is None:
        return ()
    return _number(found.without.value[at], ".6g"), _number(found.without.sd[at], ".3g")


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"
