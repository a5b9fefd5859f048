"""When a stock is expected to reach a limit: `forecast/node/overflow` and `forecast/node/run_dry`, with what it rests on."""

from __future__ import annotations

from dataclasses import replace

from sidestream_contracts.errors import DomainError
from sidestream_store.explain.forecasts import Forecast, forecast
from sidestream_store.twin.values import Subject
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.stocks import explain_stock
from sidestream_twin.explain.tree import Check, Explained, Quantity

EVENTS = ("overflow", "run_dry")


def explain_forecast(scope: Scope, address: Address) -> Explained:
    """The newest forecast issued at or before the address's time, down to the stock that it began from."""
    node, event = address.part(1), address.part(2)
    stock = next((s for s in scope.plan().stocks if s.node.id == node), None)
    if stock is None or event not in EVENTS:
        known = [f"forecast/{s.node.id}/{word}" for s in scope.plan().stocks for word in EVENTS]
        raise DomainError(f"{address} is no forecast; there are: {', '.join(known[:12]) or 'none'}.")
    found = forecast(scope.connection, stock.node.id, event, address.at)
    if found is None:
        raise DomainError(
            f"{address.at_time(None)} was not foreseen by then: the stock has no such limit, or nothing is known."
        )
    told = _told(stock.node.id, event, found)
    if not scope.goes_on:
        return told
    flow = Explained(
        "net flow that is expected",
        quantity=Quantity(found.net_flow_kg_s, "kg/s", found.net_flow_sd_kg_s, 0.0),
        origin="forecast",
        facts=found.basis,
    )
    began: tuple[Explained, ...] = ()
    if found.from_at is not None:
        name = Address(("node", stock.node.id, "stock_mass"), found.from_at)
        try:
            began = (explain_stock(scope.deeper(), name, Subject("node", stock.node.id, "stock_mass"), stock),)
        except DomainError as error:
            told = replace(told, remarks=(*told.remarks, str(error)))
    return replace(told, inputs=(flow, *began, scope.configuration(None)))


def _told(node: str, event: str, found: Forecast) -> Explained:
    said = found.outcome if found.reason is None else f"{found.outcome}: {found.reason}"
    why = "a forecast rests on the flows as they were known when it was issued, which are not kept; its basis is listed"
    return Explained(
        f"when {node} is expected to {'overflow' if event == 'overflow' else 'run dry'}",
        address=str(Address(("forecast", node, event), found.issued_at)),
        said=said if found.q50_at is None else f"{said}, likeliest by {found.q50_at.isoformat()}",
        from_at=found.issued_at,
        to_at=found.horizon_at,
        origin="forecast",
        rule=rules.FORECAST,
        check=Check("not_possible", why),
    ).with_facts(
        limit_kg=found.limit_kg, probability=found.probability, q05_at=found.q05_at, q25_at=found.q25_at, q50_at=found.q50_at,
        q75_at=found.q75_at, q95_at=found.q95_at,
    )  # fmt: skip
