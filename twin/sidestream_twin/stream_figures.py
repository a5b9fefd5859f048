"""Figures of streams per step: from the series of one meter to mean W or kg/s, with what happened on the way. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from zoneinfo import ZoneInfo

import numpy as np

from sidestream_store.twin.hub import HubLoss, HubSensor, TwinHub
from sidestream_store.twin.readings import FloatArray, Raw
from sidestream_store.twin.values import Computed, StepValue
from sidestream_twin.core.arrays import BoolArray
from sidestream_twin.core.counters import totals_from_counter
from sidestream_twin.core.heat.meter import MeterPosition, WaterCircuit, energy_from_volume_j, heat_series
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.rates import totals_from_rate
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import COMPLETE, CounterEvent, GapRules, Totals
from sidestream_twin.core.uncertain import sd_from_limit
from sidestream_twin.core.water import ZERO_CELSIUS_K
from sidestream_twin.figures import Figure
from sidestream_twin.lifecycle import live_at
from sidestream_twin.sensing import Sensed, accuracy_of, counter_rules, max_gap_s, sensed
from sidestream_twin.steps import Span

_EVENTS = (
    (int(CounterEvent.ROLLOVER), "register_rollover"),
    (int(CounterEvent.RESET), "register_reset"),
    (int(CounterEvent.JUMP), "register_jump"),
    (int(CounterEvent.SWAP), "meter_swapped"),
)
_DOUBTS = {"range": "out_of_range", "spike": "spike", "rate": "fast_change"}


def compute_figure(figure: Figure, span: Span, readings: Mapping[int, Raw], hub: TwinHub) -> Computed:
    """The figure in each step of the span for which something is known and the stream was live.

    Give readings from twice the meter's gap before the span until as long after it.
    """
    bounds = np.arange(span.first, span.stop + 1, dtype=np.float64) * hub.step_s
    inputs = [sensed(sensor, readings.get(sensor.sensor_id)) for sensor in figure.sensors]
    totals = _totals(figure, [found.series for found in inputs], bounds).mean_rates()
    shown = (
        live_at(figure.stream, bounds[:-1], ZoneInfo(hub.timezone))
        & (totals.completeness > 0)
        & np.isfinite(totals.value)
    )
    remarks = _remarks(figure, inputs, totals)
    values = [_value(totals, index, span.first + index, remarks[index]) for index in np.flatnonzero(shown).tolist()]
    sensors = [sensor.id for sensor in figure.sensors]
    return Computed(figure.subject, span.first, span.stop, values, {"sensors": sensors, "hub_version": hub.version})


def gap_of(figure: Figure) -> float:
    """How far readings of the figure's meter may lie apart."""
    return max(max_gap_s(sensor) for sensor in figure.sensors)


def _totals(figure: Figure, series: Sequence[Series], bounds: FloatArray) -> Totals:
    gap = gap_of(figure)
    if figure.kind == "rate":
        return totals_from_rate(series[0], bounds, GapRules(gap, unseen_sd=_unseen_sd(figure.sensors[0])))
    if figure.kind == "heat":
        flow, supply, returned = series
        heat = heat_series(flow, supply, returned, _circuit(figure), gap)
        return totals_from_rate(heat, bounds, GapRules(gap))
    if figure.kind == "pipe_loss" and figure.loss is not None:
        return _pipe_loss(figure.loss, [totals_from_rate(part, bounds, GapRules(gap)) for part in series])
    registers = [_register(*pair, bounds) for pair in zip(figure.sensors, series, strict=True)]
    return registers[0] if figure.kind == "register" else _register_heat(figure, registers)


def _pipe_loss(loss: HubLoss, temperatures: Sequence[Totals]) -> Totals:
    """Both pipes lose U·L for each kelvin above their surroundings; how well U is known makes up the deviation.

    The water's cooling along the way is left out: it takes U·L/(2·m·cp) off, a hundredth in a pipe worth building.
    """
    conductance_w_k = (loss.u_w_m_k or 0.0) * (loss.length_m or 0.0)
    supply, returned = temperatures
    kelvin_s = supply.value + returned.value - 2.0 * loss.surroundings_k * np.diff(supply.bounds_s)
    lost = conductance_w_k * kelvin_s
    systematic = np.hypot(supply.sd_systematic, returned.sd_systematic)
    return replace(
        supply,
        value=lost,
        sd_random=conductance_w_k * np.hypot(supply.sd_random, returned.sd_random),
        sd_systematic=np.hypot(conductance_w_k * systematic, loss.sd_share * np.abs(lost)),
        seen=lost * np.minimum(supply.completeness, returned.completeness),
        completeness=np.minimum(supply.completeness, returned.completeness),
        samples=np.minimum(supply.samples, returned.samples),
        estimated=np.ones_like(supply.estimated),
    )


