"""One stock's forecast: from how its flows went, what was agreed and what is planned, to when it reaches a limit. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf, sqrt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from sidestream_store.stops import Stop
from sidestream_store.twin.forecasts import Bucket, ForecastRow, StockNow
from sidestream_store.twin.hub import HubAgreement, HubNode, HubStream
from sidestream_twin.core.arrays import FloatArray, IntArray
from sidestream_twin.core.calendar_period import Period, PeriodKind, period_at
from sidestream_twin.core.forecast import Event, FirstPassage, first_passage
from sidestream_twin.core.outlook import Basis, FlowHistory, FlowModel, Outlook, fit, foresee, nothing_moves
from sidestream_twin.core.uncertain import Uncertain, sd_from_limit
from sidestream_twin.plan import StockPlan
from sidestream_twin.stops import length_s, running_parts, stops_of

LONGEST = timedelta(days=7)
_POINTS = 600
_REACH = 10
_LEAST_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """All that a forecast rests on. `buckets` of `bucket_s` in order of time, of the stock's metered streams."""

    now_at: datetime
    zone: ZoneInfo
    stock: StockNow
    buckets: Sequence[Bucket]
    bucket_s: int
    agreements: Sequence[HubAgreement]
    stops: Sequence[Stop]


def forecasts(plan: StockPlan, known: Known) -> list[ForecastRow]:
    """What is foreseen of each limit that the stock has; where it can't be known, a row that says why."""
    node, stock = plan.node, known.stock
    if stock.mass_kg is None:
        return refused(node, known.now_at, "stock_unknown")
    told = {bucket.stream for bucket in known.buckets}
    metered = [stream for stream in plan.streams if stream.id in told]
    model = fit(_history(plan, metered, known)) if metered else None
    if metered and model is None:
        return refused(node, known.now_at, "too_little_history")
    horizon = _horizon(known, model)
    grid = _Grid.of(stock.at, horizon, known.zone)
    outlook = _metered(model, metered, grid, known) if model else nothing_moves(grid.at_s)
    silent = [stream for stream in plan.streams if stream.id not in told and _live_within(stream, grid, known)]
    agreed = [(stream, _agreed(stream, known.agreements)) for stream in silent]
    if missing := [stream.id for stream, agreement in agreed if agreement is None]:
        return refused(node, known.now_at, "flow_unknown", {"streams": missing})
    if not metered and not silent:
        return refused(node, known.now_at, "no_flows")
    for stream, agreement in agreed:
        if agreement is not None:
            flow = _Flow(stream, 1 if stream in plan.inflows else -1)
            outlook = _with_agreed(outlook, agreement, flow, grid, known)
    return list(_rows(plan, known, horizon, outlook, _basis(plan, model, metered, silent, known)))


def refused(node: HubNode, now_at: datetime, reason: str, basis: Mapping[str, Any] | None = None) -> list[ForecastRow]:
    """That nothing can be foreseen, and why."""
    nothing = (None,) * 5
    return [
        ForecastRow(
            node.id, str(event), now_at, None, None, "unknown", reason, limit, *((None,) * 5), nothing, basis or {}
        )
        for event, limit in limits(node)
    ]


def limits(node: HubNode) -> list[tuple[Event, float]]:
    """Where the stock overflows, if the hub says so, and where it runs dry."""
    found = [(Event.RUN_DRY, node.min_kg or 0.0)]
    return found if node.max_kg is None else [(Event.OVERFLOW, node.max_kg), *found]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Instants from the stock's figure to the horizon; `at_s` since that figure, `hour` of the local week by interval."""

    begin_at: datetime
    at_s: FloatArray
    hour: IntArray

    @classmethod
    def of(cls, begin_at: datetime, horizon: timedelta, zone: ZoneInfo) -> _Grid:
        at_s = np.linspace(0.0, horizon / timedelta(seconds=1), _POINTS + 1)
        middles = (at_s[:-1] + at_s[1:]) / 2
        local = [(begin_at + timedelta(seconds=s)).astimezone(zone) for s in middles.tolist()]
        return cls(begin_at, at_s, np.array([at.weekday() * 24 + at.hour for at in local], dtype=np.int64))

    def share(self, parts: Sequence[Period]) -> FloatArray:
        """Of each interval the share that lies in one of the parts."""
        covered = np.zeros(self.at_s.size)
        for part in parts:
            first, last = ((at - self.begin_at) / timedelta(seconds=1) for at in (part.from_at, part.to_at))
            covered += np.clip(self.at_s, first, last) - first if last > first else 0.0
        return np.asarray(np.diff(covered) / np.diff(self.at_s), dtype=np.float64)

    @property
    def period(self) -> Period:
        """From the stock's figure to the horizon."""
        return Period(self.begin_at, self.begin_at + timedelta(seconds=float(self.at_s[-1])))


def _history(plan: StockPlan, streams: Sequence[HubStream], known: Known) -> FlowHistory:
    times = sorted({bucket.at for bucket in known.buckets})
    place = {at: n for n, at in enumerate(times)}
    row = {stream.id: n for n, stream in enumerate(streams)}
    flows = np.full((len(streams), len(times)), np.nan)
    hour, errors = np.zeros(len(times), dtype=np.int64), defaultdict(list)
    for bucket in known.buckets:
        sign = 1 if any(stream.id == bucket.stream for stream in plan.inflows) else -1
        flows[row[bucket.stream], place[bucket.at]] = sign * bucket.flow
        hour[place[bucket.at]] = bucket.hour
        errors[bucket.stream].append(bucket.sd_systematic)
    spacing = timedelta(seconds=known.bucket_s)
    follows = np.array([n > 0 and at - times[n - 1] == spacing for n, at in enumerate(times)], dtype=np.int64)
    systematic = np.array([sum(errors[stream.id]) / len(errors[stream.id]) for stream in streams])
    return FlowHistory(float(known.bucket_s), flows, hour, follows, systematic)


