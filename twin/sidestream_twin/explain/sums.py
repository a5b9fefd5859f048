"""A stream's sum over a quarter or an hour: from the figures of its steps."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from math import sqrt

from sidestream_contracts.errors import DomainError
from sidestream_store.explain import sums as store
from sidestream_store.explain.sums import Level, Step, Sum
from sidestream_store.twin.values import TRUST, Subject
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.streams import explain_flow
from sidestream_twin.explain.tree import Check, Explained, Quantity

LEVELS: tuple[Level, ...] = ("15m", "1h")
_HOUR = timedelta(hours=1)


def explain_sum(scope: Scope, address: Address, subject: Subject, level: Level) -> Explained:
    """The sum in J or kg of the bucket that holds the address's time."""
    if address.revision is not None or scope.known_at is not None:
        raise DomainError("Sums are kept as they are now; ask for the figures of their steps to see earlier revisions.")
    found = store.newest_sum(scope.connection, level, subject.id, subject.quantity, address.at)
    width = _HOUR if level == "1h" else timedelta(seconds=max(900, scope.step_s))
    if found is None or (address.at is not None and address.at >= found.bucket + width):
        near = f" Nearest before: {address.at_time(found.bucket)}." if found else ""
        raise DomainError(f"{address.at_time(None)} has no sum at that time.{near}")
    return sum_of(scope, subject, level, found, width)


def sum_of(scope: Scope, subject: Subject, level: Level, found: Sum, width: timedelta) -> Explained:
    """A stored sum with what it adds up."""
    to_at = found.bucket + width
    parts: Sequence[Step] | Sequence[Sum]
    if level == "1h":
        parts = store.quarters(scope.connection, subject.id, subject.quantity, found.bucket, to_at)
        check = _check(found, _of_quarters(parts), f"{len(parts)} sums of its quarters")
    else:
        parts = store.steps(scope.connection, subject.id, subject.quantity, found.bucket, to_at)
        check = _check(found, _of_steps(parts), f"{len(parts)} steps")
    told = Explained(
        f"{subject.quantity} of stream {subject.id}, added up",
        address=str(Address(("stream", subject.id, subject.quantity, level), found.bucket)),
        quantity=Quantity(found.total, _unit(subject.quantity), sqrt(found.variance_random), found.sd_systematic),
        from_at=found.bucket,
        to_at=to_at,
        origin=TRUST[found.origin_rank - 1],
        rule=rules.SUM,
        check=check,
    ).with_facts(known_s=found.valued_s, seen_s=found.seen_s)
    if not scope.goes_on:
        return told
    shown = parts[: scope.limits.readings]
    return replace(told, inputs=tuple(_part(scope, subject, part) for part in shown), left_out=len(parts) - len(shown))


def _unit(quantity: str) -> str:
    return "kg" if "mass_flow" in quantity else "J"


def _part(scope: Scope, subject: Subject, part: Step | Sum) -> Explained:
    if isinstance(part, Step):
        return explain_flow(scope.deeper(), Address(("stream", subject.id, subject.quantity), part.time), subject)
    width = timedelta(seconds=max(900, scope.step_s))
    return sum_of(scope.deeper(), subject, "15m", part, width)


Totals = tuple[float, float, float, float, float, int]


def _of_steps(steps: Iterable[Step]) -> Totals | None:
    """As the database adds them up: one after another in the order of time."""
    rows = list(steps)
    if not rows:
        return None
    return (
        _added(s.value * s.step_s for s in rows),
        _added((s.sd_random * s.step_s) ** 2 for s in rows),
        _added(s.sd_systematic * s.step_s for s in rows),
        _added(s.completeness * s.step_s for s in rows),
        _added(float(s.step_s) for s in rows),
        max(TRUST.index(s.origin) + 1 for s in rows),
    )


def _of_quarters(sums: Iterable[Sum]) -> Totals | None:
    rows = list(sums)
    if not rows:
        return None
    return (
        _added(s.total for s in rows),
        _added(s.variance_random for s in rows),
        _added(s.sd_systematic for s in rows),
        _added(s.seen_s for s in rows),
        _added(s.valued_s for s in rows),
        max(s.origin_rank for s in rows),
    )


def _added(numbers: Iterable[float]) -> float:
    return reduce(operator.add, numbers)


def _check(stored: Sum, derived: Totals | None, inputs: str) -> Check:
    if derived is None:
        return Check("not_possible", "what it adds up is kept no longer")
    held = (
        stored.total, stored.variance_random, stored.sd_systematic, stored.seen_s, stored.valued_s, stored.origin_rank,
    )  # fmt: skip
    if derived == held:
        return Check("equal", f"derived again from {inputs}: the same to the last bit", derived[0])
    return Check("differs", f"derived again from {inputs}, it differs: {derived[0]!r}", derived[0])
