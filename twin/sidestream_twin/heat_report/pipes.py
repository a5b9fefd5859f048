"""What pipes lose, from the meters at their ends beside what they were designed to lose. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import hypot

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.pipe import PipeCheck, PipeEnds, Verdict, check_pipe
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.core.water import ZERO_CELSIUS_K
from sidestream_twin.heat_report.heard import Heard, common_s
from sidestream_twin.heat_report.layout import Layout, Meter
from sidestream_twin.heat_report.thermometers import Leg, leg_of, running
from sidestream_twin.heat_report.told import Told, not_known, told, weakest_of
from sidestream_twin.heat_report.way import ESTIMATED, Lossy

_ONE_END = "only one end has a heat meter; one at the other end would tell"
_NO_THERMOMETERS = "a meter at one end has no flow part and thermometers, or they were silent, or nothing flowed"
_SILENT = "no figures of both ends for the same time"


@dataclass(frozen=True, slots=True)
class PipeReport:
    """A pair of pipes: heat lost by design and by its two heat meters, J; loss coefficient of either pipe, W/(m·K).

    `verdict` is of the pipe that its thermometers tell best, at two deviations of them and of the design together.
    """

    kind: str
    id: str
    name: str
    length_m: float
    design_w_m_k: Told
    surroundings_c: float
    lost_by_design: Told
    lost_by_meters: Told
    supply_w_m_k: Told
    return_w_m_k: Told
    verdict: str | None
    why: str | None


def pipe_reports(layout: Layout, heard: Heard) -> list[PipeReport]:
    """Every pipe of which hub.yaml states length and loss."""
    return [_report(layout, heard, pipe) for pipe in _pipes(layout)]


def _pipes(layout: Layout) -> Iterator[Lossy]:
    for (kind, name), figure in layout.losses.items():
        if figure.loss is not None:
            yield Lossy(kind, name, figure.loss, figure)


def _report(layout: Layout, heard: Heard, pipe: Lossy) -> PipeReport:
    ends = _ends(layout, pipe)
    checks, why = _checked(heard, pipe, *ends) if ends else ({}, _ONE_END)
    best = min(checks.values(), key=lambda check: check.measured_w_mk.sd, default=None)
    length, design = pipe.loss.length_m or 0.0, pipe.loss.u_w_m_k or 0.0
    return PipeReport(
        pipe.kind,
        pipe.id,
        heard.side.names.get((pipe.kind, pipe.id), pipe.id),
        length,
        Told(design, "W/(m.K)", pipe.loss.sd_share * design, "manual", None),
        pipe.loss.surroundings_k - ZERO_CELSIUS_K,
        _by_design(heard, pipe, _together_s(layout, heard, pipe, ends)),
        _by_meters(heard, *ends) if ends else not_known("J", _ONE_END),
        _coefficient(checks.get("supply"), why),
        _coefficient(checks.get("return"), why),
        str(_verdict(best, pipe)) if best else None,
        None if best else why,
    )


def _ends(layout: Layout, pipe: Lossy) -> tuple[Meter, Meter] | None:
    """The meters at its beginning and at its end, None unless there are two."""
    if pipe.kind == "stream":
        stream = next(stream for stream in layout.heat if stream.id == pipe.id)
        source, target = layout.meters(stream)
    else:
        entering, leaving = layout.into[pipe.id], layout.out_of[pipe.id]
        if len(entering) != 1 or len(leaving) != 1:
            return None
        source = layout.meters(entering[0])[1] or layout.meters(entering[0])[0]
        target = layout.meters(leaving[0])[0] or layout.meters(leaving[0])[1]
    return (source, target) if source and target else None


def _together_s(layout: Layout, heard: Heard, pipe: Lossy, ends: tuple[Meter, Meter] | None) -> FloatArray:
    """The time that both ends have figures for, else the one that has a meter: both losses are of the same time."""
    meters: Sequence[Meter | None] = ends or (layout.meter(pipe.figure.stream) if pipe.figure else None,)
    energies = [heard.energies.get(meter.key) for meter in meters if meter]
    known = [energy for energy in energies if energy is not None]
    return common_s(*known) if known and len(known) == len(energies) else np.zeros(heard.grid.count)


def _by_design(heard: Heard, pipe: Lossy, together_s: FloatArray) -> Told:
    through = np.zeros(heard.grid.count)
    seconds = np.where(np.isfinite(pipe.heat_w(heard, through)), together_s, 0.0)
    if not seconds.any():
        return not_known("J", "its meters or thermometers were silent")
    share = min(float(np.sum(seconds)) / heard.grid.length_s, 1.0)
    return told(pipe.expected(heard, through, seconds), "J", ESTIMATED, share)


def _by_meters(heard: Heard, source: Meter, target: Meter) -> Told:
    entering, leaving = heard.energies.get(source.key), heard.energies.get(target.key)
    if entering is None or leaving is None or not (seconds := common_s(entering, leaving)).any():
        return not_known("J", _SILENT)
    first, last = entering.over(seconds), leaving.over(seconds)
    lost = Uncertain(
        first.value - last.value,
        hypot(first.sd_random, last.sd_random),
        hypot(first.sd_systematic, last.sd_systematic),
    )
    share = min(heard.completeness(entering, seconds), heard.completeness(leaving, seconds))
    return told(lost, "J", weakest_of((entering.origin(seconds), leaving.origin(seconds))), share)


def _checked(heard: Heard, pipe: Lossy, source: Meter, target: Meter) -> tuple[dict[str, PipeCheck], str]:
    weight = running(heard, source, target)
    if not weight.any():
        return {}, _NO_THERMOMETERS
    try:
        near, far = leg_of(heard, source, weight), leg_of(heard, target, weight)
    except ModelError as error:
        return {}, str(error)
    checks, why = {}, ""
    for name, ends in _legs(pipe, near, far):
        try:
            checks[name] = check_pipe(ends, pipe.loss.length_m or 0.0, pipe.loss.u_w_m_k or 0.0)
        except ModelError as error:
            why = str(error)
    return checks, why


def _legs(pipe: Lossy, near: Leg, far: Leg) -> Iterator[tuple[str, PipeEnds]]:
    """Water goes out in the supply pipe and comes back in the return pipe."""
    ground = Uncertain(pipe.loss.surroundings_k)
    yield "supply", PipeEnds(near.supply_k, far.supply_k, ground, near.capacity_w_k)
    yield "return", PipeEnds(far.return_k, near.return_k, ground, near.capacity_w_k)


def _coefficient(check: PipeCheck | None, why: str) -> Told:
    if check is None:
        return not_known("W/(m.K)", why)
    return replace(told(check.measured_w_mk, "W/(m.K)", "measured", 1.0), completeness=None)


def _verdict(check: PipeCheck, pipe: Lossy) -> Verdict:
    """The core's verdict, unless the design is known no better than what parts the two."""
    doubt = 2.0 * hypot(check.measured_w_mk.sd, pipe.loss.sd_share * check.design_w_mk)
    apart = check.verdict in {Verdict.MORE, Verdict.LESS}
    if apart and abs(check.measured_w_mk.value - check.design_w_mk) <= doubt:
        return Verdict.AS_DESIGNED if check.measured_w_mk.value > 2.0 * check.measured_w_mk.sd else Verdict.UNTOLD
    return check.verdict