def _horizon(known: Known, model: FlowModel | None) -> timedelta:
    """A week; less where the flows are known for less than a tenth of that."""
    if model is None:
        return LONGEST
    return min(LONGEST, timedelta(seconds=_REACH * model.buckets * known.bucket_s))


def _metered(model: FlowModel, metered: Sequence[HubStream], grid: _Grid, known: Known) -> Outlook:
    running = np.stack([grid.share(running_parts(s, known.stops, grid.period, known.zone)) for s in metered])
    return foresee(replace(model, straying=_still(model, known)), grid.at_s, grid.hour, running)


def _still(model: FlowModel, known: Known) -> float:
    """What is left of the last straying by the time of the stock's figure."""
    last = known.buckets[-1].at + timedelta(seconds=known.bucket_s)
    since = max((known.stock.at - last) / timedelta(seconds=1), 0.0)
    return float(model.straying * model.correlation ** (since / model.bucket_s))


def _live_within(stream: HubStream, grid: _Grid, known: Known) -> bool:
    return length_s(running_parts(stream, known.stops, grid.period, known.zone)) > 0


def _agreed(stream: HubStream, agreements: Sequence[HubAgreement]) -> HubAgreement | None:
    """The stream's agreement on mass; None without one."""
    return next((a for a in agreements if a.stream == stream.id and a.quantity == "mass"), None)


def _with_agreed(outlook: Outlook, agreement: HubAgreement, flow: _Flow, grid: _Grid, known: Known) -> Outlook:
    period = period_at(grid.begin_at, PeriodKind(agreement.period), known.zone)
    rate = flow.sign * agreement.amount_si / period.length_s
    runs = grid.share(running_parts(flow.stream, known.stops, grid.period, known.zone))
    sd = abs(rate) * sd_from_limit(max(agreement.tolerance, _LEAST_TOLERANCE))
    return outlook.with_flow(rate * runs, sd * runs, agreement.load_si or 0.0)


@dataclass(frozen=True, slots=True)
class _Flow:
    """A stream that fills (+1) or empties (-1) the stock."""

    stream: HubStream
    sign: int


def _basis(
    plan: StockPlan, model: FlowModel | None, metered: Sequence[HubStream], silent: Sequence[HubStream], known: Known
) -> dict[str, Any]:
    """Ids of everything the forecast came from, and what was made of it."""
    streams: dict[str, Any] = {stream.id: {"basis": str(Basis.AGREED)} for stream in silent}
    for stream in metered:
        streams[stream.id] = {"basis": str(model.basis) if model else None, "sensor": plan.meters[stream.id].id}
    stops = [s.stop_id for stream in plan.streams for s in stops_of(stream, known.stops) if _ahead(s, known)]
    facts = {"streams": streams, "stops": sorted(set(stops)), "observers": [s.id for s in plan.observers]}
    if model is None:
        return facts
    return facts | {
        "buckets": model.buckets,
        "bucket_s": known.bucket_s,
        "history_from": known.buckets[0].at.astimezone(UTC).isoformat(),
        "net_sd_kg_s": model.sd,
        "correlation": model.correlation,
        "mean_sd_kg_s": model.mean_sd,
        "meters_sd_kg_s": model.systematic,
    }


def _ahead(stop: Stop, known: Known) -> bool:
    return stop.from_at < known.now_at + LONGEST and (stop.to_at is None or stop.to_at > known.stock.at)


def _rows(
    plan: StockPlan, known: Known, horizon: timedelta, outlook: Outlook, basis: Mapping[str, Any]
) -> Iterator[ForecastRow]:
    stock = known.stock
    mass = Uncertain(stock.mass_kg or 0.0, stock.sd_random or 0.0, stock.sd_systematic or 0.0)
    hour = min(int(np.searchsorted(outlook.at_s, 3600.0)), outlook.at_s.size - 1)
    lasting = float(outlook.at_s[hour])
    doubt = sqrt(float(outlook.variance[hour]) + float(outlook.systematic[hour]) ** 2) / lasting
    for event, limit in limits(plan.node):
        if not limit < inf:
            continue
        found = first_passage(mass, limit, event, outlook)
        yield ForecastRow(
            node=plan.node.id,
            event=str(event),
            issued_at=known.now_at,
            from_at=stock.at,
            horizon_at=stock.at + horizon,
            outcome=str(found.outcome),
            reason=None,
            limit_kg=limit,
            mass_kg=mass.value,
            sd_kg=mass.sd,
            net_flow_kg_s=float(outlook.moved[hour]) / lasting,
            net_flow_sd_kg_s=doubt,
            probability=found.probability,
            quantiles_at=_instants(found, stock.at),
            basis=basis,
        )


def _instants(found: FirstPassage, begin_at: datetime) -> tuple[datetime | None, ...]:
    return tuple(None if s is None else begin_at + timedelta(seconds=round(s)) for s in found.quantiles_s)
