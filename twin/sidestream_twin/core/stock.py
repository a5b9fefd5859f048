"""A stock as values: its limits, what moved, what was seen, and what is then believed of its mass.

The filter that goes from one to the other is in ``stock_filter``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum
from math import hypot, inf, sqrt

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.uncertain import Uncertain


class Direction(StrEnum):
    """Whether a movement fills or empties the stock."""

    IN = "in"
    OUT = "out"

    @property
    def sign(self) -> int:
        """+1 into the stock, -1 out of it."""
        return 1 if self is Direction.IN else -1


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock's limits in kg and how its estimate treats surprises.

    ``gate_sd``: an observation further off than this many standard deviations is rejected and reported.
    ``rejections_allowed``: that many in a row, none accepted between, and the next one is believed instead of the
    flows (REANCHORED): a truck nobody metered must not blind the stock for ever.
    ``blind_sd_kg_s``: deviation of an unseen flow, kg/s; None: a stock with an unseen flow is unknown until observed.
    ``loss_sd_kg_per_sqrt_s``: random unmetered movement (evaporation, spills).
    """

    min_kg: float = 0.0
    max_kg: float = inf
    gate_sd: float = 4.0
    rejections_allowed: int = 5
    blind_sd_kg_s: float | None = None
    loss_sd_kg_per_sqrt_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.min_kg < self.max_kg or not self.gate_sd > 0:
            msg = (
                f"a stock from {self.min_kg} to {self.max_kg} kg, gate {self.gate_sd} sd, can't be: min < max, gate > 0"
            )
            raise ModelError(msg)


@dataclass(frozen=True, slots=True)
class Movement:
    """Mass that moved during a step; ``mass`` None when a stream's total is not known. ``source`` is its meter."""

    source: str
    direction: Direction
    mass: Uncertain | None


@dataclass(frozen=True, slots=True)
class Observation:
    """The stock's mass as seen at the end of a step, by a level sensor, a scale (measured) or a count (manual)."""

    source: str
    mass: Uncertain
    origin: Origin = Origin.MEASURED


@dataclass(frozen=True, slots=True)
class StockStep:
    """What is known of the time (from_s, to_s]; observations belong to its end, so lay step bounds where they fall."""

    from_s: float
    to_s: float
    movements: tuple[Movement, ...] = ()
    observations: tuple[Observation, ...] = ()


@dataclass(frozen=True, slots=True)
class StockState:
    """All that the filter remembers: a checkpoint to go on from. ``mass_kg`` None: not known yet, or no longer.

    ``systematic_kg``: signed effect of one standard deviation of each source on ``mass_kg``, sorted by source.
    """

    at_s: float
    mass_kg: float | None = None
    variance_kg2: float = 0.0
    systematic_kg: tuple[tuple[str, float], ...] = ()
    rejected_in_row: int = 0

    @classmethod
    def known(cls, at_s: float, source: str, mass: Uncertain) -> StockState:
        """Start from a mass that was seen."""
        return cls(at_s, mass.value, mass.sd_random**2, ((source, mass.sd_systematic),))

    @property
    def quantity(self) -> Uncertain | None:
        """Mass with its two deviations, kg."""
        if self.mass_kg is None:
            return None
        return Uncertain(self.mass_kg, sqrt(self.variance_kg2), hypot(*(effect for _, effect in self.systematic_kg)))


class Verdict(StrEnum):
    """What became of an observation."""

    ANCHORED = "anchored"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REANCHORED = "reanchored"


@dataclass(frozen=True, slots=True)
class Update:
    """One observation's fate. ``innovation_kg`` = seen - expected, with the deviation it was judged by; both None when
    nothing was expected.
    """

    source: str
    verdict: Verdict
    innovation_kg: float | None
    innovation_sd_kg: float | None


class StockFlag(IntFlag):
    """What to look at: the mean lies beyond a limit, a flow was unseen, an observation was not believed."""

    NONE = 0
    OVERFLOW = 1
    RUN_DRY = 2
    BLIND = 4
    REJECTED = 8
    REANCHORED = 16


@dataclass(frozen=True, slots=True)
class StockEstimate:
    """The stock at the end of a step. The mean is not clipped to the limits: a mass beyond them is news, and flagged.

    Probabilities (0-1, normal distribution with the combined deviation) that the stock is below min or above max.
    ``quantity``, ``origin`` and the probabilities are None while the mass is unknown.
    """

    at_s: float
    quantity: Uncertain | None
    origin: Origin | None
    below_min: float | None
    above_max: float | None
    flags: StockFlag
    updates: tuple[Update, ...]
