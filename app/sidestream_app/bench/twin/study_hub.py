"""A made-up hub of four companies whose flows are known, with meters that err as they declare.

A digester with its feeds, a separator, a greenhouse, a district's water loop with make-up and purge. Flows lie on ways
through the plant whose strengths wander, so the truth balances in every interval and the meters see different loads.
Plausible in size, measured nowhere; kg/s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sidestream_contracts.hub import Accuracy
from sidestream_simulators.meters import ErrorModel
from sidestream_twin.core.reconcile import LinearSystem, Stream, network
from sidestream_twin.core.uncertain import Uncertain

SQRT_3 = 3.0**0.5


@dataclass(frozen=True, slots=True)
class Pipe:
    """A stream and its meter: class limit and random error of a reading in %, readings per interval; None: no meter."""

    id: str
    source: str | None
    target: str | None
    meter: tuple[float, float] | None = (1.0, 2.0)


PIPES = (
    Pipe("manure", None, "mixing"),
    Pipe("food_waste", None, "mixing"),
    Pipe("slurry", "mixing", "digester"),
    Pipe("digestate", "digester", "separator"),
    Pipe("recycle", "separator", "mixing"),
    Pipe("biogas", "digester", None, (1.0, 1.0)),
    Pipe("solids", "separator", "press"),
    Pipe("liquid", "separator", "store"),
    Pipe("cake", "press", None),
    Pipe("filtrate", "press", "store"),
    Pipe("fertiliser", "store", "farm"),
    Pipe("spread", "farm", None),
    Pipe("overflow", "store", None, None),
    Pipe("well", None, "treatment"),
    Pipe("softened", "treatment", "loop"),
    Pipe("brine", "treatment", None, (2.0, 4.0)),
    Pipe("supply_1", "loop", "greenhouse"),
    Pipe("supply_2", "loop", "smelter"),
    Pipe("return_1", "greenhouse", "collector"),
    Pipe("return_2", "smelter", "collector"),
    Pipe("irrigation", "greenhouse", None),
    Pipe("evaporation", "smelter", None, None),
    Pipe("back", "collector", "loop"),
    Pipe("purge", "collector", None),
)
WAYS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (6.0, ("manure", "slurry", "digestate", "liquid", "fertiliser", "spread")),
    (4.0, ("food_waste", "slurry", "digestate", "solids", "cake")),
    (3.0, ("food_waste", "slurry", "digestate", "solids", "filtrate", "fertiliser", "spread")),
    (1.5, ("manure", "slurry", "biogas")),
    (5.0, ("slurry", "digestate", "recycle")),
    (0.8, ("manure", "slurry", "digestate", "liquid", "overflow")),
    (7.0, ("well", "softened", "supply_1", "irrigation")),
    (0.05, ("well", "brine")),
    (3.0, ("well", "softened", "supply_2", "evaporation")),
    (12.0, ("supply_1", "return_1", "back")),
    (14.0, ("supply_2", "return_2", "back")),
    (6.0, ("well", "softened", "supply_1", "return_1", "purge")),
)
READINGS = 4
"""Per meter and interval; their random errors average out."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What was true, and what the meters said."""

    truth: dict[str, float]
    system: LinearSystem


class StudyHub:
    """The hub with meters of one seed: where in its class each one sits is drawn once."""

    def __init__(self, seed: int) -> None:
        place, self._random, self._noise = (np.random.default_rng([seed, kind]) for kind in range(3))
        self.errors = {
            pipe.id: ErrorModel(
                Accuracy(limit_pct=pipe.meter[0], random_pct=pipe.meter[1]), float(place.uniform(-1.0, 1.0))
            )
            for pipe in PIPES
            if pipe.meter
        }
        self._strength = [1.0] * len(WAYS)

    def intervals(self) -> Iterator[dict[str, float]]:
        """True flows of one interval after another; each way wanders by some 3 % about its mean, within ± 12 %."""
        while True:
            self._strength = [
                min(1.12, max(0.88, 1.0 + 0.9 * (each - 1.0) + self._random.normal(0.0, 0.015)))
                for each in self._strength
            ]
            flows = dict.fromkeys((pipe.id for pipe in PIPES), 0.0)
            for (mean, way), strength in zip(WAYS, self._strength, strict=True):
                for pipe in way:
                    flows[pipe] += mean * strength
            yield flows

    def read(self, truth: dict[str, float], bias: dict[str, float] | None = None) -> LinearSystem:
        """What the meters say of an interval, `bias` (in deviations of the meter) added, with declared deviations."""
        streams = []
        for pipe in PIPES:
            errors = self.errors.get(pipe.id)
            meter = None if errors is None else self._reading(errors, truth[pipe.id], (bias or {}).get(pipe.id, 0.0))
            streams.append(Stream(pipe.id, pipe.source, pipe.target, meter, lower=0.0))
        return network(streams)

    def _reading(self, errors: ErrorModel, true: float, bias: float) -> Uncertain:
        declared = _declared(errors, true)
        noise = self._noise.normal(0.0, declared.sd_random)
        return _declared(errors, true + errors.systematic(true) + noise + bias * declared.sd)


def _declared(errors: ErrorModel, shown: float) -> Uncertain:
    """As the twin states it, from what the meter shows."""
    limit = errors.accuracy.limit_pct / 100.0 * abs(shown)
    return Uncertain(shown, errors.random_sd(shown) / READINGS**0.5, limit / SQRT_3)
