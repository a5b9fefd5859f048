"""What a heat exchanger does: duty by either side, how large it acts (UA), how well (ε), and whether it is fouling.

Flows are heat capacity flows C = ṁ·cp in W/K, temperatures K. ε is the duty as a share of what an endless
counter-flow exchanger would pass, NTU = UA/C_min; relations: VDI Heat Atlas C1; Incropera & DeWitt, table 11.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import atanh, expm1, inf, isfinite, nan, sqrt

import numpy as np

from sidestream_twin.core.arrays import FloatLike, as_floats
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain

_ALIKE = 1e-4
_ROUNDING = 1e-9
_NO_RATIO = 1e-14  # below it the cross-flow formula divides what has no digits left
_LARGEST_NTU = 100.0


class Arrangement(StrEnum):
    """How the two streams pass each other; cross: both unmixed."""

    COUNTER = "counter"
    PARALLEL = "parallel"
    CROSS = "cross"


def log_mean_k(one_k: float, other_k: float) -> float:
    """Return the logarithmic mean of the temperature differences at the two ends; their mean where they are equal.

    NaN unless both are above zero: streams whose temperatures cross pass no heat by a mean.
    """
    if not (one_k > 0 and other_k > 0):
        return nan
    mean, skew = 0.5 * (one_k + other_k), (one_k - other_k) / (one_k + other_k)
    return mean * (1.0 - skew * skew / 3.0 if abs(skew) < _ALIKE else skew / atanh(skew))


def effectiveness(ntu: float, ratio: float, arrangement: Arrangement = Arrangement.COUNTER) -> float:
    """Return ε, 0 to 1, of an exchanger with ``ntu`` ≥ 0 and capacity ``ratio`` C_min/C_max of 0 to 1.

    Ratio 0: one side condenses or boils. Raises ModelError outside of these.
    """
    if not (ntu >= 0 and 0 <= ratio <= 1):
        msg = f"NTU {ntu} and ratio {ratio}: give NTU of zero or more, and the smaller capacity flow over the larger"
        raise ModelError(msg)
    if ratio < _NO_RATIO:
        return -expm1(-ntu)
    if arrangement is Arrangement.PARALLEL:
        return -expm1(-ntu * (1 + ratio)) / (1 + ratio)
    if arrangement is Arrangement.CROSS:
        return -expm1(expm1(-ratio * ntu**0.78) * ntu**0.22 / ratio)
    if ratio == 1:
        return ntu / (1 + ntu)
    spent = -expm1(-ntu * (1 - ratio))  # 1 - exp(…), without the cancellation as the ratio nears 1
    return spent / (spent + (1 - ratio) * (1 - spent)) if ntu else 0.0


def transfer_units(share: float, ratio: float, arrangement: Arrangement = Arrangement.COUNTER) -> float:
    """Return the NTU at which ``effectiveness`` is ``share``; infinite where no exchanger of the arrangement is so good."""
    if not (share >= 0 and 0 <= ratio <= 1):
        msg = f"effectiveness {share} and ratio {ratio}: the first can't be below zero, the second lies within 0 and 1"
        raise ModelError(msg)
    if share >= effectiveness(_LARGEST_NTU, ratio, arrangement):
        return inf
    low, high = 0.0, _LARGEST_NTU
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effectiveness(middle, ratio, arrangement) < share else (low, middle)
    return 0.5 * (low + high)


@dataclass(frozen=True, slots=True)
class Readings:
    """What is measured around an exchanger: four temperatures (K) and the two heat capacity flows (W/K)."""

    hot_in_k: Uncertain
    hot_out_k: Uncertain
    cold_in_k: Uncertain
    cold_out_k: Uncertain
    hot_w_k: Uncertain
    cold_w_k: Uncertain


@dataclass(frozen=True, slots=True)
class Rating:
    """How an exchanger does. ``imbalance_w``: hot side minus cold side, which is its loss or a meter's error.

    ``ua_w_k`` and ``log_mean_k`` are None where temperatures cross, so that no size explains the duty.
    """

    hot_w: Uncertain
    cold_w: Uncertain
    duty_w: Uncertain
    imbalance_w: Uncertain
    effectiveness: Uncertain
    log_mean_k: Uncertain | None
    ua_w_k: Uncertain | None

    @property
    def sides_agree(self) -> bool:
        """Whether the two sides tell the same duty, within two deviations."""
        return abs(self.imbalance_w.value) <= 2.0 * self.imbalance_w.sd + _ROUNDING * abs(self.duty_w.value)


def rate(readings: Readings, arrangement: Arrangement = Arrangement.COUNTER) -> Rating:
    """Return what the readings say of an exchanger, with uncertainty; the duty is the surer side's in proportion.

    Raises ModelError when no flow passes or the hot side enters no warmer than the cold one.
    """
    inputs = (
        readings.hot_in_k, readings.hot_out_k, readings.cold_in_k, readings.cold_out_k, readings.hot_w_k, readings.cold_w_k,
    )  # fmt: skip
    if not (readings.hot_w_k.value > 0 and readings.cold_w_k.value > 0):
        raise ModelError("an exchanger can be judged only while both sides flow; choose a time at which they do")
    if not readings.hot_in_k.value > readings.cold_in_k.value:
        raise ModelError("the hot side enters no warmer than the cold side; swap the sides, or check the thermometers")
    hot = propagated(_hot, inputs)
    cold = propagated(_cold, inputs)
    share = 0.5 if hot.sd == cold.sd == 0 else cold.sd**2 / (hot.sd**2 + cold.sd**2)

    def duty(*x: float) -> float:
        return share * _hot(*x) + (1 - share) * _cold(*x)

    def passed(*x: float) -> float:
        return duty(*x) / (min(x[4], x[5]) * (x[0] - x[2]))

    def mean(*x: float) -> float:
        parallel = arrangement is Arrangement.PARALLEL
        return log_mean_k(x[0] - x[2], x[1] - x[3]) if parallel else log_mean_k(x[0] - x[3], x[1] - x[2])

    def size(*x: float) -> float:
        least, most = sorted(x[4:6])
        return least * transfer_units(max(passed(*x), 0.0), least / most, arrangement)

    values = [each.value for each in inputs]
    return Rating(
        hot_w=hot,
        cold_w=cold,
        duty_w=propagated(duty, inputs),
        imbalance_w=propagated(lambda *x: _hot(*x) - _cold(*x), inputs),
        effectiveness=propagated(passed, inputs),
        log_mean_k=propagated(mean, inputs) if isfinite(mean(*values)) else None,
        ua_w_k=propagated(size, inputs) if isfinite(size(*values)) else None,
    )


def _hot(*x: float) -> float:
    return x[4] * (x[0] - x[1])


def _cold(*x: float) -> float:
    return x[5] * (x[3] - x[2])


@dataclass(frozen=True, slots=True)
class Fouling:
    """How UA moves against its clean value: share of it now, change of that share per day, resistance added.

    ``significant``: below the clean value by more than two deviations.
    """

    share_now: Uncertain
    per_day: Uncertain
    resistance_k_w: Uncertain
    significant: bool

    def days_until(self, share: float) -> float | None:
        """Return the days until UA is down to ``share`` of clean at this pace; None where it isn't clearly falling."""
        if self.share_now.value <= share:
            return 0.0
        falling = self.per_day.value < -2.0 * self.per_day.sd
        return (share - self.share_now.value) / self.per_day.value if falling else None


