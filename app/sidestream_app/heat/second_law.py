"""What a reconciled heat network claims although heat never flows from cold to warm by itself.

Balances of energy close with a pipe that warms up in the cold, or an exchanger whose cold side leaves hotter than the
hot one came. The figures are left as they are, since the meters say so; that they can't be is said beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidestream_app.heat.units import Scales
from sidestream_twin.core.energy_reconcile import EnergyEstimate, Exchanger, Pipe
from sidestream_twin.core.energy_reconcile.balances import conductance_of, heat_of, loss_of, temperature_of
from sidestream_twin.core.reconcile import Knowledge

_ROUNDING_K = 1e-6


def second_law_notes(found: EnergyEstimate, scales: Scales, unit: str) -> Iterator[str]:
    """Return a sentence for each pipe and exchanger that would need heat to flow uphill; ``unit`` is of temperatures."""
    for node in found.balances.network.nodes:
        if isinstance(node, Pipe):
            conductance = _known(found, conductance_of(node.id))
            if conductance is not None and conductance < 0:
                yield (
                    f"pipe {node.id} would gain heat from colder surroundings, or lose it to warmer ones, which can't be: "
                    "its thermometers differ by less than they err, or one of them, the ambient temperature or a direction is wrong"
                )
        elif isinstance(node, Exchanger):
            yield from _uphill(found, node, scales, unit)


def _uphill(found: EnergyEstimate, node: Exchanger, scales: Scales, unit: str) -> Iterator[str]:
    """The cold sides never get warmer than the warmest that comes in; without a loss the hot ones never colder than the coldest."""
    giving: list[tuple[float, float]] = []
    taking: list[tuple[float, float]] = []
    loss = _known(found, loss_of(node.id))
    for side in node.sides:
        heat = _known(found, heat_of(node.id, side.inlet))
        start, end = _known(found, temperature_of(side.inlet)), _known(found, temperature_of(side.outlet))
        if heat is None or start is None or end is None:
            return
        (giving if heat > 0 else taking).append((start, end))
    if loss is None or not giving or not taking:
        return

    def shown(kelvin: float) -> str:
        return f"{scales.temperature.back(kelvin):.6g} {unit}"

    warmest, warmed = max(t_in for t_in, _ in giving), max(t_out for _, t_out in taking)
    if loss >= 0 and warmed > warmest + _ROUNDING_K:
        yield f"exchanger {node.id} would warm a stream to {shown(warmed)} with nothing above {shown(warmest)}, which can't be"
    coldest, cooled = min(t_in for t_in, _ in taking), min(t_out for _, t_out in giving)
    if loss <= 0 and cooled < coldest - _ROUNDING_K:
        yield f"exchanger {node.id} would cool a stream to {shown(cooled)} with nothing below {shown(coldest)}, which can't be"


def _known(found: EnergyEstimate, name: str) -> float | None:
    """The value in SI; None where the meters can't tell it."""
    at = found.balances.column[name]
    unknown = found.estimate.structure.knowledge[at] is Knowledge.UNOBSERVABLE
    return None if unknown else float(found.x[at])
