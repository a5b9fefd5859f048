"""What a pipe loses on the way: by design from insulation and soil, and as measured from its two ends.

Per metre, W/(m·K). Buried pair: EN 13941-1, annex on steady heat loss (after Wallentén 1991, zero order): resistance of
insulation, of soil, and of each pipe on the other; the soil's surface counts as R0·λ_soil more cover. In air: ISO 12241.
Along a pipe the excess over the surroundings falls as exp(-U·L/(ṁ·cp)).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, hypot, isfinite, log, pi, sqrt

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain

SURFACE_M2_K_W = 0.0685
"""Resistance from the ground's surface to the air (EN 13941-1)."""
_STEFAN_W_M2_K4 = 5.67e-8
_AIR_K = 283.0


@dataclass(frozen=True, slots=True)
class Insulation:
    """A layer around a pipe: inner and outer diameter in m, conductivity in W/(m·K); raises ModelError if it is none."""

    inner_m: float
    outer_m: float
    conductivity_w_mk: float = 0.026

    def __post_init__(self) -> None:
        if not (0 < self.inner_m < self.outer_m and isfinite(self.outer_m) and 0 < self.conductivity_w_mk < 100):
            msg = (
                f"insulation {self} is no layer: 0 < inner < outer diameter in m, and a conductivity above 0 in W/(m·K)"
            )
            raise ModelError(msg)

    @property
    def resistance_mk_w(self) -> float:
        """Of the layer, per metre of pipe."""
        return log(self.outer_m / self.inner_m) / (2 * pi * self.conductivity_w_mk)


@dataclass(frozen=True, slots=True)
class Trench:
    """Where a buried pair lies: depth of the centres, distance between them (m), conductivity of the soil (W/(m·K))."""

    depth_m: float = 0.8
    distance_m: float = 0.3
    soil_w_mk: float = 1.6


@dataclass(frozen=True, slots=True)
class PairLoss:
    """Loss coefficients of a buried pair per metre: own excess temperature, and what the neighbour's takes off again."""

    own_w_mk: float
    other_w_mk: float

    def losses_w_m(self, supply_k: float, return_k: float, ground_k: float) -> tuple[float, float]:
        """Return what supply and return lose per metre; the colder one may gain."""
        over, under = supply_k - ground_k, return_k - ground_k
        return self.own_w_mk * over - self.other_w_mk * under, self.own_w_mk * under - self.other_w_mk * over

    def acting_w_mk(self, own_k: float, other_k: float, ground_k: float) -> float:
        """Return the coefficient of one pipe alone that loses the same, while the other is at ``other_k``."""
        if own_k == ground_k:
            raise ModelError(
                "a pipe as warm as the ground loses nothing, so it shows no coefficient; choose another time"
            )
        return self.own_w_mk - self.other_w_mk * (other_k - ground_k) / (own_k - ground_k)


def buried_pair(insulation: Insulation, trench: Trench) -> PairLoss:
    """Return the coefficients of two equal pre-insulated pipes side by side in the ground.

    Raises ModelError when they would stick out of the ground or touch each other.
    """
    if not (
        trench.depth_m > insulation.outer_m / 2 and trench.distance_m >= insulation.outer_m and trench.soil_w_mk > 0
    ):
        msg = f"pipes of {insulation.outer_m} m can't lie so: {trench}; give depth and distance of their centres in m"
        raise ModelError(msg)
    cover_m = trench.depth_m + SURFACE_M2_K_W * trench.soil_w_mk
    soil = log(4 * cover_m / insulation.outer_m) / (2 * pi * trench.soil_w_mk)
    mutual = log(1 + (2 * cover_m / trench.distance_m) ** 2) / (4 * pi * trench.soil_w_mk)
    own = insulation.resistance_mk_w + soil
    return PairLoss(own / (own**2 - mutual**2), mutual / (own**2 - mutual**2))


def overhead(insulation: Insulation, surface_w_m2_k: float) -> float:
    """Return the loss coefficient of one pipe in air, W/(m·K), with the coefficient at its outer surface."""
    if not surface_w_m2_k > 0:
        raise ModelError(f"a surface coefficient of {surface_w_m2_k} W/(m²·K) lets no heat out; give one above zero")
    return 1.0 / (insulation.resistance_mk_w + 1.0 / (pi * insulation.outer_m * surface_w_m2_k))


