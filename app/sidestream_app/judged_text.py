"""Sentences for what the twin judges and foresees: statuses and reasons of agreements, outcomes of forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sidestream_contracts.times import shown
from sidestream_store.stops import Stop

REASONS: Mapping[str, str] = {
    "lifecycle": "the exchange is not live",
    "outside_validity": "outside the agreement's dates",
    "no_data": "nothing is known of what was delivered",
    "low_coverage": "too little of the time was measured to judge",
    "too_early": "too early in the period to judge",
    "within_tolerance": "within the agreed tolerance",
    "below": "less than agreed",
    "above": "more than agreed",
    "below_not_sure": "perhaps less than agreed; the meter's uncertainty leaves it open",
    "above_not_sure": "perhaps more than agreed; the meter's uncertainty leaves it open",
    "within_pattern": "as past periods went by this time, or between two loads",
    "planned_stop": "stands still as planned",
    "spec_not_met": "a limit of quality was not kept for long enough",
    "spec_not_sure": "a limit of quality was perhaps not kept for long enough",
    "spec_no_data": "too little is known of the agreed quality",
}
"""By reason of an agreement's status."""

UNFORESEEN: Mapping[str, str] = {
    "stock_unknown": "the mass is not known",
    "stock_stale": "the newest figure of the mass is old",
    "too_little_history": "too little is known of how its flows went",
    "flow_unknown": "a flow is neither metered nor agreed",
    "no_flows": "nothing is known to flow in or out",
}
"""By reason why a stock could not be foreseen."""

STOP_STATES: Mapping[str, str] = {
    "planned": "to stand still as planned",
    "running": "stands still now",
    "over": "stood still",
    "withdrawn": "stop taken back",
}
"""By state of a planned stop; a bare "running" beside a node's name would read as the node running."""


def share(value: float | None) -> str:
    """A probability or share in words that claim no more than it does."""
    if value is None:
        return "-"
    return "< 1 %" if value < 0.01 else "> 99 %" if value > 0.99 else f"{100 * value:.0f} %"


def agreement_lines(row: Mapping[str, Any], zone: str) -> list[str]:
    """An agreement in its period: status and why, the amounts, and what the judgement rests on."""
    unit, evidence = row["unit"], row["evidence"]
    chance = (
        "" if row["probability"] is None else f"within the tolerance with probability {share(row['probability'])}; "
    )
    known = "unknown" if row["delivered"] is None else f"{row['delivered']:.4g} ± {2 * (row['sd'] or 0):.2g}"
    lines = [
        f"{row['agreement']} ({row['name']}): {row['status'].replace('_', ' ')}: {REASONS.get(row['reason'], row['reason'])}",
        (
            f"  delivered {known} {unit} of {row['expected_so_far']:.4g} expected by now, {row['agreed']:.4g} agreed in the "
            f"{row['period']} from {shown(row['period_from'], zone)}"
        ),
        f"  {chance}{share(row['completeness'])} of the time was measured; {row['origin']}",
    ]
    if row["stopped_s"]:
        stops = ", ".join(map(str, evidence.get("stops", []))) or "by its stage of life"
        lines.append(f"  {row['stopped_s'] / 3600:.1f} h of the period stand still as planned (stop {stops})")
    for sensor, spec in evidence.get("specs", {}).items():
        lines.append(
            f"  {sensor}: outside its limits {share(spec['outside'])} of the known time, for sure {share(spec['surely'])}, "
            f"{share(spec['allowed'])} allowed"
        )
    if past := evidence.get("past_periods"):
        lines.append(f"  {past['count']} past periods had delivered {share(past['share'])} by this time")
    return lines


def forecast_line(row: Mapping[str, Any], zone: str) -> str:
    """One limit of a stock: when it is reached, how surely, or why that can't be said."""
    event = "overflow" if row["event"] == "overflow" else "run dry"
    if row["outcome"] == "unknown":
        return f"  {event}: not known: {UNFORESEEN.get(row['reason'], row['reason'])}"
    within = f"within {_days(row['horizon_at'], row['from_at'])}"
    if row["outcome"] == "reached":
        return f"  {event}: the limit of {row['limit_kg']:.0f} kg is reached"
    if row["outcome"] == "not_within_horizon":
        return f"  {event}: not {within} (probability {share(row['probability'])}), forecast"
    middle = shown(row["q50_at"], zone) if row["q50_at"] else "after that"
    return (
        f"  {event}: {share(row['probability'])} {within}; middle {middle}, "
        f"90 % between {_end(row['q05_at'], zone)} and {_end(row['q95_at'], zone)}, forecast"
    )


def _end(at: datetime | None, zone: str) -> str:
    return shown(at, zone) if at else "beyond the horizon"


def _days(to_at: datetime, from_at: datetime) -> str:
    hours = (to_at - from_at).total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 47.5 else f"{hours:.1f} h"


def stop_line(stop: Stop, zone: str) -> str:
    """A planned stop: what stands still, whether it does so now, from when until when, why and who says so."""
    until = shown(stop.to_at, zone) if stop.to_at else "further notice"
    source = f"hub.yaml {stop.hub_id}" if stop.hub_id else stop.author
    state = STOP_STATES.get(stop.state, stop.state)
    return f"{stop.stop_id}  {stop.of}: {state}, {shown(stop.from_at, zone)} until {until}; {stop.why} ({source})"
