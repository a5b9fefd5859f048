"""The report on a hub's heat over a time, as one value. Pure; `heat_report` is a function of what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidestream_twin.heat_report.exchange import ExchangeReport, exchange_reports
from sidestream_twin.heat_report.heard import Heard
from sidestream_twin.heat_report.layout import Layout
from sidestream_twin.heat_report.machines import (
    ExchangerReport,
    HeatPumpReport,
    exchanger_reports,
    heat_pump_reports,
)
from sidestream_twin.heat_report.pipes import PipeReport, pipe_reports
from sidestream_twin.heat_report.registers import RegisterReport, register_reports
from sidestream_twin.heat_report.told import Told, not_known, told


@dataclass(frozen=True, slots=True)
class DumpReport:
    """Heat that a stream takes to a place where hub.yaml says that it is thrown away, J."""

    stream: str
    name: str
    at: str
    dumped: Told


@dataclass(frozen=True, slots=True)
class HeatReport:
    """What became of heat from `from_at` to before `to_at`, on means of buckets of `bucket_s`; energies in J, SI throughout.

    `synthetic`: the hub's figures are made up.
    """

    hub_version: int
    synthetic: bool
    timezone: str
    from_at: datetime
    to_at: datetime
    bucket_s: int
    exchanges: list[ExchangeReport]
    dumps: list[DumpReport]
    pipes: list[PipeReport]
    exchangers: list[ExchangerReport]
    heat_pumps: list[HeatPumpReport]
    registers: list[RegisterReport]


def heat_report(heard: Heard) -> HeatReport:
    """Everything that can be said of the heat, and of the rest, why not."""
    layout = Layout(heard.hub)
    return HeatReport(
        heard.hub.version,
        heard.side.synthetic,
        heard.hub.timezone,
        heard.grid.from_at,
        heard.grid.to_at,
        heard.grid.width_s,
        exchange_reports(layout, heard),
        _dumps(layout, heard),
        pipe_reports(layout, heard),
        exchanger_reports(layout, heard),
        heat_pump_reports(layout, heard),
        register_reports(heard),
    )


def _dumps(layout: Layout, heard: Heard) -> list[DumpReport]:
    found = []
    for stream in layout.dumped(sorted(heard.side.dumping)):
        meter = layout.meter(stream)
        energy = heard.energies.get(meter.key) if meter else None
        dumped = not_known("J", "no meter of heat on it" if meter is None else "no figures in this time")
        if energy is not None:
            dumped = told(
                energy.over(energy.valued_s),
                "J",
                energy.origin(energy.valued_s),
                heard.completeness(energy, energy.valued_s),
            )
        name = heard.side.names.get(("stream", stream.id), stream.id)
        found.append(DumpReport(stream.id, name, stream.target, dumped))
    return found
