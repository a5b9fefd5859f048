"""Which number an address names, and who explains it. A new kind of number is a new entry in `KINDS` or `FIGURES`.

What names nothing is answered with the nearest thing that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import nearest
from sidestream_store.connect import Connection
from sidestream_store.corrections.read import zone_of
from sidestream_store.explain.figures import one_snapshot, subjects
from sidestream_store.notes import KINDS as NOTED
from sidestream_store.notes import About, Asked, notes
from sidestream_store.twin.values import Subject
from sidestream_twin.explain.address import EXAMPLE, Address, parse_address
from sidestream_twin.explain.agreements import explain_agreement
from sidestream_twin.explain.balances import explain_balanced
from sidestream_twin.explain.forecasts import explain_forecast
from sidestream_twin.explain.lots import explain_holding, explain_lot
from sidestream_twin.explain.scope import Limits, Scope
from sidestream_twin.explain.sensors import explain_sensor_number
from sidestream_twin.explain.stocks import explain_stock
from sidestream_twin.explain.streams import explain_flow
from sidestream_twin.explain.sums import LEVELS, explain_sum
from sidestream_twin.explain.tree import Explained

Explain = Callable[[Scope, Address], Explained]
ExplainFigure = Callable[[Scope, Address, Subject], Explained | None]


def explain(
    connection: Connection,
    named: str,
    now_at: datetime,
    limits: Limits | None = None,
    known_at: datetime | None = None,
) -> Explained:
    """The number that the address `named` names, down to what was measured, all of one moment of the database.

    `connection` is in autocommit mode and needs the viewer's rights only. Raises DomainError for what names no number or
    has none at that time, ConfigurationError when no hub is applied, TransientError when the database goes away.
    """
    with one_snapshot(connection):
        address = parse_address(named, zone_of(connection))
        scope = Scope.open(connection, limits or Limits(), now_at, known_at)
        address = whole(scope, address)
        return _with_notes(scope, address, KINDS[address.kind](scope, address))


def _with_notes(scope: Scope, address: Address, told: Explained) -> Explained:
    """The number with what people wrote beside it about its time."""
    if not scope.goes_on or address.kind not in NOTED or told.from_at is None:
        return told
    until = told.to_at or told.from_at + timedelta(microseconds=1)
    asked = Asked(About(address.kind, address.parts[1]), told.from_at, until, scope.limits.readings)
    written = tuple(
        Explained("note", said=note.text, from_at=note.from_at, to_at=note.to_at, facts={"author": note.author})
        for note in notes(scope.connection, asked)
    )
    return replace(told, inputs=(*told.inputs, *written))


def whole(scope: Scope, address: Address) -> Address:
    """The address with what was left out put in, where only one thing can be meant: its kind, or its only quantity."""
    parts = address.parts
    if parts[0] not in KINDS:
        kinds = [kind for kind, ids in _ids(scope).items() if parts[0] in ids]
        if len(kinds) != 1:
            raise DomainError(_no_kind(scope, parts, kinds))
        parts = (kinds[0], *parts)
    if len(parts) == 1:
        raise DomainError(f"Say which {parts[0]}; a number is named like {EXAMPLE}.")
    if parts[0] in ("stream", "node") and len(parts) == 2:
        _known(scope, parts[0], parts[1])
        parts = (*parts, _only_quantity(scope, parts[0], parts[1]))
    return replace(address, parts=parts)


def _no_kind(scope: Scope, parts: tuple[str, ...], kinds: list[str]) -> str:
    rest = "/".join(parts)
    if kinds:
        return f"{rest!r} may be {' or '.join(f'{kind}/{rest}' for kind in kinds)}; write which."
    everything = {name: kind for kind, ids in _ids(scope).items() for name in ids}
    like = nearest(parts[0], [*everything, *KINDS])
    found: tuple[str, ...] = () if like is None else (like,) if like in KINDS else (everything[like], like)
    guess = "/".join((*found, *parts[1:])) if like else None
    tip = f" Did you mean {guess}?" if guess else f" A number is named like {EXAMPLE}."
    return f"There is nothing called {parts[0]!r} in this hub.{tip}"


def _ids(scope: Scope) -> dict[str, list[str]]:
    hub = scope.hub
    return {
        "stream": [stream.id for stream in hub.streams],
        "node": [node.id for node in hub.nodes],
        "agreement": [agreement.id for agreement in hub.agreements],
        "sensor": [sensor.id for sensor in hub.sensors],
    }


def _known(scope: Scope, kind: str, name: str) -> None:
    ids = _ids(scope)[kind]
    if name not in ids:
        like = nearest(name, ids)
        elsewhere = next((other for other, names in _ids(scope).items() if name in names), None)
        guess = f"{elsewhere}/{name}" if elsewhere else f"{kind}/{like}" if like else None
        raise DomainError(f"There is no {kind} {name!r} in this hub." + (f" Did you mean {guess}?" if guess else ""))


def _quantities(scope: Scope, kind: str, name: str) -> list[str]:
    planned = {s.quantity for s in scope.plan().subjects if (s.kind, s.id) == (kind, name)}
    stored = {s.quantity for s in subjects(scope.connection) if (s.kind, s.id) == (kind, name)}
    return sorted(planned | stored)


def _only_quantity(scope: Scope, kind: str, name: str) -> str:
    found = _quantities(scope, kind, name)
    for first in ("heat_flow", "mass_flow", "power", "stock_mass"):
        if first in found:
            return first
    if len(found) == 1:
        return found[0]
    raise DomainError(_which(kind, name, found))


def _which(kind: str, name: str, found: Iterable[str]) -> str:
    listed = [f"{kind}/{name}/{quantity}" for quantity in found]
    if not listed:
        return f"Nothing is computed of {kind} {name!r}: it has no meter, or it is not live."
    return f"{kind} {name!r} has these numbers: {', '.join(listed)}."


def _figure(scope: Scope, address: Address) -> Explained:
    kind, name, quantity = address.parts[:3]
    _known(scope, kind, name)
    known = _quantities(scope, kind, name)
    if quantity not in known:
        like = nearest(quantity, known)
        tip = f"Did you mean {kind}/{name}/{like}? " if like else ""
        raise DomainError(f"There is no number {quantity!r} of {kind} {name!r}. {tip}{_which(kind, name, known)}")
    subject = Subject(kind, name, quantity)
    for explain_it in FIGURES:
        found = explain_it(scope, address, subject)
        if found is not None:
            return found
    raise DomainError(f"How {address} comes about can't be explained by this version of Sidestream.")


def _sum(scope: Scope, address: Address, subject: Subject) -> Explained | None:
    level = address.part(3)
    for known in LEVELS:
        if subject.kind == "stream" and level == known:
            return explain_sum(scope, address, subject, known)
    if level is not None:
        raise DomainError(
            f"{address.at_time(None)} has no sum over {level!r}; a stream's flow is summed over 15m or 1h."
        )
    return None


def _stock(scope: Scope, address: Address, subject: Subject) -> Explained | None:
    stock = next((s for s in scope.plan().stocks if s.subject == subject), None)
    return explain_stock(scope, address, subject, stock) if stock is not None else None


def _lots_held(scope: Scope, address: Address, subject: Subject) -> Explained | None:
    if any(subject in node.subjects for node in scope.plan().lot_nodes):
        return explain_holding(scope, address, subject)
    return None


def _flow(scope: Scope, address: Address, subject: Subject) -> Explained | None:
    metered = any(figure.subject == subject for figure in scope.plan().figures)
    return explain_flow(scope, address, subject) if metered or subject.kind == "stream" else None


def _balanced(scope: Scope, address: Address, subject: Subject) -> Explained | None:
    balance = next((b for b in scope.plan().balances if subject in b.subjects), None)
    return explain_balanced(scope, address, subject, balance) if balance is not None else None


def _agreement(scope: Scope, address: Address) -> Explained:
    _known(scope, "agreement", address.parts[1])
    return explain_agreement(scope, address, next(a for a in scope.hub.agreements if a.id == address.parts[1]))


def _sensor(scope: Scope, address: Address) -> Explained:
    _known(scope, "sensor", address.parts[1])
    return explain_sensor_number(scope, address, scope.sensors[address.parts[1]], address.part(2))


def _lot(scope: Scope, address: Address) -> Explained:
    return explain_lot(scope, "/".join(address.parts[1:]))


FIGURES: tuple[ExplainFigure, ...] = (_sum, _balanced, _stock, _lots_held, _flow)
"""Who can explain a figure of a stream or node: asked in this order, the first that answers counts."""

KINDS: dict[str, Explain] = {
    "stream": _figure,
    "node": _figure,
    "agreement": _agreement,
    "sensor": _sensor,
    "lot": _lot,
    "forecast": explain_forecast,
}
"""Who explains a number, by the first part of its address."""
