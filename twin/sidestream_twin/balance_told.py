"""What a balance tells of an interval, once it is known which meters not to trust: rows, and reconciled figures. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np

from sidestream_store.twin.balances import BalanceRow, NodeRow, PartRow
from sidestream_store.twin.values import StepValue, Subject
from sidestream_twin.balance_interval import Judged, Structures
from sidestream_twin.balance_rules import Part, Relation
from sidestream_twin.core.arrays import FloatArray, finite
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.reconcile import (
    Estimate,
    Knowledge,
    reconcile,
    suspected_meters,
    within_bounds,
    without_meters,
)

_CLOSES_SD = 3.3
_POWER = 0.9
_TOLD = (Knowledge.REDUNDANT, Knowledge.OBSERVABLE)


@dataclass(frozen=True, slots=True)
class Told:
    """The rows of a balance, and its figures: reconciled ones by part, imbalances by place."""

    row: BalanceRow
    figures: Mapping[Subject, StepValue]


def told_of(judged: Judged, suspects: Collection[str], structures: Structures) -> Told:
    """The balance with the readings of these suspects left out."""
    telling = _telling(judged, suspects, structures)
    shown = [
        (at, judged.prepared.parts[name])
        for at, name in enumerate(judged.prepared.system.ids)
        if judged.prepared.parts[name].is_told
    ]
    nodes = [_node(judged, relation) for relation in judged.prepared.relations if relation.closes]
    overall = judged.overall
    row = BalanceRow(
        balance=judged.prepared.balance.name,
        interval=judged.prepared.interval,
        redundancy=judged.estimate.structure.redundancy,
        test=overall.statistic if overall else None,
        p_value=overall.p_value if overall else None,
        closes=overall.passed if overall else None,
        parts=[telling.part(at, part) for at, part in shown],
        nodes=nodes,
    )
    figures = {part.reconciled: value for at, part in shown if (value := telling.figure(at, part))}
    imbalances = {node.subject: _imbalance(node) for node in nodes if node.imbalance is not None}
    return Told(row, {**figures, **imbalances})


@dataclass(frozen=True, slots=True, eq=False)
class _Telling:
    """What all parts of a balance need to be told; arrays in the order of the system's ids."""

    judged: Judged
    suspects: Collection[str]
    estimate: Estimate
    least_bias: FloatArray
    bias: FloatArray
    bias_sd: FloatArray
    power: FloatArray
    at_fault: frozenset[str]
    alike: Mapping[str, tuple[str, ...]]
    completeness: float
    """Of the measured part of which least was seen."""

    def part(self, at: int, part: Part) -> PartRow:
        known, screening = self.judged.prepared.known[part.id], self.judged.screening
        value = known.value
        accused = part.id in self.at_fault or part.id in self.suspects
        return PartRow(
            subject=part.subject,
            interval=self.judged.prepared.interval,
            measured=value.value if value else None,
            sd_random=value.sd_random if value else None,
            sd_systematic=value.sd_systematic if value else None,
            origin=str(known.origin) if known.origin else None,
            completeness=known.completeness,
            missing=known.missing,
            reconciled=finite(self.estimate.value[at]),
            sd=finite(self.estimate.sd[at]),
            knowledge=str(self.judged.estimate.structure.knowledge[at]),
            adjustability=finite(screening.adjustability[at]),
            detectability=finite(screening.detectability[at]),
            least_bias=finite(self.least_bias[at]),
            test=finite(screening.test[at]),
            at_fault=part.id in self.at_fault,
            suspect=part.id in self.suspects,
            bias=finite(self.bias[at]),
            bias_sd=finite(self.bias_sd[at]),
            power=finite(self.power[at]) if accused else None,
            alike=[self.judged.prepared.parts[name].subject for name in self.alike.get(part.id, ()) if name != part.id],
            inputs={"sensors": part.sensors},
        )

    def figure(self, at: int, part: Part) -> StepValue | None:
        """The reconciled figure; None where the balance adds nothing to what the meter says, or nobody knows.

        One without a reading of its own, or whose reading was left out, is estimated: its neighbours alone tell it.
        """
        value = finite(self.estimate.value[at])
        if value is None or self.estimate.structure.knowledge[at] not in _TOLD:
            return None
        known, overall = self.judged.prepared.known[part.id], self.judged.overall
        flags = [word for word in (known.missing,) if word]
        if part.id in self.suspects:
            flags.append("suspect")
        elif overall is not None and not overall.passed and not self.suspects:
            flags.append("unbalanced")
        counts = known.value is not None and part.id not in self.suspects
        return StepValue(
            step=self.judged.prepared.interval,
            value=value,
            sd_random=float(self.estimate.sd_random[at]),
            sd_systematic=float(self.estimate.sd_systematic[at]),
            origin=str(Origin.RECONCILED if counts else Origin.ESTIMATED),
            completeness=known.completeness if known.value is not None else self.completeness,
            n=int(known.value is not None),
            flags=tuple(flags),
        )


def _telling(judged: Judged, suspects: Collection[str], structures: Structures) -> _Telling:
    screening, place = judged.screening, {name: at for at, name in enumerate(judged.prepared.system.ids)}
    bias, bias_sd = np.array(screening.bias), np.array(screening.bias_sd)
    for suspect in judged.at_fault:
        for name, size, spread in zip(suspect.meters, suspect.biases, suspect.bias_sds, strict=True):
            bias[place[name]], bias_sd[place[name]] = size, spread
    metered = [
        k for name, k in judged.prepared.known.items() if k.value is not None and judged.prepared.parts[name].is_metered
    ]
    return _Telling(
        judged=judged,
        suspects=suspects,
        estimate=_without(judged, suspects, structures) if suspects else judged.estimate,
        least_bias=screening.smallest_detectable(_POWER),
        bias=bias,
        bias_sd=bias_sd,
        power=screening.power(bias),
        at_fault=suspected_meters(judged.at_fault),
        alike={name: group for group in judged.alike for name in group},
        completeness=min((k.completeness for k in metered), default=0.0),
    )


def _without(judged: Judged, suspects: Collection[str], structures: Structures) -> Estimate:
    left = without_meters(judged.prepared.system, suspects)
    return within_bounds(reconcile(left, structures.of(judged.prepared.balance.name, left))).estimate


def _node(judged: Judged, relation: Relation) -> NodeRow:
    """What goes in less what goes out, is lost and stays, by measurement alone."""
    found = [(judged.prepared.known[name].best, weight) for name, weight in relation.terms]
    missing = [name for name, _ in relation.terms if judged.prepared.known[name].best is None]
    if missing:
        return NodeRow(relation.subject, judged.prepared.interval, None, None, None, None, missing)
    values = [(value, weight) for value, weight in found if value is not None]
    imbalance = sum(value.value * weight for value, weight in values)
    random = hypot(*(value.sd_random * weight for value, weight in values))
    systematic = hypot(*(value.sd_systematic * weight for value, weight in values))
    closes = abs(imbalance) <= _CLOSES_SD * hypot(random, systematic)
    return NodeRow(relation.subject, judged.prepared.interval, imbalance, random, systematic, closes, ())


def _imbalance(node: NodeRow) -> StepValue:
    return StepValue(
        step=node.interval,
        value=node.imbalance,
        sd_random=node.sd_random,
        sd_systematic=node.sd_systematic,
        origin=str(Origin.ESTIMATED),
        completeness=1.0,
        n=1,
        flags=() if node.closes else ("does_not_close",),
    )
