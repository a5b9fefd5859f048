"""A stock as values: its limits, what moved, what was seen, and what is then believed of its mass.

The filter that goes from one to the other is in ``stock_filter``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum
from math import inf

import numpy as np

from sidestream_twin.core.belief import Belief
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
    flows (REANCHORED): a truck nobody metered must not blind the stock for ever. That many of one instrument in a row,
    while others were accepted, and its next one is taken for a bias that has changed (RELEARNED).
    ``blind_sd_kg_s``: deviation of an unseen flow, kg/s; None: a stock with an unseen flow is unknown until observed.
    ``loss_sd_kg_per_sqrt_s``: random unmetered movement (evaporation, spills).
    ``bias_lasts_s``, ``unseen_lasts_s``: after how long an instrument's bias, or an unseen flow, is another one (by 1/e).
    """

    min_kg: float = 0.0
    max_kg: float = inf
    gate_sd: float = 4.0
    rejections_allowed: int = 5
    blind_sd_kg_s: float | None = None
    loss_sd_kg_per_sqrt_s: float = 0.0
    bias_lasts_s: float = inf
    unseen_lasts_s: float = 3600.0

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

    ``biases``: of each of ``sources``, in its own standard deviations, positive where it reads high. ``covariance``: of
    the mass, kg, and then the biases, row by row. ``rejected_in_row``: observations since any was accepted;
    ``rejected``: of each instrument since one of its own was.
    """

    at_s: float
    mass_kg: float | None = None
    sources: tuple[str, ...] = ()
    biases: tuple[float, ...] = ()
    covariance: tuple[tuple[float, ...], ...] = ()
    rejected_in_row: int = 0
    rejected: tuple[tuple[str, int], ...] = ()

    @classmethod
    def known(cls, at_s: float, source: str, mass: Uncertain) -> StockState:
        """Start from a mass that was seen."""
        effect = mass.sd_systematic
        if not effect:
            return cls(at_s, mass.value, (), (), ((mass.sd_random**2,),))
        covariance = ((mass.sd_random**2 + effect**2, -effect), (-effect, 1.0))
        return cls(at_s, mass.value, (source,), (0.0,), covariance)

    @classmethod
    def of(
        cls,
        at_s: float,
        belief: Belief | None,
        rejected_in_row: int = 0,
        rejected: tuple[tuple[str, int], ...] = (),
    ) -> StockState:
        """What is believed, to the last bit, as plain numbers."""
        if belief is None:
            return cls(at_s)
        mean = belief.mean.tolist()
        rows = tuple(tuple(row) for row in belief.covariance.tolist())
        return cls(at_s, mean[0], belief.sources, tuple(mean[1:]), rows, rejected_in_row, rejected)

    @property
    def belief(self) -> Belief | None:
        """The same to compute with; None where the mass is not known."""
        if self.mass_kg is None:
            return None
        mean = np.array([self.mass_kg, *self.biases], dtype=np.float64)
        return Belief(self.sources, mean, np.array(self.covariance, dtype=np.float64))

    @property
    def quantity(self) -> Uncertain | None:
        """Mass with its two deviations, kg; systematic is what would vanish if every bias were known."""
        belief = self.belief
        return None if belief is None else belief.quantity


class Verdict(StrEnum):
    """What became of an observation."""

    ANCHORED = "anchored"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REANCHORED = "reanchored"
    RELEARNED = "relearned"


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
    """What to look at: a mean beyond a limit, an unseen flow, an observation not believed, a biased instrument."""

    NONE = 0
    OVERFLOW = 1
    RUN_DRY = 2
    BLIND = 4
    REJECTED = 8
    REANCHORED = 16
    BIASED = 32
    RELEARNED = 64


@dataclass(frozen=True, slots=True)
class StockEstimate:
    """The stock at the end of a step. The mean is not clipped to the limits: a mass beyond them is news, and flagged.

    Probabilities (0-1, normal distribution with the combined deviation) that the stock is below min or above max.
    ``quantity``, ``origin`` and the probabilities are None while the mass is unknown. ``suspects``: instruments that read
    further off than their class allows, by more than two deviations of what is known of their bias.
    """

    at_s: float
    quantity: Uncertain | None
    origin: Origin | None
    below_min: float | None
    above_max: float | None
    flags: StockFlag
    updates: tuple[Update, ...]
    suspects: tuple[str, ...] = ()