def outdoor_surface_w_m2_k(wind_m_s: float, outer_m: float, emissivity: float = 0.4) -> float:
    """Return the coefficient at a pipe's surface outdoors: wind across a cylinder (ISO 12241) and radiation."""
    if not (wind_m_s >= 0 and outer_m > 0 and 0 <= emissivity <= 1):
        raise ModelError(
            f"wind {wind_m_s} m/s, diameter {outer_m} m, emissivity {emissivity} can't be; check their units"
        )
    turbulent = wind_m_s * outer_m > 8.55e-3
    wind = (
        8.9 * pow(wind_m_s, 0.9) / pow(outer_m, 0.1)
        if turbulent
        else 8.1e-3 / outer_m + 3.14 * sqrt(wind_m_s / outer_m)
    )
    return wind + 4 * emissivity * _STEFAN_W_M2_K4 * _AIR_K**3


def outlet_k(inlet_k: float, ambient_k: float, conductance_w_k: float, capacity_w_k: float) -> float:
    """Return how warm water leaves a pipe of conductance U·L that carries ``capacity_w_k`` = ṁ·cp.

    Raises ModelError unless something flows.
    """
    if not capacity_w_k > 0 or not conductance_w_k >= 0:
        raise ModelError(
            f"a flow of {capacity_w_k} W/K and a loss of {conductance_w_k} W/K: the first must be above zero"
        )
    return ambient_k + (inlet_k - ambient_k) * exp(-conductance_w_k / capacity_w_k)


def loss_w(inlet_k: float, ambient_k: float, conductance_w_k: float, capacity_w_k: float) -> float:
    """Return the heat that is lost on the way: at most what makes the water as cold as its surroundings."""
    return capacity_w_k * (inlet_k - outlet_k(inlet_k, ambient_k, conductance_w_k, capacity_w_k))


class Verdict(StrEnum):
    """What measured ends say of a pipe's design."""

    AS_DESIGNED = "as designed"
    MORE = "loses more than designed"
    LESS = "loses less than designed"
    UNTOLD = "can't be told: the meters are too coarse for a loss as small as the design's"


@dataclass(frozen=True, slots=True)
class PipeCheck:
    """A pipe's loss coefficient as its ends show it beside its design, W/(m·K), and what follows."""

    measured_w_mk: Uncertain
    design_w_mk: float
    loss_w: Uncertain
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PipeEnds:
    """Readings at both ends of a pipe, its surroundings (K), and the heat capacity flow through it (W/K)."""

    inlet_k: Uncertain
    outlet_k: Uncertain
    ambient_k: Uncertain
    capacity_w_k: Uncertain


def check_pipe(ends: PipeEnds, length_m: float, design_w_mk: float) -> PipeCheck:
    """Return whether a pipe loses what it was designed to lose, from readings at its ends.

    Told at two deviations; when even no loss at all would be within them, it can't be told. Raises ModelError unless
    something flows and both ends are on one side of the surroundings.
    """
    inputs = (ends.inlet_k, ends.outlet_k, ends.ambient_k, ends.capacity_w_k)
    over = ends.inlet_k.value - ends.ambient_k.value, ends.outlet_k.value - ends.ambient_k.value
    if not (ends.capacity_w_k.value > 0 and length_m > 0 and over[0] * over[1] > 0):
        raise ModelError(
            f"nothing can be said of a pipe of {length_m} m that carries {ends.capacity_w_k.value} W/K with ends "
            f"{over[0]:g} and {over[1]:g} K over its surroundings; choose a time with flow and warm ends"
        )
    per_metre = propagated(
        lambda t_in, t_out, ground, carried: carried * _log((t_in - ground), (t_out - ground)) / length_m, inputs
    )
    lost = propagated(lambda t_in, t_out, _, carried: carried * (t_in - t_out), inputs)
    excess, doubt = per_metre.value - design_w_mk, 2.0 * hypot(per_metre.sd_random, per_metre.sd_systematic)
    if abs(excess) > doubt:
        verdict = Verdict.MORE if excess > 0 else Verdict.LESS
    else:
        verdict = Verdict.AS_DESIGNED if per_metre.value > doubt else Verdict.UNTOLD
    return PipeCheck(per_metre, design_w_mk, lost, verdict)


def _log(one: float, other: float) -> float:
    return log(one / other) if one * other > 0 else float("nan")
