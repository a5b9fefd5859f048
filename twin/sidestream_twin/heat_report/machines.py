"""How exchangers and heat pumps do, from the meters on both of their sides. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.exchanger import Rating, Readings, rate
from sidestream_twin.core.heat.heat_pump import HeatPumpRating, HeatPumpReadings, rate_heat_pump
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.heat_report.heard import Energy, Heard, common_s
from sidestream_twin.heat_report.layout import Layout, Meter
from sidestream_twin.heat_report.thermometers import leg_of, running
from sidestream_twin.heat_report.told import Told, not_known, told, weakest_of

_NO_CARNOT = "the temperatures of heat out (supply) and heat in (return) aren't both known, or the source is the warmer"
Five = tuple[Told, Told, Told, Told, Told]
Units = tuple[str, str, str, str, str]
_NO_PINCH = "temperatures cross, so no size explains the duty; check the thermometers"


@dataclass(frozen=True, slots=True)
class ExchangerReport:
    """Means over the time in which both sides ran, taken as counter-flow: duties W, LMTD K, UA W/K, effectiveness.

    `running_h`: how long that was.
    """

    node: str
    name: str
    hot_stream: str | None
    cold_stream: str | None
    hot_w: Told
    cold_w: Told
    log_mean_k: Told
    ua_w_k: Told
    effectiveness: Told
    sides_agree: bool | None
    running_h: float | None
    why: str | None


@dataclass(frozen=True, slots=True)
class HeatPumpReport:
    """COP and its share of Carnot's, over the time in which heat and power are both known. `impossible`: the law it breaks."""

    node: str
    name: str
    sink_w: Told
    power_w: Told
    source_w: Told
    cop: Told
    carnot_share: Told
    impossible: str | None
    why: str | None


def exchanger_reports(layout: Layout, heard: Heard) -> list[ExchangerReport]:
    """Every exchanger node that gives heat on: one with heat in and heat out."""
    found = []
    for node in layout.hub.nodes:
        if node.kind == "exchanger" and layout.into[node.id] and layout.out_of[node.id]:
            sides = _sides(layout, node.id)
            found.append(
                _exchanger(heard, node.id, *sides) if isinstance(sides, tuple) else _unrated(heard, node.id, sides)
            )
    return found


def _sides(layout: Layout, node: str) -> tuple[Meter, Meter] | str:
    """The meter of the circuit that brings heat and of the one that takes it, or why they can't be rated."""
    entering, leaving = layout.into[node], layout.out_of[node]
    if len(entering) != 1 or len(leaving) != 1:
        return f"{len(entering)} streams bring heat and {len(leaving)} take it; it can be rated with one of each"
    hot, cold = layout.meter(entering[0]), layout.meter(leaving[0])
    for stream, meter in ((entering[0], hot), (leaving[0], cold)):
        if meter is None or meter.parts is None:
            return f"stream {stream.id} has no meter of flow, supply and return temperature"
        if stream.loss is not None:
            return f"the pipe {stream.id} loses heat between its meter and the exchanger; meter at the exchanger"
    assert hot is not None
    assert cold is not None
    return hot, cold


def _exchanger(heard: Heard, node: str, hot: Meter, cold: Meter) -> ExchangerReport:
    weight = running(heard, hot, cold)
    if not weight.any():
        return _unrated(heard, node, "its sides never ran at the same time, or a thermometer was silent")
    try:
        warm, cool = leg_of(heard, hot, weight), leg_of(heard, cold, weight)
        rating = rate(
            Readings(warm.supply_k, warm.return_k, cool.return_k, cool.supply_k, warm.capacity_w_k, cool.capacity_w_k)
        )
    except ModelError as error:
        return _unrated(heard, node, str(error))
    ran_s = float(np.count_nonzero(weight)) * heard.grid.width_s
    share = min(ran_s / heard.grid.length_s, 1.0)
    return ExchangerReport(
        node,
        heard.side.names.get(("node", node), node),
        hot.stream.id,
        cold.stream.id,
        *_rated(rating, share),
        rating.sides_agree,
        min(ran_s, heard.grid.length_s) / 3600.0,
        None,
    )


def _rated(rating: Rating, share: float) -> Five:
    def said(number: Uncertain | None, unit: str) -> Told:
        return told(number, unit, "measured", share) if number else not_known(unit, _NO_PINCH)

    return (
        said(rating.hot_w, "W"),
        said(rating.cold_w, "W"),
        said(rating.log_mean_k, "K"),
        said(rating.ua_w_k, "W/K"),
        said(rating.effectiveness, "1"),
    )


