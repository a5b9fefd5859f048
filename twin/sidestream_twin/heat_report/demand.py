"""How much a receiver needs and whether it came when it was needed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np

from sidestream_store.twin.hub import HubAgreement
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.calendar_period import PeriodKind, period_at
from sidestream_twin.core.heat.mismatch import mismatch
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.heat_report.heard import Energy, Heard
from sidestream_twin.heat_report.told import Told, not_known, told
from sidestream_twin.lifecycle import midnight

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Need met and not met, J, and hours in which it was. `surplus`: what came beyond the need at that time.

    A bucket counts wholly as what it is on average; hours of which nothing is known are `unknown_h`.
    """

    basis: str | None
    demand: Told
    covered: Told
    unmet: Told
    surplus: Told
    covered_share: float | None
    covered_h: float | None
    partly_h: float | None
    unmet_h: float | None
    surplus_h: float | None
    unknown_h: float | None


def no_coverage(why: str, basis: str | None = None) -> Coverage:
    """Nothing can be said."""
    nothing = not_known("J", why)
    return Coverage(basis, nothing, nothing, nothing, nothing, None, None, None, None, None, None)


def coverage(heard: Heard, supply: Energy, demand_w: FloatArray, basis: str, origin: str) -> Coverage:
    """How the supply met the demand, bucket by bucket. A supply that runs backwards covers nothing."""
    seconds = np.where(np.isfinite(demand_w), supply.valued_s, 0.0)
    known = seconds > 0
    if not known.any():
        return no_coverage("no figures in this time", basis)
    came_w = np.maximum(supply.power_w[known], 0.0)
    found = mismatch(came_w, demand_w[known], seconds[known])
    short = np.where(known & (np.nan_to_num(supply.power_w) < np.nan_to_num(demand_w)), seconds, 0.0)
    seen, share = supply.origin(seconds), heard.completeness(supply, seconds)
    lacking, beyond = supply.over(short), supply.over(seconds - short)

    def energy(value: float, like: Uncertain) -> Told:
        return told(Uncertain(value, like.sd_random, like.sd_systematic), "J", seen, share)

    wanted = found.covered_j + found.unmet_j
    return Coverage(
        basis,
        told(Uncertain(wanted), "J", origin, share),
        energy(found.covered_j, lacking),
        energy(found.unmet_j, lacking),
        energy(found.dumped_j, beyond),
        found.covered_share,
        found.whole_s / _HOUR_S,
        found.partly_s / _HOUR_S,
        found.unmet_s / _HOUR_S,
        found.dumping_s / _HOUR_S,
        max(heard.grid.length_s - float(np.sum(seconds)), 0.0) / _HOUR_S,
    )


def agreed_w(heard: Heard, agreement: HubAgreement) -> FloatArray:
    """What was agreed, spread evenly over its calendar period; NaN where the agreement isn't valid."""
    zone, grid = ZoneInfo(heard.hub.timezone), heard.grid
    kind = PeriodKind(agreement.period)
    begins = midnight(agreement.valid_from, zone)
    ends = midnight(agreement.valid_to + timedelta(days=1), zone) if agreement.valid_to else None
    power = np.full(grid.count, np.nan)
    period = period_at(grid.from_at, kind, zone)
    for n in range(grid.count):
        middle = grid.from_at + timedelta(seconds=(n + 0.5) * grid.width_s)
        if middle >= period.to_at:
            period = period_at(middle, kind, zone)
        if begins <= middle and (ends is None or middle < ends):
            power[n] = agreement.amount_si / period.length_s
    return power
