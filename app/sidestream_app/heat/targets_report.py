"""Heat recovery targets as they are printed: °C and kW, as JSON and as a page of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sidestream_twin.core.heat.streams import HeatStream, Side
from sidestream_twin.core.heat.targets import Point, Targets, composite
from sidestream_twin.core.water import ZERO_CELSIUS_K


def as_dict(targets: Targets, streams: Sequence[HeatStream], dt_min_k: float) -> dict[str, Any]:
    """The answer for programs; `pinch_shifted_c` is null for a threshold problem, else the hottest pinch."""
    pinches = [celsius(t) for t in targets.pinches_k]
    return {
        "dt_min_k": dt_min_k,
        "hot_utility_kw": kilowatt(targets.hot_utility_w),
        "cold_utility_kw": kilowatt(targets.cold_utility_w),
        "recovered_kw": kilowatt(targets.recovered_w),
        "pinch_shifted_c": pinches[0] if pinches else None,
        "pinches_shifted_c": pinches,
        "pinches": [{"hot_c": t + dt_min_k / 2, "cold_c": t - dt_min_k / 2} for t in pinches],
        "threshold": targets.is_threshold,
        "composite": {
            "hot": _curve(composite(streams, Side.HOT), "t_c"),
            "cold": _curve(composite(streams, Side.COLD, targets.cold_utility_w), "t_c"),
            "grand": _curve(targets.grand, "t_shifted_c"),
        },
        "streams": [
            {"id": s.id, "kind": s.side.value, "duty_kw": kilowatt(s.duty_w), "isothermal": s.isothermal}
            for s in streams
        ],
    }


def as_text(targets: Targets, streams: Sequence[HeatStream], dt_min_k: float) -> str:
    """The answer for people."""
    had, wanted = (sum(s.duty_w for s in streams if s.side is side) for side in (Side.HOT, Side.COLD))
    lines = [
        f"{len(streams)} streams, ΔTmin {dt_min_k:g} K: {_kw(had)} to give off, {_kw(wanted)} needed",
        f"  can be recovered   {_kw(targets.recovered_w)}",
        f"  least hot utility  {_kw(targets.hot_utility_w)}",
        f"  least cold utility {_kw(targets.cold_utility_w)}",
    ]
    half = dt_min_k / 2
    lines += [
        f"  pinch at {t:g} °C shifted: hot {t + half:g} °C, cold {t - half:g} °C; pass no heat across it"
        for t in map(celsius, targets.pinches_k)
    ]
    if not targets.pinches_k:
        lines.append("  no pinch: heat is short, or left over, at every temperature (threshold problem)")
    return "\n".join(lines)


def kilowatt(heat_w: float) -> float:
    """W as kW, without the digits that rounding left."""
    return round(heat_w / 1e3, 9)


def celsius(t_k: float) -> float:
    """K as °C, without the digits that rounding left."""
    return round(t_k - ZERO_CELSIUS_K, 9)


def _curve(points: Sequence[Point], name: str) -> list[dict[str, float]]:
    return [{name: celsius(p.t_k), "heat_kw": kilowatt(p.heat_w)} for p in points]


def _kw(heat_w: float) -> str:
    return f"{heat_w / 1e3:12,.3f} kW".strip()
