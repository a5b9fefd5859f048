"""How an agreement stands in a period: from what was delivered, judged again with the core."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sidestream_contracts.errors import DomainError
from sidestream_store.explain import sums
from sidestream_store.explain.figures import Judgement, judgement
from sidestream_store.twin.agreements import StatusRow
from sidestream_store.twin.hub import HubAgreement
from sidestream_store.twin.values import Subject
from sidestream_twin.agreement_delivery import told_by
from sidestream_twin.agreement_pass import judgements
from sidestream_twin.core.calendar_period import Period
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.scope import Scope, step_of
from sidestream_twin.explain.sums import sum_of
from sidestream_twin.explain.tree import Check, Explained, Quantity


def explain_agreement(scope: Scope, address: Address, agreement: HubAgreement) -> Explained:
    """The judgement of the period that holds the address's time, with what was added up for it."""
    found = judgement(scope.connection, agreement.id, scope.wanted(address))
    if found is None or (address.at is not None and address.at >= found.period_to):
        near = f" Nearest before: {address.at_time(found.period_from)}." if found else ""
        raise DomainError(f"{address.at_time(None)} was not judged for that time: no period of it had begun.{near}")
    again = _again(scope, agreement, found)
    unit = "J" if agreement.quantity == "energy" else "kg"
    said = Explained(
        f"agreement {agreement.id}, delivered in the {agreement.period}",
        address=str(Address(("agreement", agreement.id), found.period_from, found.revision if found.superseded_at else None)),
        quantity=Quantity(found.delivered, unit, found.sd_random, found.sd_systematic),
        said=f"{found.status}: {found.reason}",
        from_at=found.period_from,
        to_at=found.period_to,
        origin=found.origin,
        rule=rules.AGREEMENT,
        check=_check(found, again),
    ).with_facts(
        completeness=found.completeness, numbers=dict(sorted(found.reason_numbers.items())),
        judged_at=found.computed_at, revision=found.revision, known_at=found.known_at, superseded_at=found.superseded_at,
    )  # fmt: skip
    return _with_inputs(scope, agreement, found, said) if scope.goes_on else said


def _again(scope: Scope, agreement: HubAgreement, found: Judgement) -> StatusRow:
    now = scope.pass_at(scope.plan(), step_of(found.computed_at, scope.step_s), found.computed_at)
    (row,) = judgements(now, [(agreement, Period(found.period_from, found.period_to))])
    return row


def _check(found: Judgement, again: StatusRow) -> Check:
    if found.superseded_at is not None:
        return Check("not_possible", "this is an earlier revision, and what it added up is kept as it is now")
    derived = (
        again.delivered, again.sd_random, again.sd_systematic, again.completeness, again.status, again.reason,
        dict(again.reason_numbers),
    )  # fmt: skip
    held = (
        found.delivered, found.sd_random, found.sd_systematic, found.completeness, found.status, found.reason,
        found.reason_numbers,
    )  # fmt: skip
    if derived == held:
        return Check("equal", "judged again from what was delivered: the same to the last bit", again.delivered)
    return Check(
        "differs",
        f"judged again, it is {again.status} ({again.reason}) with {again.delivered!r} delivered",
        again.delivered,
    )


def _with_inputs(scope: Scope, agreement: HubAgreement, found: Judgement, said: Explained) -> Explained:
    told = Explained(
        "what was agreed", address=None, origin="agreed",
        quantity=Quantity(agreement.amount_si, "J" if agreement.quantity == "energy" else "kg", 0.0, 0.0),
        facts={"per": agreement.period, "tolerance": agreement.tolerance, "valid_from": agreement.valid_from.isoformat()},
    )  # fmt: skip
    quantity = told_by(scope.plan(), agreement)
    if quantity is None:
        remark = f"counted by lots that were first read at the target of {agreement.stream}, at their nominal mass"
        return replace(said, inputs=(told, scope.configuration(None)), remarks=(*said.remarks, remark))
    subject = Subject("stream", agreement.stream, quantity)
    until = min(found.period_to, found.computed_at)
    rows = sums.quarters(scope.connection, agreement.stream, quantity, found.period_from, until)
    shown = rows[-scope.limits.readings :] if scope.limits.readings else []
    width = timedelta(seconds=max(900, scope.step_s))
    parts = tuple(sum_of(scope.deeper(), subject, "15m", row, width) for row in reversed(shown))
    return replace(said, inputs=(told, *parts, scope.configuration(None)), left_out=len(rows) - len(shown))
