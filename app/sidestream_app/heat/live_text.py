"""The report on a running hub's heat in words: exchanges as a table, then a paragraph for each thing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10

from sidestream_contracts.times import shown
from sidestream_twin.heat_report.demand import Coverage
from sidestream_twin.heat_report.exchange import ExchangeReport
from sidestream_twin.heat_report.machines import ExchangerReport, HeatPumpReport
from sidestream_twin.heat_report.pipes import PipeReport
from sidestream_twin.heat_report.registers import RegisterReport
from sidestream_twin.heat_report.report import HeatReport
from sidestream_twin.heat_report.told import Told

_SHOWN = {"J": (3.6e9, "MWh"), "W": (1e3, "kW"), "W/K": (1e3, "kW/K"), "K": (1.0, "K"), "1": (1.0, "")}
_PARTS = ("supplied", "usable", "used", "dumped", "missed", "lost")


def report_lines(report: HeatReport) -> Iterator[str]:
    """Everything of the report; ± is one standard deviation."""
    made_up = "   ALL FIGURES ARE SYNTHETIC" if report.synthetic else ""
    yield (
        f"Heat from {shown(report.from_at, report.timezone)} to {shown(report.to_at, report.timezone)}, "
        f"by {report.bucket_s / 60:g} min{made_up}"
    )
    if not report.exchanges:
        yield "No exchange of heat between parties in hub.yaml."
    for exchange in report.exchanges:
        yield from ("", *_exchange(exchange))
    yield from _section("Thrown away", [f"{d.stream} to {d.at}: {_full(d.dumped)}" for d in report.dumps])
    for title, parts in (
        ("Pipes", [_pipe(pipe) for pipe in report.pipes]),
        ("Exchangers", [_exchanger(each) for each in report.exchangers]),
        ("Heat pumps", [_heat_pump(each) for each in report.heat_pumps]),
        ("Computed heat beside the meter's register", [_register(each) for each in report.registers]),
    ):
        yield from _section(title, [line for part in parts for line in part])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", title, *(f"  {line}" for line in lines))


def _exchange(told: ExchangeReport) -> Iterator[str]:
    by = f", agreement {told.agreement}" if told.agreement else ""
    yield f"{' → '.join([*told.streams, told.at])}   ({told.supplier} to {told.receiver}{by})"
    if told.state != "live":
        yield f"  not live: {told.state}"
    numbers: list[tuple[str, Told]] = [(name, getattr(told, name)) for name in _PARTS]
    known = [(name, number) for name, number in numbers if number.known]
    for name, number in known:
        yield f"  {name:9}{_full(number)}"
    reasons: dict[str, list[str]] = {}
    for name, number in numbers:
        if number.why:
            reasons.setdefault(number.why, []).append(name)
    for why, names in reasons.items():
        yield f"  not known: {', '.join(names)}: {why}"
    yield from (f"  {line}" for line in _coverage(told.coverage))
    yield from (f"  ! {remark}" for remark in told.remarks)


def _coverage(told: Coverage) -> Iterator[str]:
    if told.covered_share is None:
        yield f"not known: coverage: {told.covered.why or 'no need in this time'}"
        return
    yield f"need     {_short(told.demand)} by {told.basis}"
    yield (
        f"  covered {_short(told.covered)} ({100 * told.covered_share:.0f} %), unmet {_short(told.unmet)}, "
        f"beyond the need {_short(told.surplus)}"
    )
    yield (
        f"  hours: {told.covered_h:.4g} covered, {told.partly_h:.4g} in part, {told.unmet_h:.4g} without any, "
        f"{told.surplus_h:.4g} with more than needed, {told.unknown_h:.4g} not known"
    )


def _pipe(told: PipeReport) -> Iterator[str]:
    yield f"{told.name} ({told.kind} {told.id}, {told.length_m:g} m): {told.verdict or f'not known: {told.why}'}"
    yield f"  lost by design {_short(told.lost_by_design)}, by its two heat meters {_short(told.lost_by_meters)}"
    legs = [(name, leg) for name, leg in (("supply", told.supply_w_m_k), ("return", told.return_w_m_k)) if leg.known]
    if legs:
        measured = ", ".join(f"{name} pipe {_short(leg)}" for name, leg in legs)
        yield f"  W/(m·K): design {_short(told.design_w_m_k)}, {measured}"


def _exchanger(told: ExchangerReport) -> Iterator[str]:
    if told.why:
        yield f"{told.name} ({told.node}): not known: {told.why}"
        return
    agree = "" if told.sides_agree else "; THE SIDES DON'T AGREE: it loses heat, or a meter is wrong"
    yield f"{told.name} ({told.node}), {told.running_h:.4g} h in use: {_short(told.hot_w)} given, {_short(told.cold_w)} taken{agree}"
    yield (
        f"  effectiveness {_short(told.effectiveness)}, LMTD {_short(told.log_mean_k)}, UA {_short(told.ua_w_k)}, "
        "as counter-flow"
    )


def _heat_pump(told: HeatPumpReport) -> Iterator[str]:
    if told.why:
        yield f"{told.name} ({told.node}): not known: {told.why}"
        return
    yield (
        f"{told.name} ({told.node}): COP {_short(told.cop)}, share of Carnot's {_short(told.carnot_share)}; heat out "
        f"{_short(told.sink_w)}, power {_short(told.power_w)}, heat in {_short(told.source_w)}"
    )
    if told.carnot_share.why:
        yield f"  not known: share of Carnot's: {told.carnot_share.why}"
    if told.impossible:
        yield f"  ! {told.impossible}: a meter is wrong"


def _register(told: RegisterReport) -> Iterator[str]:
    if told.ratio is None:
        yield f"{told.stream}/{told.quantity}: not known: {told.why}"
        return
    factor = f" (factor {told.factor:g})" if told.factor and told.factor != 1 else ""
    yield (
        f"{told.stream}/{told.quantity}: {_short(told.computed)} computed, {_short(told.registered)} registered, "
        f"ratio {told.ratio:.4f}: {told.cause}{factor}"
    )


def _full(told: Told) -> str:
    if not told.known:
        return f"not known: {told.why}"
    share = "" if told.completeness is None else f", {100 * told.completeness:.3g} % of the time"
    return f"{_short(told)}   {told.origin}{share}"


def _short(told: Told) -> str:
    """Value ± deviation, with two digits of the deviation."""
    if told.value is None:
        return "not known"
    scale, unit = _SHOWN.get(told.unit, (1.0, ""))
    value, sd = told.value / scale, (told.sd or 0.0) / scale
    unit = f" {unit}" if unit else ""
    if not sd > 0:
        return f"{value:.4g}{unit}"
    digits = max(0, min(9, 1 - floor(log10(sd))))
    return f"{value:.{digits}f} ± {sd:.{digits}f}{unit}"
