"""A reconciled heat network as it is printed: every number in the file's units, with what is known of it and how well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from sidestream_app.heat.network_file import NetworkFile, PipePart
from sidestream_app.heat.second_law import second_law_notes
from sidestream_app.heat.units import Scale, Scales
from sidestream_twin.core.arrays import finite
from sidestream_twin.core.energy_reconcile import Duty, EnergyEstimate, Exchanger, Pipe
from sidestream_twin.core.energy_reconcile.balances import conductance_of, flow_of, heat_of, loss_of, temperature_of
from sidestream_twin.core.reconcile import GlobalTest, Knowledge, Screening, global_test, screen


@dataclass(frozen=True, slots=True)
class Report:
    """All that is said of a reconciled network."""

    file: NetworkFile
    scales: Scales
    found: EnergyEstimate
    tests: Screening
    together: GlobalTest | None

    @classmethod
    def of(cls, file: NetworkFile, scales: Scales, found: EnergyEstimate) -> Report:
        """With the tests at the file's level."""
        return cls(file, scales, found, screen(found.estimate, file.level), global_test(found.estimate, file.level))

    @property
    def suspect(self) -> str | None:
        """The unknown whose meter disagrees most, if by more than chance would have it; None: no meter stands out."""
        tests = [(t, name) for t, name in zip(self.tests.test, self.found.balances.ids, strict=True) if isfinite(t)]
        worst = max(tests, default=(0.0, ""))
        return worst[1] if worst[0] > self.tests.critical else None

    def as_dict(self) -> dict[str, Any]:
        """The answer for programs; null: not measured, or it can't be told."""
        together = self.together
        return {
            "objective": self.found.objective,
            "steps": self.found.steps,
            "one_optimum": self.found.one_optimum,
            "global_test": together
            and {
                "statistic": together.statistic,
                "dof": together.dof,
                "critical": together.critical,
                "p_value": together.p_value,
                "passed": together.passed,
            },
            "level": self.file.level,
            "critical": self.tests.critical,
            "suspect": self.suspect,
            "units": self.file.units.model_dump(),
            "streams": list(self._streams()),
            "nodes": list(self._nodes()),
            "notes": list(self.notes()),
        }

    def _streams(self) -> Iterator[dict[str, Any]]:
        for stream in self.found.balances.network.streams:
            yield {
                "id": stream.id,
                "from": stream.source,
                "to": stream.target,
                "flow": self.one(flow_of(stream.id), self.scales.flow),
                "temperature": self.one(temperature_of(stream.id), self.scales.temperature),
            }

    def _nodes(self) -> Iterator[dict[str, Any]]:
        heat = self.scales.heat
        lengths = {part.id: part.length_m for part in self.file.nodes if isinstance(part, PipePart)}
        for node in self.found.balances.network.nodes:
            if isinstance(node, Duty):
                kind = "producer" if node.produces else "consumer"
                yield {"id": node.id, "kind": kind, "heat": self.one(heat_of(node.id), heat)}
            elif isinstance(node, Exchanger):
                sides = [
                    {"in": s.inlet, "out": s.outlet, "heat": self.one(heat_of(node.id, s.inlet), heat)}
                    for s in node.sides
                ]
                yield {"id": node.id, "kind": "exchanger", "sides": sides, "loss": self.one(loss_of(node.id), heat)}
            elif isinstance(node, Pipe):
                per_metre = self.one(conductance_of(node.id), Scale(lengths[node.id]))
                yield {"id": node.id, "kind": "pipe", "loss": self.one(loss_of(node.id), heat), "u_w_mk": per_metre}

    def one(self, name: str, scale: Scale) -> dict[str, Any]:
        """All about one unknown."""
        at, found, tests = self.found.balances.column[name], self.found, self.tests
        variable = found.balances.variables[at]
        said = {
            "measured": variable.measured and scale.back(variable.measured.value),
            "measured_sd": variable.measured and variable.measured.sd / scale.factor,
            "reconciled": None,
            "sd": None,
            "class": found.estimate.structure.knowledge[at].value,
        }
        if found.estimate.structure.knowledge[at] is not Knowledge.UNOBSERVABLE:
            said |= {"reconciled": scale.back(float(found.x[at])), "sd": float(found.estimate.sd[at]) / scale.factor}
        tested = {
            "adjustability": finite(tests.adjustability[at]),
            "detectability": finite(tests.detectability[at]),
            "test": finite(tests.test[at]),
            "bias": finite(tests.bias[at] / scale.factor),
            "suspect": name == self.suspect,
        }
        return said | tested

    def notes(self) -> Iterator[str]:
        """What a reader must know before trusting the numbers."""
        network, x, column = self.found.balances.network, self.found.x, self.found.balances.column
        if self.found.one_optimum is False:
            yield "a start from elsewhere ended in another optimum; the better one is given, so measure more before relying on it"
        if self.found.one_optimum is None:
            yield "the second start led nowhere, so that this is the only optimum was not confirmed"
        unknown = [
            name
            for name, known in zip(self.found.balances.ids, self.found.estimate.structure.knowledge, strict=True)
            if known is Knowledge.UNOBSERVABLE
        ]
        if unknown:
            yield f"{len(unknown)} quantities can't be told by these meters, e.g. the {unknown[0]}"
        for stream in network.streams:
            flow, temperature = x[column[flow_of(stream.id)]], x[column[temperature_of(stream.id)]]
            if flow < 0:
                yield f"stream {stream.id} runs against its direction; swap from and to, since mixing depends on it"
            low, high = stream.fluid.holds_k
            if not low - 1e-6 <= temperature <= high + 1e-6:
                shown = self.scales.temperature.back(float(temperature))
                yield f"stream {stream.id} would be {shown:.6g} {self.file.units.temperature}, where its fluid is none"
        yield from second_law_notes(self.found, self.scales, self.file.units.temperature)

    def as_text(self) -> str:
        """The answer for people."""
        units, lines = self.file.units, []
        lines.append(f"{'':32}{'measured':>14}{'reconciled':>14}{'± 2 sd':>12}  {'':6} test  detect. known")
        for stream in self._streams():
            lines.append(_row(f"flow of {stream['id']}", stream["flow"], units.flow))
            lines.append(_row(f"temperature of {stream['id']}", stream["temperature"], units.temperature))
        for node in self._nodes():
            lines += [
                _row(f"heat of {side['in']} in {node['id']}", side["heat"], units.heat)
                for side in node.get("sides", ())
            ]
            lines += [
                _row(f"{called} of {node['id']}", node[key], unit)
                for key, called, unit in (
                    ("heat", "heat", units.heat),
                    ("loss", "loss", units.heat),
                    ("u_w_mk", "U", "W/mK"),
                )
                if key in node
            ]
        lines += ["", self._verdict(), *self.notes()]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.together is None:
            return "No meter checks another here, so nothing can be said of errors."
        agree = "agree" if self.together.passed else "do NOT agree"
        verdict = (
            f"Meters {agree}: χ² {self.together.statistic:.4g} with {self.together.dof} checks, "
            f"limit {self.together.critical:.4g} at level {self.file.level:g}."
        )
        return verdict if self.suspect is None else f"{verdict} Suspect: the {self.suspect} (marked *)."


def _row(name: str, said: Mapping[str, Any], unit: str) -> str:
    measured, value, sd = said["measured"], said["reconciled"], said["sd"]
    cells = [f"{'-' if measured is None else f'{measured:.6g}':>14}", f"{'?' if value is None else f'{value:.6g}':>14}"]
    cells.append(f"{'' if sd is None else f'{2 * sd:.3g}':>12}")
    test = "" if said["test"] is None else f"{said['test']:.2f}{'*' if said['suspect'] else ''}"
    seen = "" if said["detectability"] is None else f"{said['detectability']:.3f}"
    return f"{name:32}{''.join(cells)}  {unit:6}{test:>6} {seen:>7}  {said['class']}"
