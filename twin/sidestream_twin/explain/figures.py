"""A figure of the twin as it is stored: found by its address, with its revisions; how it came is told by its kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sidestream_contracts.errors import DomainError
from sidestream_store.explain import figures as store
from sidestream_store.explain.figures import Figure
from sidestream_store.read.words import twin_unit
from sidestream_store.twin.values import CORRECTED, StepValue, Subject, kept
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.tree import Check, Explained, Quantity


def find(scope: Scope, address: Address, subject: Subject, *, holds_on: bool = False, at_end: bool = False) -> Figure:
    """The stored figure that the address means; DomainError that names the nearest ones where there is none.

    `holds_on`: a figure holds until the next one. `at_end`: it is of the end of its step, so an instant at which a step
    ends and none begins means that step too.
    """
    found = store.figure(scope.connection, subject, scope.wanted(address))
    at = address.at
    if found is not None and (at is None or holds_on or at < _end(found) or (at_end and at == _end(found))):
        return found
    raise DomainError(_nothing(scope, address, subject, found))


def _end(figure: Figure) -> datetime:
    return figure.time + timedelta(seconds=figure.step_s)


def _nothing(scope: Scope, address: Address, subject: Subject, before: Figure | None) -> str:
    bare = address.at_time(None)
    which = f" in revision {address.revision}" if address.revision else ""
    if address.at is None:
        return f"{bare} has no figure{which}: nothing was measured of it yet, or the twin has not computed it."
    near = [str(bare.at_time(before.time))] if before is not None else []
    after = store.next_time(scope.connection, subject, address.at)
    near += [str(bare.at_time(after))] if after is not None else []
    tip = f" Nearest: {' and '.join(near)}." if near else ""
    known = f", as known on {scope.known_at.isoformat()}" if scope.known_at else ""
    return f"{bare} has no figure{which} at {address.at.isoformat()}{known}: nothing was known of that step.{tip}"


def told(scope: Scope, address: Address, subject: Subject, figure: Figure, what: str) -> Explained:
    """The figure with everything that is stored beside it; inputs, rule and check are left to its kind."""
    revisions = store.revisions(scope.connection, subject, figure.time)
    others = [f"#{number} known {known.isoformat()}" for number, known, _ in revisions if number != figure.revision]
    place = address.at_time(figure.time, None if figure.superseded_at is None else figure.revision)
    said = Explained(
        what,
        address=str(place),
        quantity=Quantity(figure.value, twin_unit(subject.quantity) or "1", figure.sd_random, figure.sd_systematic),
        from_at=figure.time,
        to_at=figure.time + timedelta(seconds=figure.step_s),
        origin=figure.origin,
        remarks=_superseded(figure),
    )
    return said.with_facts(
        completeness=figure.completeness,
        flags=figure.flags or None,
        revision=figure.revision,
        known_at=figure.known_at,
        superseded_at=figure.superseded_at,
        other_revisions=others or None,
        computed_at=figure.computed_at,
    )


def _superseded(figure: Figure) -> tuple[str, ...]:
    if figure.superseded_at is None:
        return ()
    return (f"this is how it was published; since {figure.superseded_at.isoformat()} another figure is in force",)


def compared(figure: Figure, derived: StepValue | None, inputs: str, otherwise: Callable[[], str]) -> Check:
    """Whether what was derived again is what is stored, in every part; `otherwise` says why it may not be."""
    again = _parts(derived)
    stored = (
        figure.value, figure.sd_random, figure.sd_systematic, figure.origin, figure.completeness, figure.n,
        tuple(flag for flag in figure.flags if flag != CORRECTED),
    )  # fmt: skip
    value = derived.value if derived else None
    if again == stored:
        return Check("equal", f"derived again from {inputs}: the same to the last bit", value)
    parts = ("value", "sd_random", "sd_systematic", "origin", "completeness", "readings", "flags")
    off = [name for name, a, b in zip(parts, again or (None,) * 7, stored, strict=True) if a != b]
    return Check("differs", f"derived again from {inputs}, it differs in {', '.join(off)}: {otherwise()}", value)


def _parts(derived: StepValue | None) -> tuple[object, ...] | None:
    if derived is None:
        return None
    numbers = kept(derived.value), kept(derived.sd_random), kept(derived.sd_systematic)
    return (*numbers, derived.origin, derived.completeness, derived.n, tuple(derived.flags))


def at_step(values: Sequence[StepValue], step: int) -> StepValue | None:
    """The figure of one step among several."""
    return next((value for value in values if value.step == step), None)