def _nothing(why: str, units: Units) -> Five:
    one, two, three, four, five = (not_known(unit, why) for unit in units)
    return one, two, three, four, five


def _unrated(heard: Heard, node: str, why: str) -> ExchangerReport:
    name = heard.side.names.get(("node", node), node)
    return ExchangerReport(node, name, None, None, *_nothing(why, ("W", "W", "K", "W/K", "1")), None, None, why)


def heat_pump_reports(layout: Layout, heard: Heard) -> list[HeatPumpReport]:
    """Every process that takes heat and power and gives heat."""
    found = []
    for node in layout.hub.nodes:
        entering, leaving = layout.into[node.id], layout.out_of[node.id]
        power = [s for s in entering if s.phase == "electricity"]
        source = [s for s in entering if layout.carries_heat(s)]
        sink = [s for s in leaving if layout.carries_heat(s)]
        whole = len(entering) == len(power) + len(source) and len(leaving) == len(sink)
        if node.kind == "process" and power and source and sink and whole:
            meters = [[layout.meter(stream) for stream in part] for part in (sink, power, source)]
            found.append(_pump(heard, node.id, meters))
    return found


def _pump(heard: Heard, node: str, meters: list[list[Meter | None]]) -> HeatPumpReport:
    name = heard.side.names.get(("node", node), node)
    parts = [_energies(heard, part) for part in meters]
    sink, power, source = parts
    if not sink or not power:
        return _silent(node, name, "its heat out or its power is not metered on every stream, or has no figures")
    seconds = common_s(*sink, *power, *source)
    if not seconds.any():
        return _silent(node, name, "no time in which heat and power are both known")
    to_sink, in_power = _mean_w(sink, seconds), _mean_w(power, seconds)
    assert to_sink is not None
    assert in_power is not None
    warm, cold = _temperature(heard, meters[0], 1), _temperature(heard, meters[2], 2)
    bridged = (warm, cold) if warm and cold else (Uncertain(0.0), Uncertain(0.0))
    try:
        rating = rate_heat_pump(HeatPumpReadings(to_sink, in_power, *bridged, _mean_w(source, seconds)))
    except ModelError as error:
        return _silent(node, name, str(error))
    return _rated_pump(heard, (node, name), parts, seconds, rating)


def _rated_pump(
    heard: Heard, who: tuple[str, str], parts: list[list[Energy]], seconds: FloatArray, rating: HeatPumpRating
) -> HeatPumpReport:
    everything = [energy for part in parts for energy in part]
    share = min(heard.completeness(energy, seconds) for energy in everything)
    origin = weakest_of(energy.origin(seconds) for energy in everything)

    def said(number: Uncertain | None, unit: str, why: str) -> Told:
        return told(number, unit, origin, share) if number else not_known(unit, why)

    sink, power, source = (said(_mean_w(part, seconds), "W", "not metered, or without figures") for part in parts)
    cop, carnot = said(rating.cop, "1", ""), said(rating.carnot_share, "1", _NO_CARNOT)
    return HeatPumpReport(*who, sink, power, source, cop, carnot, rating.impossible, None)


def _silent(node: str, name: str, why: str) -> HeatPumpReport:
    return HeatPumpReport(node, name, *_nothing(why, ("W", "W", "W", "1", "1")), None, why)


def _energies(heard: Heard, meters: list[Meter | None]) -> list[Energy]:
    """Those of all meters; none where one is missing."""
    found = [heard.energies.get(meter.key) if meter else None for meter in meters]
    known = [energy for energy in found if energy is not None]
    return known if len(known) == len(found) else []


def _mean_w(parts: list[Energy], seconds: FloatArray) -> Uncertain | None:
    """Mean power of all of them together; None where there is none."""
    if not parts:
        return None
    sums = [part.over(seconds) for part in parts]
    together = Uncertain(
        sum(each.value for each in sums),
        float(np.hypot.reduce([each.sd_random for each in sums])),
        float(np.hypot.reduce([each.sd_systematic for each in sums])),
    )
    return together.scaled(1.0 / float(np.sum(seconds)))


def _temperature(heard: Heard, meters: list[Meter | None], part: int) -> Uncertain | None:
    """Supply (1) or return (2) temperature of the only circuit."""
    meter = meters[0] if len(meters) == 1 else None
    if meter is None or meter.parts is None:
        return None
    weight = running(heard, meter)
    return heard.means[meter.parts[part].id].weighted(weight) if weight.any() else None
