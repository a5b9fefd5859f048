"""Loads what a report on heat rests on and makes it: stored sums and roll-ups only, read through views."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sidestream_contracts.errors import DomainError
from sidestream_store.connect import Connection
from sidestream_store.read.heat import WIDTH_S, Level, energy_sums, heat_side, paired_totals, sensor_means
from sidestream_store.twin.hub_at import current_version, twin_hub_at
from sidestream_twin.core.errors import ModelError
from sidestream_twin.heat_report.heard import Grid, Heard, energies_of, means_of
from sidestream_twin.heat_report.report import HeatReport, heat_report

_QUANTITIES = tuple(
    f"{register}{flow}{end}"
    for register in ("", "register_")
    for flow in ("heat_flow", "power")
    for end in ("", "_receiver")
)
_PARTS = frozenset({"volume_flow", "supply_temperature", "return_temperature"})
_FINEST: tuple[tuple[Level, timedelta], ...] = (("quarter", timedelta(days=2)), ("hour", timedelta(days=92)))
_LONGEST = timedelta(days=1100)


def load_heat_report(connection: Connection, from_at: datetime, to_at: datetime, now_at: datetime) -> HeatReport:
    """The report on [from_at, to_at), both widened to whole buckets, but not beyond now.

    Buckets are quarters of an hour for up to two days, hours for up to a quarter of a year, else six hours. DomainError
    for a time that is empty, longer than three years, or not yet come, and where the figures contradict physics.
    """
    from_at, to_at = from_at.astimezone(UTC), min(to_at, now_at).astimezone(UTC)
    if not from_at < to_at <= from_at + _LONGEST:
        raise DomainError(
            f"From {from_at.isoformat()} to {to_at.isoformat()} there is no time that is past, or more than three years; "
            "choose a start before the end and before now."
        )
    hub = twin_hub_at(connection, current_version(connection))
    level = _level(to_at - from_at, hub.step_s)
    grid = _grid(from_at, to_at, now_at, WIDTH_S[level])
    sensors = [sensor for sensor in hub.sensors if sensor.role in _PARTS and sensor.stream is not None]
    means = sensor_means(connection, level, [s.id for s in sensors], grid.from_at, grid.to_at)
    heard = Heard(
        hub,
        heat_side(connection, hub.version),
        grid,
        energies_of(energy_sums(connection, level, _QUANTITIES, grid.from_at, grid.to_at), grid),
        means_of(means, sensors, grid),
        dict(paired_totals(connection, level, grid.from_at, grid.to_at)),
    )
    try:
        return heat_report(heard)
    except ModelError as error:
        raise DomainError(f"The figures of this time can't describe a plant: {error}") from error


def _level(length: timedelta, step_s: int) -> Level:
    for level, most in _FINEST:
        if length <= most and step_s <= WIDTH_S[level]:
            return level
    return "six_hours"


def _grid(from_at: datetime, to_at: datetime, now_at: datetime, width_s: int) -> Grid:
    first = int(from_at.timestamp() // width_s) * width_s
    stop = -int(-to_at.timestamp() // width_s) * width_s
    return Grid(
        datetime.fromtimestamp(first, UTC), min(datetime.fromtimestamp(stop, UTC), now_at.astimezone(UTC)), width_s
    )
