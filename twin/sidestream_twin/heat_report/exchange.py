"""What became of the heat of one exchange: supplied = used + lost + dumped, always, each with its deviation. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from sidestream_store.read.heat import Need
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.heat_report.demand import Coverage, agreed_w, coverage, no_coverage
from sidestream_twin.heat_report.heard import Heard
from sidestream_twin.heat_report.layout import Exchange, Layout
from sidestream_twin.heat_report.receiver import Reach, reach_of
from sidestream_twin.heat_report.told import Told, not_known, told, weakest_of
from sidestream_twin.heat_report.way import Ends, Way, arriving_w, ends_of, way_of
from sidestream_twin.lifecycle import stage_at

_NO_METER = "no meter of heat on its way; meter the supplier's or the receiver's end"
_NO_NEED = (
    "hub.yaml doesn't say from which temperature on {node} takes heat; add heat_need: {{lowest_c: …}} to that node"
)
_GOES_BACK = (
    "hub.yaml doesn't say that heat is thrown away at {node} (heat_need: {{discard_c: …}}): what isn't taken goes back"
)
_NO_DEMAND = "hub.yaml doesn't say how much {node} needs; add an agreement in energy, or heat_need: {{demand_kw: …}}"
_LESS_TIME = 0.99
Six = tuple[Told, Told, Told, Told, Told, Told]


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """Heat from a supplier to a receiver, J, all of the same time. `streams` in the order in which it flows.

    `usable` is the part of the heat at the receiver that is hot enough, `missed` what of it was dumped.
    """

    streams: list[str]
    name: str
    supplier: str | None
    receiver: str | None
    at: str
    agreement: str | None
    state: str
    supplied: Told
    usable: Told
    used: Told
    dumped: Told
    missed: Told
    lost: Told
    coverage: Coverage
    remarks: list[str]


def exchange_reports(layout: Layout, heard: Heard) -> list[ExchangeReport]:
    """Every exchange of heat in hub.yaml."""
    return [_report(layout, heard, exchange) for exchange in layout.exchanges()]


def _report(layout: Layout, heard: Heard, exchange: Exchange) -> ExchangeReport:
    first, last = exchange.streams[0], exchange.streams[-1]
    zone = ZoneInfo(heard.hub.timezone)
    state = stage_at(last, heard.grid.to_at, zone)
    way = way_of(layout, exchange)
    need = heard.side.needs.get(exchange.receiver, Need(None, 0.0, None, None))
    reach = reach_of(heard, way.last, arriving_w(way, heard), need) if way.last else None
    ends = None
    if reach is not None:
        dumped = reach.dumped_w if need.discard_k is not None else np.zeros(heard.grid.count)
        ends = ends_of(way, heard, dumped)
    try:
        numbers = _numbers(exchange, way, need, reach, ends) if ends and reach else _nothing(_why(way, state))
    except ModelError as error:
        numbers = _nothing(str(error))
    return ExchangeReport(
        [stream.id for stream in exchange.streams],
        heard.side.names.get(("stream", first.id), first.id),
        first.source_party,
        last.target_party,
        exchange.receiver,
        exchange.agreement.id if exchange.agreement else None,
        state,
        *numbers,
        _coverage(layout, heard, exchange, way, need),
        list(_remarks(way, heard, ends)),
    )


def _why(way: Way, state: str) -> str:
    if state != "live":
        return f"the exchange is not live ({state})"
    return "no time in which both ends have figures" if way.first else _NO_METER


def _nothing(why: str) -> Six:
    nothing = not_known("J", why)
    return nothing, nothing, nothing, nothing, nothing, nothing


def _numbers(exchange: Exchange, way: Way, need: Need, reach: Reach, ends: Ends) -> Six:
    """Supplied, usable, used, dumped, missed, lost."""
    origin = weakest_of((ends.origin_supplied, ends.origin_used))
    node, share = exchange.receiver, ends.completeness
    supplied, dumped = ends.supplied, not_known("J", _GOES_BACK.format(node=node))
    missed = usable = not_known("J", _NO_NEED.format(node=node))
    if need.discard_k is not None:
        thrown = reach.dumped(ends.used, ends.seconds)
        dumped = told(thrown, "J", origin, share)
        # One flow meter and one thermometer tell both parts, so what they got wrong adds up.
        supplied = Uncertain(
            supplied.value + thrown.value,
            supplied.sd_random + thrown.sd_random,
            supplied.sd_systematic + thrown.sd_systematic,
        )
    if need.lowest_k is not None:
        usable, missed = _usable(reach, ends, origin)
        missed = missed if need.discard_k is not None else not_known("J", _GOES_BACK.format(node=node))
    lost = told(ends.lost, "J", ends.origin_lost, share)
    if not way.two_meters and not way.by_design:
        lost = not_known("J", "one meter stands for both ends, and hub.yaml has no pipe with a loss between them")
    return (
        told(supplied, "J", ends.origin_supplied, share),
        usable,
        told(ends.used, "J", ends.origin_used, share),
        dumped,
        missed,
        lost,
    )


def _usable(reach: Reach, ends: Ends, origin: str) -> tuple[Told, Told]:
    seconds = np.where(np.isfinite(reach.usable_w), ends.seconds, 0.0)
    if reach.supply is None or not seconds.any():
        why = "no thermometers of supply and return at the receiver's end, or silent ones"
        return not_known("J", why), not_known("J", why)
    share = ends.completeness * float(np.sum(seconds) / np.sum(ends.seconds))
    return (
        told(reach.usable(ends.used, seconds), "J", origin, share),
        told(reach.missed(ends.used, seconds), "J", origin, share),
    )


def _coverage(layout: Layout, heard: Heard, exchange: Exchange, way: Way, need: Need) -> Coverage:
    """Against what hub.yaml says that the receiver needs, at its own meter; else what was agreed, where that is metered."""
    if need.demand_w is not None and way.last is not None:
        supply = heard.energies.get(way.last.key)
        basis = f"{need.demand_w / 1000:g} kW at {exchange.receiver} (heat_need.demand_kw)"
        constant = np.full(heard.grid.count, need.demand_w)
        return coverage(heard, supply, constant, basis, "manual") if supply else no_coverage("no figures", basis)
    agreement = exchange.agreement
    if agreement is None:
        return no_coverage(_NO_DEMAND.format(node=exchange.receiver))
    basis = f"agreement {agreement.id}, spread evenly"
    stream = next(stream for stream in exchange.streams if stream.id == agreement.stream)
    meter = layout.meter(stream)
    supply = heard.energies.get(meter.key) if meter else None
    if supply is None:
        return no_coverage(f"stream {stream.id} has no figures in this time", basis)
    return coverage(heard, supply, agreed_w(heard, agreement), basis, "agreed")


def _remarks(way: Way, heard: Heard, ends: Ends | None) -> Iterator[str]:
    if ends is None:
        return
    if ends.lost.value < -2.0 * ends.lost.sd:
        yield "more heat arrives than leaves: one of the meters is wrong; ask `sidestream twin balance`"
    if way.by_design:
        names = ", ".join(f"{pipe.kind} {pipe.id}" for pipe in way.by_design)
        yield f"loss of {names} as hub.yaml expects it, because no meter sits at its other end"
    for meter in (way.first, way.last) if way.two_meters else ():
        energy = heard.energies.get(meter.key) if meter else None
        if meter and energy is not None and ends.seconds.sum() < _LESS_TIME * energy.valued_s.sum():
            hours = float(energy.valued_s.sum() - ends.seconds.sum()) / 3600.0
            yield f"{hours:.2g} h of {'/'.join(meter.key)} are left out: the other end has no figures for them"
