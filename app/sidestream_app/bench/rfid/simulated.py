"""Delay against phantom leaves on simulated portals whose truth is known."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any

from sidestream_app.bench.rfid.methods import Told, fixed_window, smurf
from sidestream_edge.rfid.events import Read
from sidestream_edge.rfid.smoother import Smoothing
from sidestream_simulators.rfid_portal import Portal, PortalSettings, simulate

WINDOWS_S = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 5.0, 7.0, 10.0, 14.0, 20.0)
DELTAS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
DEFAULT = Smoothing().delta

SCENES = {
    "mixed": PortalSettings(),
    "alike": PortalSettings(rate_sd=0.02, fade_every_s=1e9),
}
"""Tags of 65 ± 15 % with fading, as goods on pallets; and tags that are all read at 65 % with nothing in the way."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a method told of all true stays.

    Mean delay of the leaves (s), leaves told of tags that were still there, enters at places where the tag never was.
    """

    delay_s: float
    phantom: int
    stray: int
    stays: int

    @property
    def rate(self) -> float:
        """Phantom leaves for each true stay."""
        return self.phantom / self.stays


def reads_of(portal: Portal) -> list[Read]:
    """The portal's reads as the product takes them."""
    return [Read(round(r.t_s * 1e6), r.epc.hex(), str(r.antenna), r.rssi_dbm) for r in portal.reads]


def score(told: Sequence[Told], portal: Portal) -> Score:
    """A leave that is known before the tag has gone is a phantom; delay counts from the true end to when it is known."""
    leaves: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for one in told:
        if one.is_leave:
            leaves[one.tag, one.place].append(one)
    phantom, delays = 0, []
    for stay in portal.stays:
        from_us, to_us = round(stay.from_s * 1e6), round(stay.to_s * 1e6)
        own = [t for t in leaves[stay.epc.hex(), str(stay.antenna)] if from_us <= t.t_us < to_us]
        phantom += sum(t.decided_us < to_us for t in own)
        delays += sorted((t.decided_us - to_us) / 1e6 for t in own if t.decided_us >= to_us)[:1]
    mean_s = sum(delays) / len(delays) if delays else 0.0
    return Score(mean_s, phantom, _stray(told, portal), len(portal.stays))


def _stray(told: Sequence[Told], portal: Portal) -> int:
    true: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for stay in portal.stays:
        true[stay.epc.hex(), str(stay.antenna)].append((round(stay.from_s * 1e6), round(stay.to_s * 1e6)))
    enters = [t for t in told if not t.is_leave]
    return sum(not any(a <= t.t_us < b for a, b in true[t.tag, t.place]) for t in enters)


def together(scores: Sequence[Score]) -> Score:
    """Of several portals as of one."""
    stays = sum(s.stays for s in scores)
    delay_s = sum(s.delay_s * s.stays for s in scores) / stays
    return Score(delay_s, sum(s.phantom for s in scores), sum(s.stray for s in scores), stays)


def fixed_at(curve: Sequence[Score], delay_s: float) -> float:
    """Phantom leaves per stay of the fixed window that has this delay, between the two nearest by a straight line."""
    at = bisect_left([point.delay_s for point in curve], delay_s)
    if at in {0, len(curve)}:
        return curve[min(at, len(curve) - 1)].rate
    before, after = list(pairwise(curve))[at - 1]
    share = (delay_s - before.delay_s) / (after.delay_s - before.delay_s)
    return before.rate + share * (after.rate - before.rate)


def study(scene: str, tags: int, portals: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Both curves of a scene over `portals` seeded portals, and how SMURF lies to the fixed windows of the same delay."""
    made = [simulate(tags, seed, SCENES[scene]) for seed in range(1, portals + 1)]
    reads = [reads_of(portal) for portal in made]
    curve = [together([score(fixed_window(r, w), p) for r, p in zip(reads, made, strict=True)]) for w in WINDOWS_S]
    say(f"{scene}: {sum(map(len, reads)):,} reads, {curve[0].stays} stays; fixed windows done")
    points = []
    for delta in DELTAS:
        found = together([score(smurf(r, delta), p) for r, p in zip(reads, made, strict=True)])
        points.append(_compared(delta, found, curve))
        say(f"{scene}: SMURF δ = {delta:g} done")
    return {
        "scene": scene,
        "reads": sum(map(len, reads)),
        "stays": curve[0].stays,
        "fixed": [{"window_s": w, **_facts(s)} for w, s in zip(WINDOWS_S, curve, strict=True)],
        "smurf": points,
        "default_below": next(p["on_or_below"] for p in points if p["delta"] == DEFAULT),
        "all_below": all(p["on_or_below"] for p in points),
    }


def _compared(delta: float, found: Score, curve: Sequence[Score]) -> dict[str, Any]:
    """`on_or_below` allows two standard deviations of the counts, since both are samples."""
    fixed = fixed_at(curve, found.delay_s)
    noise = 2 * sqrt(found.phantom + fixed * found.stays) / found.stays
    return {
        "delta": delta,
        **_facts(found),
        "fixed_same_delay": round(fixed, 5),
        "ratio": round(found.rate / fixed, 3) if fixed else None,
        "on_or_below": found.rate <= fixed + noise,
        "clearly_below": found.rate < fixed - noise,
    }


def _facts(found: Score) -> dict[str, Any]:
    return {
        "delay_s": round(found.delay_s, 3),
        "phantom_per_stay": round(found.rate, 5),
        "phantom": found.phantom,
        "stray_per_stay": round(found.stray / found.stays, 4),
    }
