"""What reconciliation found, as JSON: numbers, or null with the reason beside it under `…_why`."""

from __future__ import annotations

from typing import Any

from sidestream_app.reconcile.network_file import NetworkFile, StreamPart
from sidestream_twin.core.arrays import finite
from sidestream_twin.core.reconcile import Diagnosis, Knowledge, Suspect, unmet_bounds

_NO_METER = "it has no meter"
_EXACT = "its value was given as exact"
_ALONE = "no balance tells this stream without its own meter"
_UNKNOWN = "it has no meter, and the balances leave it open"
_NO_CHECK = "no meter checks another: no balance has a meter on all its streams, or on a way around"


def as_dict(found: Diagnosis, file: NetworkFile) -> dict[str, Any]:
    """The answer for programs; values in the file's unit, deviations are standard deviations."""
    tests = found.screening
    return {
        "unit": file.unit,
        "name": file.name,
        "level": file.level,
        "tests": tests.tests,
        "critical": tests.critical,
        "redundancy": found.estimate.structure.redundancy,
        "global_test": _overall(found),
        **({} if found.overall else {"global_test_why": _NO_CHECK}),
        "streams": [_stream(found, part, at) for at, part in enumerate(file.streams)],
        "suspects": [_suspect(each) for each in found.suspects],
        "alike": [list(group) for group in found.alike],
        "leaks": [
            {"node": leak.node, "size": leak.size, "sd": leak.sd, "test": leak.test, "suspect": leak.suspect}
            for leak in found.leaks
        ],
        "at_bound": list(found.at_bound),
        "unmet_bounds": [list(group) for group in unmet_bounds(found.estimate)],
    }


def _overall(found: Diagnosis) -> dict[str, Any] | None:
    test = found.overall
    if test is None:
        return None
    return {
        "statistic": test.statistic,
        "dof": test.dof,
        "critical": test.critical,
        "p_value": test.p_value,
        "passed": test.passed,
    }


def _stream(found: Diagnosis, part: StreamPart, at: int) -> dict[str, Any]:
    estimate, tests = found.estimate, found.screening
    knowledge = estimate.structure.knowledge[at]
    named = next((each for each in found.suspects if part.id in each.meters), None)
    lost = _UNKNOWN if knowledge is Knowledge.UNOBSERVABLE else None
    unchecked = {Knowledge.FIXED: _EXACT, Knowledge.NON_REDUNDANT: _ALONE}.get(knowledge, _NO_METER)
    numbers: dict[str, tuple[float, str | None]] = {
        "reconciled": (estimate.value[at], lost),
        "sd": (estimate.sd[at], lost),
        "adjustment": (estimate.adjustment[at], _NO_METER),
        "adjustability": (tests.adjustability[at], unchecked),
        "detectability": (tests.detectability[at], unchecked),
        "test": (tests.test[at], unchecked),
        "bias": (tests.bias[at], unchecked),
        "bias_sd": (tests.bias_sd[at], unchecked),
        "smallest_detectable_bias": (tests.smallest_detectable(0.9)[at], unchecked),
    }
    if found.without is not None:
        reason = "without the suspects' meters the balances leave it open"
        numbers["reconciled_without_suspects"] = (found.without.value[at], lost or reason)
        numbers["sd_without_suspects"] = (found.without.sd[at], lost or reason)
    return {
        "id": part.id,
        "from": part.source,
        "to": part.target,
        "measured": part.measured,
        "class": knowledge.value,
        **_numbers(numbers),
        "suspect": named is not None,
        "suspect_with": [] if named is None else [each for each in named.meters if each != part.id],
        "at_bound": part.id in found.at_bound,
    }


def _numbers(values: dict[str, tuple[float, str | None]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (value, why) in values.items():
        found[key] = finite(value)
        if found[key] is None:
            found[f"{key}_why"] = why
    return found


def _suspect(each: Suspect) -> dict[str, Any]:
    return {
        "streams": list(each.meters),
        "test": each.test,
        "bias": dict(zip(each.meters, each.biases, strict=True)),
        "bias_sd": dict(zip(each.meters, each.bias_sds, strict=True)),
    }
