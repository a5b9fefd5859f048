"""Where a number comes from, and whether it is fresh: what must stand beside every value.

A derived number is no better than the weakest of its inputs, and a stale reading is a guess about the present:
``estimated``, never ``measured``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sidestream_twin.core.errors import ModelError


class Origin(StrEnum):
    """How a number came to be, from the strongest evidence about the world to the weakest.

    ``reconciled`` is measured and balanced with its neighbours; ``manual`` is a person's count, seen but not
    instrumented; ``agreed`` tells what was promised and nothing about what happened, so it is last.
    """

    MEASURED = "measured"
    RECONCILED = "reconciled"
    MANUAL = "manual"
    ESTIMATED = "estimated"
    FORECAST = "forecast"
    AGREED = "agreed"

    @property
    def rank(self) -> int:
        """Place in the order of trust: 0 is the strongest."""
        return _RANK[self]


_RANK = {origin: rank for rank, origin in enumerate(Origin)}


def weakest(origins: Iterable[Origin]) -> Origin:
    """Return the least trusted of the origins: what a number derived from all of them may claim.

    Raises ModelError when there is none: a number without inputs has no origin.
    """
    ranked = sorted(origins, key=lambda origin: origin.rank)
    if not ranked:
        raise ModelError("a number derived from nothing has no origin; give the origins of its inputs")
    return ranked[-1]


class Freshness(StrEnum):
    """Whether the latest value still tells about now."""

    FRESH = "fresh"
    STALE = "stale"
    NEVER = "never"


def freshness(age_s: float | None, period_s: float, periods: float = 3.0) -> Freshness:
    """Return STALE once the latest value is older than ``periods`` of the sensor's period; NEVER when age is None.

    A value as far in the future vouches for now just as little, so the size of the age counts, not its sign.
    """
    if not period_s > 0 or not periods > 0:
        msg = f"a period of {period_s} s, {periods} times, can't tell fresh from stale; both must be above zero"
        raise ModelError(msg)
    if age_s is None:
        return Freshness.NEVER
    return Freshness.FRESH if abs(age_s) <= periods * period_s else Freshness.STALE


def origin_now(origin: Origin, state: Freshness) -> Origin | None:
    """Return what a value may be called at present: weakened to ``estimated`` when stale, None when there is none."""
    if state is Freshness.NEVER:
        return None
    return origin if state is Freshness.FRESH else weakest((origin, Origin.ESTIMATED))
