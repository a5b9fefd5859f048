"""From a sensor's raw readings to a series in SI with its two deviations per reading. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot, sqrt

import numpy as np

from sidestream_contracts.metering import REGISTER_ROLES
from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.readings import FloatArray, Raw
from sidestream_twin.core.accuracy import Accuracy
from sidestream_twin.core.plausible import ValueRules, doubts
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.register import CounterRules, Swap
from sidestream_twin.core.series import Series

REGISTERS = REGISTER_ROLES
_PERIOD_S = 12.0
_SHORTEST_GAP_S = 5.0
_LONGEST_REGISTER_GAP_S = 86400.0
_INERT = frozenset({"temperature", "pressure", "level"})
"""Quantities that can't be elsewhere for one reading and back with the next."""
_ASSUMED = Accuracy(limit_relative=0.05)
_ASSUMED_KELVIN = Accuracy(limit_absolute=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Doubted:
    """Readings that one check doubts, in order of time and in the sensor's own unit; `left_out`: nothing rests on them."""

    kind: str
    at_s: FloatArray
    value: FloatArray
    left_out: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sensed:
    """A sensor's readings in SI, and those of which a check says that they are not to be believed."""

    series: Series
    doubted: tuple[Doubted, ...]


def accuracy_of(sensor: HubSensor) -> tuple[Accuracy, bool]:
    """What the sensor may err, in its own unit, and whether that is assumed because the hub file says nothing.

    Saying nothing is no claim to perfection: 5 % of the value, for temperatures 1 K, as class limits.
    """
    said = (sensor.limit_pct, sensor.limit_abs, sensor.random_pct, sensor.random_abs)
    if any(said):
        rounding = (sensor.resolution or 0.0) / sqrt(12.0)  # equally likely anywhere within half a step
        return Accuracy(said[0] / 100, said[1], said[2] / 100, hypot(said[3], rounding)), False
    return (_ASSUMED_KELVIN if sensor.quantity == "temperature" else _ASSUMED), True


def period_s(sensor: HubSensor) -> float:
    """Expected time between readings."""
    return sensor.period_s or _PERIOD_S


def max_gap_s(sensor: HubSensor) -> float:
    """How far readings may lie apart for the time between them to count as seen."""
    # A count tells of its own instant: what happened until the next one, perhaps a week later, nobody saw.
    return _SHORTEST_GAP_S if sensor.manual else max(3 * period_s(sensor), _SHORTEST_GAP_S)


def max_register_gap_s(sensor: HubSensor) -> float:
    """How far readings of a register may lie apart for its rise to be spread over the time between."""
    return max(3 * period_s(sensor), _LONGEST_REGISTER_GAP_S)


def value_rules(sensor: HubSensor, value: FloatArray) -> ValueRules:
    """What is plausible of the sensor's values, in its own unit; of a register nothing is, because it only ever grows."""
    if sensor.role in REGISTERS:
        return ValueRules(max_gap_s(sensor))
    floor = _spike_floor(sensor, value) if looks_for_spikes(sensor) else None
    resolution = sensor.resolution or 0.0
    change = sensor.checks.max_change_per_s
    return ValueRules(max_gap_s(sensor), sensor.range_low, sensor.range_high, floor, change, resolution)


def looks_for_spikes(sensor: HubSensor) -> bool:
    """As hub.yaml says, else where the medium is too inert for it, and how much the meter errs at random is known."""
    if sensor.checks.spike is not None or sensor.role in REGISTERS:
        return sensor.role not in REGISTERS and bool(sensor.checks.spike)
    return sensor.quantity in _INERT and (sensor.random_abs > 0 or sensor.random_pct > 0) and not sensor.manual


def is_checked(sensor: HubSensor) -> bool:
    """Whether any of its values can be doubted."""
    plain = sensor.role not in REGISTERS and sensor.role != "scan"
    limited = sensor.range_low is not None or sensor.checks.max_change_per_s is not None
    return plain and (limited or looks_for_spikes(sensor))


def _spike_floor(sensor: HubSensor, value: FloatArray) -> FloatArray:
    """What the meter may show without anything being wrong: its class, six deviations of its noise, three steps."""
    accuracy, _ = accuracy_of(sensor)
    limit = sqrt(3.0) * accuracy.sd_systematic(value)
    return np.maximum(np.maximum(limit, 6.0 * accuracy.sd_random(value)), 3.0 * (sensor.resolution or 0.0))


def counter_rules(sensor: HubSensor) -> CounterRules:
    """How a register counts, in SI; its class is on its rise."""
    accuracy, _ = accuracy_of(sensor)
    said, factor = sensor.counter, abs(sensor.si_factor)
    swaps = (
        Swap(s.at_s, *(None if shown is None else shown * sensor.si_factor for shown in (s.last, s.first)))
        for s in said.swaps
    )
    return CounterRules(
        modulus=None if said.rollover_at is None else said.rollover_at * factor,
        max_rate=None if said.max_per_h is None else said.max_per_h * factor / 3600.0,
        resolution=(sensor.resolution or 0.0) * factor,
        limit_relative=accuracy.limit_relative,
        longest_s=max_register_gap_s(sensor),
        swaps=tuple(swaps),
    )


def register_series(sensor: HubSensor, raw: Raw | None) -> Series:
    """What a register showed, in SI; the size of what it shows says nothing about an error."""
    series = sensed(sensor, raw).series
    return replace(series, sd_random=np.zeros_like(series.value))


def sensed(sensor: HubSensor, raw: Raw | None) -> Sensed:
    """The series of a sensor; empty where it has no readings. Values out of range and spikes are left out, and told."""
    if raw is None:
        nothing = np.empty(0)
        return Sensed(Series.of(nothing, nothing), ())
    order = np.lexsort((raw.value, raw.at_s))
    at_s, value = raw.at_s[order], raw.value[order]
    doubted = doubts(at_s, value, value_rules(sensor, value))
    told = tuple(
        Doubted(kind, at_s[which], value[which], left_out)
        for kind, which, left_out in (
            ("range", doubted.range, True), ("spike", doubted.spike, True), ("rate", doubted.rate, False),
        )
        if which.any()
    )  # fmt: skip
    plausible = ~(doubted.range | doubted.spike)
    value = value[plausible]
    accuracy, _ = accuracy_of(sensor)
    factor = abs(sensor.si_factor)
    sd_random, sd_systematic = accuracy.sd_random(value), accuracy.sd_systematic(value)
    if raw.own_sd is not None:
        # Who counts errs anew each time, and said by how much.
        own = raw.own_sd[order][plausible]
        sd_random = np.where(np.isfinite(own), own, sd_random)
        sd_systematic = np.where(np.isfinite(own), 0.0, sd_systematic)
    series = Series.of(
        at_s[plausible],
        value * sensor.si_factor + sensor.si_offset,
        sd_random * factor,
        sd_systematic * factor,
        Origin.MANUAL if sensor.manual else Origin.MEASURED,
    )
    return Sensed(series, told)
