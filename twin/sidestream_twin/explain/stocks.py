"""A stock's mass at the end of a step: what the filter knew before, what flowed, what was seen; run again from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from sidestream_store.explain.figures import Figure as Stored
from sidestream_store.explain.figures import waiting
from sidestream_store.explain.stocks import checkpoint_before
from sidestream_store.twin import stocks as store
from sidestream_store.twin.dirty import step_start
from sidestream_store.twin.readings import Wanted, load_readings
from sidestream_store.twin.stocks import Checkpoint, Flowed, Seen, Window
from sidestream_store.twin.values import Subject
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.stock import StockState
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.figures import at_step, compared, find, told
from sidestream_twin.explain.readings import explain_inputs
from sidestream_twin.explain.scope import Scope, instant, seconds, step_of
from sidestream_twin.explain.streams import explain_flow
from sidestream_twin.explain.tree import Check, Explained, Quantity
from sidestream_twin.plan import StockPlan
from sidestream_twin.sensing import max_gap_s
from sidestream_twin.stock_run import Heard, run, state_of

_MOST_ROWS = 200_000


def explain_stock(scope: Scope, address: Address, subject: Subject, stock: StockPlan) -> Explained:
    """The mass at the end of one step, with the flows and sights of that step and the memory before it."""
    stored = find(scope, address, subject, at_end=True)
    step = step_of(stored.time, scope.step_s)
    begun = checkpoint_before(scope.connection, stock.node.id, stored.time, scope.step_s)
    heard = _heard(scope, stock, begun.step if begun else 0, step)
    said = told(scope, address, subject, stored, f"mass in {stock.node.id} at the end of the step")
    said = replace(said, rule=rules.STOCK, check=_check(scope, stock, stored, begun, heard))
    if not scope.goes_on:
        return said
    inner = scope.deeper()
    flows = [_flow(inner, stock, flow) for flow in heard.flows if flow.step == step]
    seen = [_sight(inner, stock, sight) for sight in heard.seen if sight.step == step]
    before = (_memory(scope, begun, stored),) if begun is not None else (_start(stock),)
    return replace(said, inputs=(*before, *flows, *seen, scope.configuration(None)))


def _heard(scope: Scope, stock: StockPlan, first: int, step: int) -> Heard:
    window = Window(first, step + 1, scope.step_s, _MOST_ROWS)
    flows = store.load_flows(scope.connection, [stream.id for stream in stock.streams], window)
    return Heard(flows, store.load_observations(scope.connection, stock.node.id, window), step + 1)


def _check(scope: Scope, stock: StockPlan, stored: Stored, begun: Checkpoint | None, heard: Heard) -> Check:
    if stored.superseded_at is not None:
        return Check("not_possible", "this is an earlier revision, and what a stock rests on is kept as it is now")
    if _MOST_ROWS in (len(heard.flows), len(heard.seen)):
        return Check(
            "not_possible", f"more than {_MOST_ROWS} flows and sights lie between the last checkpoint and this step"
        )
    step = step_of(stored.time, scope.step_s)
    since = step_start(begun.step, scope.step_s).isoformat() if begun else "the beginning"
    inputs = f"{len(heard.flows)} flows and {len(heard.seen)} sights since {since}"
    try:
        result = run(stock, begun, heard, scope.step_s, ZoneInfo(scope.hub.timezone))
    except ModelError as error:
        return Check("differs", f"derived again from {inputs}, it can't be computed: {error}")

    def why() -> str:
        ids = [sensor.id for sensor in (*stock.observers, *stock.meters.values())]
        if waiting(scope.connection, ids, step_start(0, 1), stored.time + timedelta(seconds=stored.step_s)):
            return "readings changed since, and the twin has not computed it again yet"
        return "nothing says why; please report it"

    return compared(stored, at_step(result.values if result else [], step), inputs, why)


def _memory(scope: Scope, begun: Checkpoint, stored: Stored) -> Explained:
    at, state = step_start(begun.step, scope.step_s), state_of(begun, scope.step_s)
    mass = state.quantity
    told = Explained(
        "what the filter remembered before",
        quantity=Quantity(mass.value, "kg", mass.sd_random, mass.sd_systematic) if mass is not None else None,
        said=None if mass is not None else "the mass was not known yet",
        from_at=at,
        to_at=stored.time if stored.time > at else None,
        remarks=("the steps from there to this one were run again as well",) if stored.time > at else (),
    )
    return replace(told, inputs=tuple(_biases(state))) if scope.goes_on else told


def _biases(state: StockState) -> Iterator[Explained]:
    for n, (source, bias) in enumerate(zip(state.sources, state.biases, strict=True), start=1):
        sure = Quantity(bias, "1", 0.0, state.covariance[n][n] ** 0.5)
        yield Explained(f"bias of {source}, in its own standard deviations", quantity=sure, origin="estimated")


def _start(stock: StockPlan) -> Explained:
    node = stock.node
    if node.start_kg is None:
        return Explained("the beginning", said="the mass is not known before the first sight of it")
    return Explained(
        "mass at the beginning, by hub.yaml",
        quantity=Quantity(node.start_kg, "kg", 0.0, node.start_sd_kg or 0.0),
        from_at=node.start_at,
        origin="manual",
    )


def _flow(scope: Scope, stock: StockPlan, flow: Flowed) -> Explained:
    into = any(stream.id == flow.stream for stream in stock.inflows)
    subject = Subject("stream", flow.stream, "mass_flow")
    address = Address(("stream", flow.stream, "mass_flow"), step_start(flow.step, scope.step_s))
    found = explain_flow(scope, address, subject)
    return replace(found, what=f"{'inflow' if into else 'outflow'} {flow.stream}")


def _sight(scope: Scope, stock: StockPlan, sight: Seen) -> Explained:
    step_s = scope.step_s
    start, end = step_start(sight.step, step_s), step_start(sight.step + 1, step_s)
    told = Explained(
        f"mass as {sight.sensor} showed it at the end of the step",
        quantity=Quantity(sight.mass_kg, "kg", sight.sd_random, sight.sd_systematic),
        from_at=end,
    )
    sensor = next((s for s in stock.observers if s.id == sight.sensor), None)
    if sensor is None or not scope.goes_on:
        return told
    raw = load_readings(scope.connection, [Wanted(sensor.sensor_id, seconds(start), seconds(end) + max_gap_s(sensor))])
    times = sorted({instant(at_s) for at_s in raw[sensor.sensor_id].at_s.tolist()}) if sensor.sensor_id in raw else []
    # the last one of the step, and the first after it: the mass at the step's end is read off between them
    used = [max((at for at in times if at < end), default=None), min((at for at in times if at >= end), default=None)]
    edges = [at for at in used if at is not None]
    parts = explain_inputs(scope.deeper(), sensor, min(edges, default=start), max(edges, default=end), edges)
    return replace(told, origin="manual" if sensor.manual else "measured", inputs=(parts,))
