"""Whom to name: a meter that is singled out not once but interval after interval. Pure.

One interval in a thousand singles out an honest meter, and a valve that opens between two readings does as well. So a meter
is named where it was singled out, in the same direction, in `NEEDED` of `WINDOW` intervals on end, the present one among
them. An interval without figures says nothing. What is named depends on these intervals alone, so it can be computed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sidestream_store.twin.balances import Evidence

WINDOW = 3
"""How many intervals, the present one among them, an accusation rests on."""
NEEDED = 2


def suspects_at(interval: int, evidence: Iterable[Evidence]) -> frozenset[str]:
    """The parts whose meters are named in this interval, by what was found in it and the `WINDOW` - 1 before."""
    found: dict[tuple[str, bool], set[int]] = defaultdict(set)
    for each in evidence:
        if each.at_fault and interval - WINDOW < each.interval <= interval:
            found[each.part, each.bias > 0].add(each.interval)
    return frozenset(part for (part, _), at in found.items() if interval in at and len(at) >= NEEDED)
