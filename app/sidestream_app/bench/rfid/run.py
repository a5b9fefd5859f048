"""Runs the studies, and says what they found in words and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sidestream_app.bench.rfid import recorded, simulated
from sidestream_app.bench.rfid.methods import EPOCH_S

_FULL = (400, 5)
_QUICK = (150, 1)
ENV = "SIDESTREAM_RFID_PORTAL"


def bench_rfid(portal: Path | None, say: Callable[[str], None], *, quick: bool) -> dict[str, Any]:
    """Simulated scenes, and the recorded portal where its folder is named; everything seeded, so the same every time."""
    tags, portals = _QUICK if quick else _FULL
    scenes = [simulated.study(scene, tags, portals, say) for scene in simulated.SCENES]
    found: dict[str, Any] = {
        "scale": f"{portals} simulated portals of {tags} tags for each scene, epochs of {EPOCH_S} s",
        "default_delta": simulated.DEFAULT,
        "scenes": scenes,
    }
    if portal is None:
        return {**found, "recorded_why": f"no recorded portal: name its folder with --portal or {ENV}"}
    say("recorded portal …")
    return {**found, "recorded": recorded.study(portal)}


def ok(found: dict[str, Any]) -> bool:
    """Whether SMURF lies on or below the curve of fixed windows at every δ, in every simulated scene."""
    return all(scene["all_below"] for scene in found["scenes"])


def lines(found: dict[str, Any]) -> Iterator[str]:
    """For a person."""
    yield f"{found['scale']}. Made-up portals with a known truth."
    for scene in found["scenes"]:
        yield f"\n{scene['scene']}: {scene['stays']} stays, {scene['reads']:,} reads"
        yield f"  {'':<14} {'delay':>8} {'phantom leaves':>15} {'fixed, same delay':>18} {'stray enters':>13}"
        for point in scene["fixed"]:
            yield _row(f"fixed {point['window_s']:g} s", point, "")
        for point in scene["smurf"]:
            mark = "below" if point["clearly_below"] else "on" if point["on_or_below"] else "ABOVE"
            yield _row(f"SMURF {point['delta']:g}", point, f"{point['fixed_same_delay']:.4f} {mark}")
    yield from _recorded(found)


def _row(name: str, point: dict[str, Any], fixed: str) -> str:
    return (
        f"  {name:<14} {point['delay_s']:>6.2f} s {point['phantom_per_stay']:>15.4f} {fixed:>18}"
        f" {point['stray_per_stay']:>13.3f}"
    )


def _recorded(found: dict[str, Any]) -> Iterator[str]:
    if "recorded" not in found:
        yield f"\nrecorded: not measured, {found['recorded_why']}."
        return
    for session in found["recorded"]["sessions"]:
        yield (
            f"\nrecorded, session {session['session']}: {session['reads']:,} reads of {session['tags']:,} tags (all"
            f" experiments), median gap {session['median_gap_s']} s"
        )
        yield f"  {'':<14} {'waited':>8} {'leaves':>8} {'taken back':>11} {'per tag':>9}"
        for each in session["methods"]:
            name = f"fixed {each['setting']:g} s" if each["method"] == "fixed" else f"SMURF {each['setting']:g}"
            yield (
                f"  {name:<14} {each['waited_s']:>6.2f} s {each['leaves']:>8} {each['phantom']:>11}"
                f" {each['phantom_per_tag']:>9.3f}"
            )
