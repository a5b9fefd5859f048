"""Everything there is to say of one interval: estimate within bounds, tests, suspects, and the estimate without them."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_twin.core.reconcile.bounds import within_bounds
from sidestream_twin.core.reconcile.estimate import Estimate, reconcile
from sidestream_twin.core.reconcile.screening import GlobalTest, Screening, global_test, screen
from sidestream_twin.core.reconcile.structure import Structure
from sidestream_twin.core.reconcile.suspects import (
    Leak,
    Suspect,
    equivalent_meters,
    leaks,
    suspected_meters,
    suspects,
    without_meters,
)
from sidestream_twin.core.reconcile.system import LinearSystem


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """``estimate`` trusts every meter; ``without`` treats the suspects as unmeasured, and is None if there is none.

    Tests are of the unbounded estimate: a bound moves values, not the evidence.
    """

    estimate: Estimate
    at_bound: tuple[str, ...]
    screening: Screening
    overall: GlobalTest | None
    suspects: tuple[Suspect, ...]
    leaks: tuple[Leak, ...]
    alike: tuple[tuple[str, ...], ...]
    without: Estimate | None


def diagnose(system: LinearSystem, level: float = 0.05, structure: Structure | None = None) -> Diagnosis:
    """Return the whole picture of one interval at overall level ``level``; ModelError as ``reconcile`` and its bounds."""
    free = reconcile(system, structure)
    screening = screen(free, level)
    bounded = within_bounds(free)
    named = suspects(free, screening)
    return Diagnosis(
        estimate=bounded.estimate,
        at_bound=bounded.at_bound,
        screening=screening,
        overall=global_test(free, level),
        suspects=named,
        leaks=leaks(free, level),
        alike=equivalent_meters(free, screening),
        without=within_bounds(reconcile(without_meters(system, suspected_meters(named)))).estimate if named else None,
    )