def _unseen_sd(sensor: HubSensor) -> float | None:
    """A rate that nobody saw lies anywhere in the sensor's range."""
    if sensor.range_low is None or sensor.range_high is None:
        return None
    return (sensor.range_high - sensor.range_low) * abs(sensor.si_factor) / sqrt(12.0)


def _circuit(figure: Figure) -> WaterCircuit:
    return WaterCircuit(MeterPosition(figure.stream.meter_position), figure.stream.pressure_pa)


def _register(sensor: HubSensor, series: Series, bounds: FloatArray) -> Totals:
    # A register's class is on its rise, which the rules hold; the size of its reading says nothing about an error.
    rising = replace(series, sd_random=np.zeros_like(series.value))
    return totals_from_counter(rising, bounds, GapRules(max_gap_s(sensor)), counter_rules(sensor))


def _register_heat(figure: Figure, registers: Sequence[Totals]) -> Totals:
    """Energy per step from ΔV and the mean temperatures ΔE8/ΔV, ΔE9/ΔV of the flow and the return.

    The three registers hang on one flow part, so the energy errs by the widest of their classes and not by their sum.
    """
    volume, warm, cold = registers
    moved = volume.value > 0
    per_m3 = np.divide(1.0, volume.value, out=np.full_like(volume.value, np.nan), where=moved)
    circuit = _circuit(figure)
    carried = energy_from_volume_j(
        volume.value, ZERO_CELSIUS_K + warm.value * per_m3, ZERO_CELSIUS_K + cold.value * per_m3, circuit
    )
    energy = np.where(volume.value == 0, 0.0, carried)
    limit = max(accuracy_of(sensor)[0].limit_relative for sensor in figure.sensors)
    random = np.where(moved, np.abs(energy) * per_m3 * volume.sd_random, 0.0)
    return replace(
        volume,
        value=energy,
        sd_random=random,
        sd_systematic=np.abs(energy) * sd_from_limit(limit),
        seen=energy * volume.completeness,
        completeness=np.minimum.reduce([part.completeness for part in registers]),
        samples=np.minimum.reduce([part.samples for part in registers]),
        estimated=np.logical_or.reduce([part.estimated for part in registers]),
        events=np.bitwise_or.reduce([part.events for part in registers]),
    )


def _remarks(figure: Figure, inputs: Sequence[Sensed], totals: Totals) -> list[tuple[str, ...]]:
    always = ("accuracy_assumed",) if any(accuracy_of(sensor)[1] for sensor in figure.sensors) else ()
    doubted = {kind: _doubted(inputs, kind, totals.bounds_s) for kind in _DOUBTS}
    plain = (totals.completeness >= COMPLETE) & (totals.events == 0) & ~np.logical_or.reduce(list(doubted.values()))
    remarks: list[tuple[str, ...]] = [always] * plain.size
    for index in np.flatnonzero(~plain).tolist():
        remarks[index] = (
            always
            + (("gap",) if totals.completeness[index] < COMPLETE else ())
            + tuple(word for kind, word in _DOUBTS.items() if doubted[kind][index])
            + tuple(word for event, word in _EVENTS if totals.events[index] & event)
        )
    return remarks


def _doubted(inputs: Sequence[Sensed], kind: str, bounds_s: FloatArray) -> BoolArray:
    """In which steps a check of this kind doubts a reading of one of the sensors."""
    found = np.zeros(bounds_s.size - 1, dtype=np.bool_)
    for part in (part for one in inputs for part in one.doubted if part.kind == kind):
        found |= np.diff(np.searchsorted(part.at_s, bounds_s)) > 0
    return found


def _value(totals: Totals, index: int, step: int, flags: tuple[str, ...]) -> StepValue:
    return StepValue(
        step=step,
        value=float(totals.value[index]),
        sd_random=float(totals.sd_random[index]),
        sd_systematic=float(totals.sd_systematic[index]),
        origin=str(Origin.ESTIMATED if totals.estimated[index] else totals.origin),
        completeness=float(totals.completeness[index]),
        n=int(totals.samples[index]),
        flags=flags,
    )
