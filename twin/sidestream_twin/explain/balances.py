"""A reconciled figure or an imbalance: which meters were brought together, what each said, and the same computed again."""

from __future__ import annotations

from dataclasses import replace

from sidestream_store.explain.figures import Figure as Stored
from sidestream_store.read.words import twin_unit
from sidestream_store.twin.balances import load_suspects
from sidestream_store.twin.dirty import step_start
from sidestream_store.twin.values import Subject
from sidestream_twin.balance_hearing import Hearing, live_streams
from sidestream_twin.balance_interval import Judged, Structures, judge, prepare
from sidestream_twin.balance_rules import Balance, Part
from sidestream_twin.balance_told import told_of
from sidestream_twin.core.errors import ModelError
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.figures import compared, find, told
from sidestream_twin.explain.scope import Scope, step_of
from sidestream_twin.explain.tree import Check, Explained, Quantity, Rule

RULE = Rule(
    "balance",
    "the values nearest to what all meters of the balance say, each by its standard deviation, for which everything that "
    "enters a place leaves it, is lost there or stays; a meter that is named as wrong is left out",
    "Narasimhan and Jordache, Data Reconciliation and Gross Error Detection (2000), ch. 3",
)
IMBALANCE = Rule(
    "imbalance",
    "what meters say enters the place, less what leaves it, is lost there and stays",
    "conservation of mass, energy",
)


def explain_balanced(scope: Scope, address: Address, subject: Subject, balance: Balance) -> Explained:
    """The figure of one interval, with what was measured of everything that it is balanced with."""
    stored = find(scope, address, subject)
    imbalance = "_imbalance" in subject.quantity
    said = told(scope, address, subject, stored, f"{subject.quantity} of {subject.kind} {subject.id}")
    judged, check = _derived(scope, stored, subject, balance)
    said = replace(said, rule=IMBALANCE if imbalance else RULE, check=check).with_facts(balance=balance.name)
    if judged is None or not scope.goes_on:
        return said
    beside = _beside(judged, subject)
    inputs = tuple(_part(judged, name, stored) for name in beside if judged.prepared.parts[name].is_told)
    listed = len([part for part in judged.prepared.parts.values() if part.is_told])
    remarks = (*said.remarks, f"balanced together with {listed - len(inputs)} more of {balance.name}")
    return replace(said, inputs=(*inputs, scope.configuration(stored.inputs.get("hub_version"))), remarks=remarks)


def _derived(scope: Scope, stored: Stored, subject: Subject, balance: Balance) -> tuple[Judged | None, Check]:
    if stored.superseded_at is not None:
        return None, Check("not_possible", "this is an earlier revision, and what it rests on is kept as it is now")
    if stored.step_s != scope.hub.balance_s:
        return None, Check("not_possible", "balances were closed over intervals of another length then")
    n = step_of(stored.time, scope.hub.balance_s)
    now, structures = scope.pass_at(scope.plan(), (n + 1) * scope.hub.balance_s // scope.step_s), Structures()
    try:
        prepared = prepare(balance, n, Hearing(now, [n]).of(n), live_streams(now, [n])[n])
        judged = judge(prepared, structures) if prepared else None
        suspects = load_suspects(scope.connection, balance.name, n, scope.hub.balance_s)
        figures = told_of(judged, suspects, structures).figures if judged else {}
    except ModelError as error:
        return None, Check("differs", f"derived again, it can't be computed: {error}")
    inputs = f"{len(balance.parts)} parts of {balance.name}"
    why = "figures or the rules of the balance changed since, and the twin has not computed it again yet"
    return judged, compared(stored, figures.get(subject), inputs, lambda: why)


def _beside(judged: Judged, subject: Subject) -> list[str]:
    """The parts that stand in a relation with it."""
    found: dict[str, None] = {}
    for relation in judged.prepared.relations:
        names = [name for name, _ in relation.terms]
        own = relation.subject == subject or any(judged.prepared.parts[name].reconciled == subject for name in names)
        found.update(dict.fromkeys(names) if own else {})
    return sorted(found) or [name for name, part in judged.prepared.parts.items() if part.reconciled == subject]


def _part(judged: Judged, name: str, stored: Stored) -> Explained:
    part: Part = judged.prepared.parts[name]
    known = judged.prepared.known[name]
    value, s = known.best, part.subject
    unit = twin_unit(s.quantity) or "1"
    return Explained(
        f"{s.quantity} of {s.kind} {s.id}",
        address=str(Address((s.kind, s.id, s.quantity), step_start(judged.prepared.interval, stored.step_s)))
        if part.figure
        else None,
        quantity=Quantity(value.value, unit, value.sd_random, value.sd_systematic) if value else None,
        said=None if value else (known.missing or "not known").replace("_", " "),
        origin=str(known.origin) if known.origin else None,
        from_at=stored.time,
        to_at=step_start(judged.prepared.interval + 1, stored.step_s),
        facts={"completeness": known.completeness, "sensors": part.sensors},
    )
