"""Takes each stock from where it is surely right to the present, a bounded number of steps at a time."""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_store.twin import stocks as store_stocks
from sidestream_store.twin.stocks import Window
from sidestream_store.twin.values import Computed, save_values
from sidestream_twin.context import Pass
from sidestream_twin.core.errors import ModelError
from sidestream_twin.plan import StockPlan
from sidestream_twin.stock_run import GRID, Heard, run
from sidestream_twin.stream_pass import StreamPass

STEPS_PER_PASS = 10_000


@dataclass(frozen=True, slots=True)
class StockPass:
    """What was computed, whether every stock has reached the present, and what could not be computed."""

    computed: tuple[Computed, ...]
    finished: bool
    problems: tuple[str, ...]


def update_stocks(now: Pass, streams: StreamPass) -> StockPass:
    """Every stock follows from the flows and observations saved so far, at most `STEPS_PER_PASS` steps of each now."""
    computed, problems, finished = [], [], True
    for stock in now.plan.stocks:
        try:
            found = _advance(now, stock, _changed_from(stock, streams))
        except ModelError as error:
            problems.append(f"{stock.node.id}/stock_mass: {error}")
            continue
        if found is not None:
            computed.append(found[0])
            finished &= found[1]
    save_values(now.connection, computed, now.step_s, now.now_at)
    return StockPass(tuple(computed), finished, tuple(problems))


def _changed_from(stock: StockPlan, streams: StreamPass) -> int | None:
    ids = {stream.id for stream in stock.streams}
    flows = [c.first for c in streams.computed if c.subject.quantity == "mass_flow" and c.subject.id in ids]
    seen = [streams.seen_from[stock.node.id]] if stock.node.id in streams.seen_from else []
    return min([*flows, *seen], default=None)


def _advance(now: Pass, stock: StockPlan, changed_from: int | None) -> tuple[Computed, bool] | None:
    """The stock's figures from where it was surely right, and whether they reach the present; None: nothing is new."""
    node = stock.node.id
    begun = store_stocks.newest_checkpoint(now.connection, node, changed_from, now.step_s)
    heard, finished = _load(now, stock, begun.step if begun else 0)
    result = run(stock, begun, heard, now.step_s, now.zone)
    if result is None and changed_from is None:
        return None
    first, values = (result.first, result.values) if result else (begun.step if begun else 0, [])
    if result is not None:
        store_stocks.save_checkpoints(now.connection, node, result.checkpoints, now.step_s, GRID)
    sensors = [sensor.id for sensor in (*stock.observers, *stock.meters.values())]
    inputs = {"sensors": sensors, "hub_version": now.plan.hub.version}
    # Until the present, so that figures of what was heard once and is gone now go as well.
    return Computed(stock.subject, first, max(first, heard.stop), values, inputs), finished


def _load(now: Pass, stock: StockPlan, first: int) -> tuple[Heard, bool]:
    streams = [stream.id for stream in stock.streams]
    window = Window(first, now.horizon, now.step_s, STEPS_PER_PASS * max(len(streams), len(stock.observers), 1))
    flows = store_stocks.load_flows(now.connection, streams, window)
    seen = store_stocks.load_observations(now.connection, stock.node.id, window)
    # The last step of what the limit cut off may be half there; it is left for the next pass.
    cuts = [part[-1].step for part in (flows, seen) if len(part) == window.limit]
    stop = min(cuts, default=now.horizon)
    heard = Heard([f for f in flows if f.step < stop], [s for s in seen if s.step < stop], stop)
    return heard, not cuts