def fouling(at_s: FloatLike, ua_w_k: Sequence[Uncertain], clean_w_k: Uncertain) -> Fouling:
    """Return the trend of UA by a weighted straight line; "now" is its end.

    What is systematic in every UA does not average out and stays in the share, not in the pace. Raises ModelError with
    fewer than three instants, or without a deviation to weigh by.
    """
    at = as_floats(at_s)
    value, sd = (np.array([getattr(each, name) for each in ua_w_k]) for name in ("value", "sd_random"))
    if at.size != value.size or at.size < 3 or not np.ptp(at) > 0:
        raise ModelError("a trend needs three or more values of UA at different instants; collect a longer record")
    if not ((sd > 0).all() and clean_w_k.value > 0 and (value > 0).all()):
        raise ModelError("UA, its random deviation and its clean value must all be above zero to be compared")
    days = (at - at.max()) / 86400.0
    weight = 1.0 / sd**2
    centre = float(np.sum(weight * days) / np.sum(weight))
    spread = float(np.sum(weight * (days - centre) ** 2))
    slope = float(np.sum(weight * (days - centre) * value) / spread)
    now = float(np.sum(weight * value) / np.sum(weight)) - slope * centre
    scatter = sqrt(1.0 / float(np.sum(weight)) + centre**2 / spread)
    stays = max(each.sd_systematic / each.value for each in ua_w_k)
    share = propagated(lambda a, b: a / b, (Uncertain(now, scatter, stays * abs(now)), clean_w_k))
    added = propagated(lambda a, b: 1 / a - 1 / b, (Uncertain(now, scatter, stays * abs(now)), clean_w_k))
    pace = Uncertain(slope / clean_w_k.value, 1.0 / sqrt(spread) / clean_w_k.value)
    return Fouling(share, pace, added, share.value < 1.0 - 2.0 * share.sd)
