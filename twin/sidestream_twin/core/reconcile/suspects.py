"""Which meter is wrong: serial elimination, with everything that looks alike named together.

The largest measurement test above the critical value is taken out, the rest is judged without it, and so on (Serth &
Heenan 1986). Taking a meter out is a rank-one change of Q (see ``screening``), so no system is solved again. Meters whose
signatures are parallel (two in one line, say) give the same test whichever of them is wrong: no mathematics tells
them apart, so they are one suspect with several names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray
from sidestream_twin.core.reconcile.estimate import Estimate
from sidestream_twin.core.reconcile.operators import dense
from sidestream_twin.core.reconcile.screening import Screening, scores, sidak
from sidestream_twin.core.reconcile.system import LinearSystem

_PARALLEL = 1e-9
_GONE = 1e-9
"""Share of a meter's information that must be left, with others taken out, for a test of it."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One of ``meters`` is off by ``bias`` ± ``bias_sd`` (measured − true, in the sense of the first; sd of the estimate).

    ``test`` is the statistic at which it was taken out, ``lead`` how far its square was above that of the next one
    (twice the log of how much likelier it is). ``biases`` has the estimate for each of the meters.
    """

    meters: tuple[str, ...]
    test: float
    lead: float
    biases: tuple[float, ...]
    bias_sds: tuple[float, ...]

    @property
    def bias(self) -> float:
        """Of the first meter."""
        return self.biases[0]

    @property
    def bias_sd(self) -> float:
        """Of the first meter's bias."""
        return self.bias_sds[0]


@dataclass(frozen=True, slots=True)
class Leak:
    """A loss out of a node, as the balances see it: ``size`` ± ``sd``, positive when less leaves than comes in."""

    node: str
    test: float
    size: float
    sd: float
    suspect: bool


def suspects(estimate: Estimate, screening: Screening) -> tuple[Suspect, ...]:
    """Return who is to be looked at, the surest first; empty when every test is below the critical value."""
    found: list[_Found] = []
    precision = estimate.precision
    whole = (
        screening.detectability / np.sqrt(np.where(estimate.structure.is_measured, estimate.system.variance, 1.0))
    ) ** 2
    while True:
        score, information = scores(estimate, precision)
        left = (screening.detectability > 0) & (information > _GONE * whole)
        tests = np.where(left, np.abs(score) / np.sqrt(np.where(left, information, 1.0)), -1.0)
        if not tests.size or tests.max() <= screening.critical:
            break
        worst = int(np.argmax(tests))
        group, ratios = _alike(estimate, precision, worst, left, information)
        others = np.delete(tests, group)
        lead = tests[worst] ** 2 - max(float(others.max(initial=0.0)), 0.0) ** 2
        found.append(_Found(group, ratios, float(tests[worst]), float(lead)))
        reach = precision @ dense(estimate.signatures[:, [worst]])[:, 0]
        precision = precision - np.outer(reach, reach) / information[worst]
    return _with_sizes(estimate, found)


def equivalent_meters(estimate: Estimate, screening: Screening) -> tuple[tuple[str, ...], ...]:
    """Return the groups of meters that no test can tell apart; one that stands for itself is in none."""
    left = screening.detectability > 0
    _, information = scores(estimate, estimate.precision)
    groups: list[tuple[str, ...]] = []
    seen: set[int] = set()
    for at in np.flatnonzero(left).tolist():
        if at not in seen:
            group, _ = _alike(estimate, estimate.precision, at, left, information)
            seen.update(group)
            if len(group) > 1:
                groups.append(tuple(estimate.system.ids[each] for each in group))
    return tuple(groups)


def leaks(estimate: Estimate, level: float = 0.05) -> tuple[Leak, ...]:
    """Return the test for a leak at each node where one could be seen, at an overall level of its own.

    A biased meter at the plant's border looks like a leak at its node; so a leak is a second reading of a suspect, to be
    weighed by who knows the plant. Only the largest above the critical value is a suspect.
    """
    directions = estimate.structure.leak_directions()
    usable = np.isfinite(directions).all(axis=0) if directions.size else np.zeros(directions.shape[1], dtype=np.bool_)
    directions = np.where(usable, directions, 0.0)
    score = directions.T @ (estimate.precision @ estimate.imbalance)
    information = np.einsum("rc,rc->c", directions, estimate.precision @ directions)
    nodes = np.flatnonzero(usable & (information > 0)).tolist()
    if not nodes:
        return ()
    critical = sidak(level, len(nodes))
    tests = {node: abs(score[node]) / np.sqrt(information[node]) for node in nodes}
    top = max(tests.values())
    return tuple(
        Leak(
            node=estimate.structure.constraint_ids[node],
            test=float(test),
            size=float(score[node] / information[node]),
            sd=float(1.0 / np.sqrt(information[node])),
            suspect=bool(test > critical and test >= top * (1.0 - _PARALLEL)),
        )
        for node, test in tests.items()
    )


def suspected_meters(named: Iterable[Suspect]) -> frozenset[str]:
    """Return every meter that is named, alone or as one of several that look alike."""
    return frozenset(meter for suspect in named for meter in suspect.meters)


def without_meters(system: LinearSystem, meters: Collection[str]) -> LinearSystem:
    """Return the system in which these were not measured."""
    gone = np.array([name in meters for name in system.ids], dtype=np.bool_)
    return replace(
        system,
        measured=np.where(gone, np.nan, system.measured),
        sd_random=np.where(gone, 0.0, system.sd_random),
        sd_systematic=np.where(gone, 0.0, system.sd_systematic),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A group, with how many times the first one's signature each one's is, once earlier suspects are out."""

    group: list[int]
    ratios: list[float]
    test: float
    lead: float


def _alike(
    estimate: Estimate, precision: FloatArray, worst: int, left: BoolArray, information: FloatArray
) -> tuple[list[int], list[float]]:
    """All whose signature is parallel to that of ``worst`` in the metric Q, ``worst`` first, with the ratios to it."""
    own = dense(estimate.signatures[:, [worst]])[:, 0]
    with_worst = estimate.signatures.T @ (precision @ own)
    parallel = left & (with_worst**2 >= (1.0 - _PARALLEL) * information * information[worst])
    group = [worst, *(at for at in np.flatnonzero(parallel).tolist() if at != worst)]
    return group, [1.0, *(float(with_worst[at] / information[worst]) for at in group[1:])]


def _with_sizes(estimate: Estimate, found: list[_Found]) -> tuple[Suspect, ...]:
    """Estimate the biases of all suspects together, so that none takes the blame of another."""
    if not found:
        return ()
    directions = dense(estimate.signatures[:, [each.group[0] for each in found]])
    weighted = estimate.precision @ directions
    covariance = np.linalg.inv(directions.T @ weighted)
    sizes = covariance @ (weighted.T @ estimate.imbalance)
    spread = np.sqrt(np.diag(covariance))
    return tuple(
        Suspect(
            meters=tuple(estimate.system.ids[member] for member in each.group),
            test=each.test,
            lead=each.lead,
            biases=tuple(float(size / ratio) for ratio in each.ratios),
            bias_sds=tuple(float(sd / abs(ratio)) for ratio in each.ratios),
        )
        for each, size, sd in zip(found, sizes, spread, strict=True)
    )
