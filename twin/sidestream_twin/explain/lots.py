"""Where a lot is, from its reads; and how many lots of what mass lie at a node, from where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import sqrt

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import nearest
from sidestream_store.explain import lots as store
from sidestream_store.explain.figures import Figure as Stored
from sidestream_store.explain.lots import HeldLot
from sidestream_store.explain.readings import scans
from sidestream_store.twin.lots import LotRow, LotStay, places_of_tags, scans_of
from sidestream_store.twin.values import Subject
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.figures import find, told
from sidestream_twin.explain.readings import explain_reading
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.tree import Check, Explained, Quantity
from sidestream_twin.lot_places import PlaceRules, trace


def explain_holding(scope: Scope, address: Address, subject: Subject) -> Explained:
    """Number or mass of the lots at a node, down to each lot."""
    stored = find(scope, address, subject, holds_on=True)
    at = stored.time + timedelta(seconds=stored.step_s)
    held = store.held_at(scope.connection, subject.id, at)
    counting = subject.quantity == "lots_count"
    said = told(scope, address, subject, stored, f"{'number' if counting else 'mass'} of the lots at {subject.id}")
    rule = rules.LOTS_COUNT if counting else rules.LOTS_MASS
    said = replace(said, rule=rule, check=_check(scope, stored, held, counting=counting))
    if not scope.goes_on:
        return said
    types = {kind.id: kind for kind in scope.hub.lot_types}
    shown = held[: scope.limits.readings]
    inputs = []
    for lot in shown:
        kind = types.get(lot.lot_type or "")
        mass = Quantity(kind.mass_kg, "kg", kind.sd_kg, 0.0) if kind else None
        inputs.append(
            Explained(
                f"lot {lot.code}", address=str(Address(("lot", lot.code))), quantity=mass, from_at=lot.from_at,
                said=None if kind else "of no type, so of unknown mass", origin="estimated" if kind else None,
            )
        )  # fmt: skip
    return replace(
        said, inputs=(*inputs, scope.configuration(stored.inputs.get("hub_version"))), left_out=len(held) - len(shown)
    )


def _check(scope: Scope, stored: Stored, held: Sequence[HeldLot], *, counting: bool) -> Check:
    if stored.superseded_at is not None:
        return Check("not_possible", "this is an earlier revision, and where lots were is kept as it is known now")
    types = {kind.id: kind for kind in scope.hub.lot_types}
    known = Counter(lot.lot_type for lot in held if lot.lot_type in types)
    mass: float | None = sum(types[kind].mass_kg * n for kind, n in sorted(known.items()) if kind)
    sd: float | None = sqrt(sum(types[kind].sd_kg ** 2 * n for kind, n in sorted(known.items()) if kind))
    if held and not known:
        mass = sd = None
    derived = (float(len(held)), 0.0) if counting else (mass, sd)
    inputs = f"{len(held)} lots that were there"
    if derived == (stored.value, stored.sd_random):
        return Check("equal", f"derived again from {inputs}: the same to the last bit", derived[0])
    return Check(
        "differs", f"derived again from {inputs}, it differs: scans changed since, or wait to be computed", derived[0]
    )


def explain_lot(scope: Scope, code: str) -> Explained:
    """Where a lot is, with its stays, each with its reads."""
    found = store.lot(scope.connection, code)
    if found is None:
        like = nearest(code, store.codes_like(scope.connection, code))
        tip = f" Did you mean {Address(('lot', like))}?" if like else " It must be written exactly as it was scanned."
        raise DomainError(f"The code {code!r} was never read.{tip}")
    stays = store.stays(scope.connection, code)
    said = Explained(
        f"where {code} is",
        address=str(Address(("lot", code))),
        said=found.place or "place unknown",
        from_at=found.since_at,
        origin="measured",
        rule=rules.PLACE,
        check=_traced(scope, found, stays),
    ).with_facts(lot_type=found.lot_type, last_seen_at=found.last_seen_at, reads=found.scans)
    if not scope.goes_on:
        return said
    shown = stays[-scope.limits.readings :] if scope.limits.readings else []
    inputs = tuple(_stay(scope.deeper(), code, stay) for stay in reversed(shown))
    return replace(said, inputs=(*inputs, scope.configuration(None)), left_out=len(stays) - len(shown))


def _traced(scope: Scope, found: LotRow, stays: Sequence[LotStay]) -> Check:
    plan = scope.plan()
    mounted = places_of_tags(scope.connection, [found.code])
    reads = scans_of(scope.connection, [found.code])
    lots, again = trace(reads, PlaceRules(plan.scanners, scope.hub.lot_types, mounted, scope.hub.fixed_tags))
    places = [(s.place, s.from_at, s.to_at, s.left_at, s.scans) for s in again]
    same = [(x.place, x.lot_type) for x in lots] == [(found.place, found.lot_type)]
    if same and places == [(s.place, s.from_at, s.to_at, s.left_at, s.scans) for s in stays]:
        return Check("equal", f"derived again from {len(reads)} reads: the same places and times")
    return Check(
        "differs", f"derived again from {len(reads)} reads, it differs: reads changed since, or wait to be computed"
    )


def _stay(scope: Scope, code: str, stay: LotStay) -> Explained:
    told = Explained(
        "was at", said=stay.place or "place unknown", from_at=stay.from_at, to_at=stay.left_at or stay.to_at
    ).with_facts(reads=stay.scans, still_there=True if stay.left_at is None else None)
    if not scope.goes_on:
        return told
    limit = scope.limits.readings
    rows = scans(scope.connection, code, stay.from_at, stay.to_at, limit) if limit else []
    parts = tuple(
        explain_reading(scope.deeper(), scope.sensors[sensor], None, read)
        for sensor, read in rows
        if sensor in scope.sensors
    )
    return replace(told, inputs=parts, left_out=max(0, stay.scans - len(parts)))
