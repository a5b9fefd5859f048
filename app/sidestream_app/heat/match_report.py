"""Matches as they are printed, with what was assumed and what is not known beside every one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sidestream_app.heat.match_file import MatchFile
from sidestream_app.heat.targets_report import celsius, kilowatt
from sidestream_twin.core.heat.matching import Match

_MWH_J = 3.6e9


def as_dict(found: Sequence[Match], file: MatchFile) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "dt_min_k": file.dt_min_k,
        "candidates": [_facts(match) for match in found[: file.most]],
        "left_out": max(0, len(found) - file.most),
        "assumptions": list(assumptions(file)),
    }


def _facts(match: Match) -> dict[str, Any]:
    loop = match.loop
    return {
        "source": match.source.stream.id,
        "source_party": match.source.party,
        "need": match.need.stream.id,
        "need_party": match.need.party,
        "recoverable_kw": kilowatt(match.recoverable_w),
        "delivered_kw": kilowatt(match.delivered_w),
        "share_of_need": round(match.share_of_need, 6),
        "length_m": None if loop is None else round(loop.length_m, 1),
        "loss_kw": None if loop is None else kilowatt(loop.loss_w),
        "pipe": None
        if loop is None
        else {
            "dn": loop.size.nominal,
            "parallel": loop.parallel,
            "supply_c": celsius(loop.supply_k),
            "return_c": celsius(loop.return_k),
            "drop_k": round(loop.drop_k, 6),
        },
        "whole_h_per_year": [round(h, 1) for h in match.whole_h],
        "some_h_per_year": [round(h, 1) for h in match.some_h],
        "energy_mwh_per_year": [round(e / _MWH_J, 3) for e in match.energy_j],
        "hours_from": "profiles" if match.by_profile else "durations",
        "sentence": sentence(match),
    }


def sentence(match: Match) -> str:
    """One match in words."""
    source, need, loop = match.source, match.need, match.loop
    way = "at an unknown distance (no loss taken off)"
    if loop is not None:
        pipes = f"{loop.parallel} x DN {loop.size.nominal}" if loop.parallel > 1 else f"DN {loop.size.nominal}"
        way = f"over {loop.length_m:,.0f} m of {pipes}, losing {loop.loss_w / 1e3:,.1f} kW on the way"
    if match.whole_h[1] > 0:
        covers = f"would cover that demand for {_span(match.whole_h)} h/yr"
        if match.some_h[1] > match.whole_h[1]:
            covers += f", and part of it for {_span(tuple(s - w for s, w in zip(match.some_h, match.whole_h, strict=True)))} more"
    else:
        covers = (
            f"would cover part of that demand ({match.share_of_need:.0%} at full load) for {_span(match.some_h)} h/yr"
        )
    return (
        f"{source.stream.id} ({source.party}) to {need.stream.id} ({need.party}) {way}: {match.delivered_w / 1e3:,.1f} kW "
        f"{covers}, {_span(tuple(e / _MWH_J for e in match.energy_j))} MWh/yr"
    )


def assumptions(file: MatchFile) -> Iterator[str]:
    """What the figures rest on, most of it not measured."""
    ground = file.ground
    yield (
        f"a loop of water between the two, half of ΔTmin {file.dt_min_k:g} K in either exchanger; buried EN 253 pair, series 1, "
        f"{ground.insulation_w_mk:g} W/mK, {ground.depth_m:g} m of cover, soil {ground.soil_w_mk:g} W/mK at {ground.temperature_c:g} °C"
    )
    yield "each match for itself: one source can't serve two needs at once; pumps, storage, back-up and money are not counted"
    if file.places and any(place.x_m is not None or place.lat is not None for place in file.places):
        yield f"where no route is given its length is the straight line times {file.route_factor:g}"
    if any(stream.profile_kw is None for stream in file.streams):
        yield "hours from durations: the least if the two avoid each other, the most if they run together whenever they can"
    if any(stream.profile_kw is None and stream.hours_per_year is None for stream in file.streams):
        yield "a stream without hours_per_year or profile_kw is taken to run all year at its full duty"
    if any(stream.profile_kw is not None for stream in file.streams):
        yield "hours from profiles: as the given steps would have been, blown up to a year of 8760 h"
    if any(stream.place is None for stream in file.streams):
        yield "a stream without a place is at an unknown distance, and nothing is taken off for the way"


def as_text(found: Sequence[Match], file: MatchFile) -> str:
    """The answer for people."""
    lines = [f"{n}. {sentence(match)}." for n, match in enumerate(found[: file.most], 1)]
    if not lines:
        lines = ["No source is warm enough, near enough and another party's for any need in the file."]
    if len(found) > file.most:
        lines.append(f"({len(found) - file.most} weaker ones left out; raise `most` to see them.)")
    return "\n".join([*lines, "", "Assumed:", *(f"- {line}" for line in assumptions(file))])


def _span(pair: tuple[float, ...]) -> str:
    least, most = pair
    digits = 0 if most >= 100 else 1
    low, high = f"{least:,.{digits}f}", f"{most:,.{digits}f}"
    return high if low == high else f"{low} to {high}"
