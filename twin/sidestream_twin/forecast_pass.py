"""Foresees each stock once a minute, a bounded number of them at a time: when it overflows or runs dry, by how its flows went and what is agreed and planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sidestream_store.stops import standing_stops
from sidestream_store.twin import forecasts as store_forecasts
from sidestream_store.twin.forecasts import Bucket, ForecastRow, StockNow
from sidestream_twin.context import Pass
from sidestream_twin.core.errors import ModelError
from sidestream_twin.forecast_run import Known, forecasts, refused
from sidestream_twin.plan import StockPlan

EVERY = timedelta(seconds=60)
STOCKS_PER_PASS = 20
"""A stock costs tens of milliseconds; the figures of a plant of hundreds don't wait for all of them."""
_OLDEST = timedelta(days=28)
_OLD_STEPS = 90
_FEWEST_HOURS = 48
_FEWEST_QUARTERS = 12
_RECENT_STEPS = 360


@dataclass(frozen=True, slots=True)
class ForecastPass:
    """Whether no stock is left that was never foreseen, and sentences on those that could not be, and why."""

    finished: bool
    problems: tuple[str, ...]


def update_forecasts(now: Pass) -> ForecastPass:
    """The stocks foreseen longest ago, and at least `EVERY` ago, are foreseen anew: `STOCKS_PER_PASS` of them.

    The others wait for passes that come anyway; only stocks without any forecast ask for one of their own.
    """
    issued = store_forecasts.last_issued(now.connection, [stock.node.id for stock in now.plan.stocks])
    due = _due(now, issued)
    if not due:
        return ForecastPass(True, ())
    stocks = store_forecasts.stocks_now(now.connection, [stock.node.id for stock in due])
    known = Known(
        now.now_at, now.zone, StockNow(now.now_at, None, None, None), (), 0, now.plan.hub.agreements,
        standing_stops(now.connection),
    )  # fmt: skip
    rows: list[ForecastRow] = []
    problems = []
    waiting = iter(due)
    made = 0
    while made < STOCKS_PER_PASS and (plan := next(waiting, None)):
        try:
            rows += _foreseen(now, plan, stocks.get(plan.node.id), known)
            made += 1
        except ModelError as error:  # it stays due and comes first again, so it must not take the place of another
            problems.append(f"{plan.node.id}/forecast: {error}")
    store_forecasts.save_forecasts(now.connection, rows)
    return ForecastPass(all(plan.node.id in issued for plan in waiting), tuple(problems))


def _due(now: Pass, issued: Mapping[str, datetime]) -> list[StockPlan]:
    """Those never foreseen, then the others, whose forecast is the oldest first."""
    due = [s for s in now.plan.stocks if (last := issued.get(s.node.id)) is None or abs(now.now_at - last) >= EVERY]
    return sorted(due, key=lambda s: (s.node.id in issued, issued.get(s.node.id, now.now_at), s.node.id))


def _foreseen(now: Pass, plan: StockPlan, stock: StockNow | None, known: Known) -> list[ForecastRow]:
    if stock is None:
        return refused(plan.node, now.now_at, "stock_unknown")
    if now.now_at - stock.at > timedelta(seconds=_OLD_STEPS * now.step_s):
        return refused(plan.node, now.now_at, "stock_stale", {"figure_at": stock.at.isoformat()})
    buckets, bucket_s = _lately(now, list(plan.meters), stock.at)
    return forecasts(plan, replace(known, stock=stock, buckets=buckets, bucket_s=bucket_s))


def _lately(now: Pass, streams: Sequence[str], until: datetime) -> tuple[list[Bucket], int]:
    """Hours of four weeks; where there are too few, quarters of an hour, or else the twin's steps."""
    hours = store_forecasts.history(now.connection, streams, until - _OLDEST, until, 3600)
    if len({bucket.at for bucket in hours}) >= _FEWEST_HOURS:
        return hours, 3600
    since = until - timedelta(hours=_FEWEST_HOURS)
    quarters = store_forecasts.history(now.connection, streams, since, until, 900)
    if len({bucket.at for bucket in quarters}) >= _FEWEST_QUARTERS:
        return quarters, 900
    since = until - timedelta(seconds=_RECENT_STEPS * now.step_s)
    return store_forecasts.history(now.connection, streams, since, until, now.step_s), now.step_s
