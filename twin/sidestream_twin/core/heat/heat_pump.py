"""How much heat a heat pump gives for its power, and how near that is to what the second law allows.

COP = heat to the sink / electric power. Carnot's limit between the two temperatures is T_sink/(T_sink − T_source); real
machines reach 40 to 65 % of it. More than the limit, or more heat than power and source bring, means a wrong meter.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain


@dataclass(frozen=True, slots=True)
class HeatPumpReadings:
    """Heat to the sink, electric power (W), and the temperatures (K) between which it works.

    Take sink outlet and source outlet: the machine has to bridge at least these. ``source_w`` where it is measured.
    """

    sink_w: Uncertain
    power_w: Uncertain
    sink_k: Uncertain
    source_k: Uncertain
    source_w: Uncertain | None = None


@dataclass(frozen=True, slots=True)
class HeatPumpRating:
    """``carnot`` and ``carnot_share`` are None where the source is as warm as the sink.

    ``imbalance_w``: source + power − sink, its losses; None unless the source is measured. ``impossible`` names the law
    that the readings break by more than two deviations, None: neither.
    """

    cop: Uncertain
    carnot: Uncertain | None
    carnot_share: Uncertain | None
    imbalance_w: Uncertain | None
    impossible: str | None


def rate_heat_pump(readings: HeatPumpReadings) -> HeatPumpRating:
    """Return COP and its share of Carnot's, with uncertainty. Raises ModelError unless the machine takes power."""
    if not readings.power_w.value > 0:
        raise ModelError(
            f"a COP needs power above zero, and it is {readings.power_w.value} W; choose a time when it runs"
        )
    cop = propagated(lambda heat, power: heat / power, (readings.sink_w, readings.power_w))
    carnot = share = imbalance = None
    if readings.sink_k.value > readings.source_k.value > 0:
        temperatures = (readings.sink_k, readings.source_k)
        carnot = propagated(lambda sink, source: sink / (sink - source), temperatures)
        four = (readings.sink_w, readings.power_w, *temperatures)
        share = propagated(lambda heat, power, sink, source: heat / power * (sink - source) / sink, four)
    if readings.source_w is not None:
        three = (readings.source_w, readings.power_w, readings.sink_w)
        imbalance = propagated(lambda source, power, sink: source + power - sink, three)
    return HeatPumpRating(cop, carnot, share, imbalance, _broken(share, imbalance))


def _broken(share: Uncertain | None, imbalance: Uncertain | None) -> str | None:
    if imbalance is not None and imbalance.value < -2.0 * imbalance.sd:
        return "first law: more heat than power and source bring"
    if share is not None and share.value - 1.0 > 2.0 * share.sd:
        return "second law: better than Carnot's limit"
    return None
