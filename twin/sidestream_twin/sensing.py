"""From a sensor's raw readings to a series in SI with its two deviations per reading. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.readings import FloatArray, Raw
from sidestream_twin.core.accuracy import Accuracy
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.series import Series

REGISTERS = frozenset({"volume_register", "supply_register", "return_register", "energy_register"})
_PERIOD_S = 12.0
_SHORTEST_GAP_S = 5.0
_LONGEST_REGISTER_GAP_S = 86400.0
_ASSUMED = Accuracy(limit_relative=0.05)
_ASSUMED_KELVIN = Accuracy(limit_absolute=1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sensed:
    """A sensor's readings in SI; `implausible_at_s` tells when it read beyond its range, which is not used."""

    series: Series
    implausible_at_s: FloatArray


def accuracy_of(sensor: HubSensor) -> tuple[Accuracy, bool]:
    """What the sensor may err, in its own unit, and whether that is assumed because the hub file says nothing.

    Saying nothing is no claim to perfection: 5 % of the value, for temperatures 1 K, as class limits.
    """
    said = (sensor.limit_pct, sensor.limit_abs, sensor.random_pct, sensor.random_abs)
    if any(said):
        return Accuracy(said[0] / 100, said[1], said[2] / 100, said[3]), False
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


def sensed(sensor: HubSensor, raw: Raw | None) -> Sensed:
    """The series of a sensor; empty where it has no readings."""
    if raw is None:
        nothing = np.empty(0)
        return Sensed(Series.of(nothing, nothing), nothing)
    plausible = np.ones(raw.value.shape, dtype=np.bool_)
    if sensor.role not in REGISTERS:
        low = -np.inf if sensor.range_low is None else sensor.range_low
        high = np.inf if sensor.range_high is None else sensor.range_high
        plausible = (raw.value >= low) & (raw.value <= high)
    value = raw.value[plausible]
    accuracy, _ = accuracy_of(sensor)
    factor = abs(sensor.si_factor)
    sd_random, sd_systematic = accuracy.sd_random(value), accuracy.sd_systematic(value)
    if raw.own_sd is not None:
        # Who counts errs anew each time, and said by how much.
        own = raw.own_sd[plausible]
        sd_random = np.where(np.isfinite(own), own, sd_random)
        sd_systematic = np.where(np.isfinite(own), 0.0, sd_systematic)
    series = Series.of(
        raw.at_s[plausible],
        value * sensor.si_factor + sensor.si_offset,
        sd_random * factor,
        sd_systematic * factor,
        Origin.MANUAL if sensor.manual else Origin.MEASURED,
    )
    return Sensed(series, np.sort(raw.at_s[~plausible]))
