"""Whom to name: meters that stand out in the mean of the last intervals, and that each of them points at. Pure.

What is named depends on these intervals alone, so it can be computed again. Whether a meter moved against what it showed
long before is not asked: that would make a figure depend on how its past was judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from sidestream_twin.core.reconcile import LinearSystem, Structure, suspected_meters
from sidestream_twin.core.reconcile.watch import Rules, accuse

RULES = Rules()
WINDOW = RULES.intervals
"""How many intervals, the present one among them, an accusation rests on."""


def suspects_at(interval: int, systems: Mapping[int, LinearSystem], structure: Structure) -> frozenset[str]:
    """The parts whose meters are named in this interval; none where one of the intervals before it was not measured.

    ``structure`` is that of the interval itself.
    Raises ModelError when what is given as exact contradicts itself.
    """
    recent = [systems[n] for n in range(interval - WINDOW + 1, interval + 1) if n in systems]
    accusations = accuse((), recent, RULES, structure) if len(recent) == WINDOW else ()
    return suspected_meters(each.suspect for each in accusations)
