"""Uncertainty of a figure that is computed from measured ones, by first-order propagation (GUM 5.1.2).

Slopes are taken by central differences over one deviation (GUM 5.1.3, note 2), so that the figure may be any formula.
The inputs are taken as instruments that err independently; random and systematic parts are carried apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import hypot, isfinite

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain


def propagated(figure: Callable[..., float], inputs: Sequence[Uncertain]) -> Uncertain:
    """Return ``figure(*values)`` with its deviations.

    Raises ModelError when it has no finite value there, or none a deviation away on either side.
    """
    values = [each.value for each in inputs]
    value = figure(*values)
    slopes = [_slope(figure, values, at, value, each.sd) for at, each in enumerate(inputs)]
    if not (isfinite(value) and all(isfinite(slope) for slope in slopes)):
        msg = f"from {values} with deviations {[each.sd for each in inputs]} no finite figure follows; are they plausible?"
        raise ModelError(msg)
    pairs = list(zip(slopes, inputs, strict=True))
    return Uncertain(
        value,
        hypot(*(slope * each.sd_random for slope, each in pairs)),
        hypot(*(slope * each.sd_systematic for slope, each in pairs)),
    )


def _slope(figure: Callable[..., float], values: list[float], at: int, value: float, sd: float) -> float:
    if sd == 0:
        return 0.0

    def moved(by: float) -> float:
        return figure(*values[:at], values[at] + by, *values[at + 1 :])

    up, down = moved(sd), moved(-sd)
    if isfinite(up) and isfinite(down):
        return (up - down) / (2.0 * sd)
    return (up - value) / sd if isfinite(up) else (value - down) / sd
