"""A sensor's reading, or its roll-up of a minute, an hour or a day: from readings, minutes and hours."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from sidestream_contracts.errors import DomainError
from sidestream_store.explain import readings as store_readings
from sidestream_store.explain import rollups as store
from sidestream_store.explain.readings import Sensor
from sidestream_store.explain.rollups import LEVELS, Level, Rollup
from sidestream_store.twin.hub import HubSensor
from sidestream_twin.core.calendar_period import PeriodKind, period_at
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.readings import dropped, explain_reading, explain_sensor
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.tree import Check, Explained, Quantity
from sidestream_twin.sensing import REGISTERS, accuracy_of

_WIDTH = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1)}


def explain_sensor_number(scope: Scope, address: Address, sensor: Sensor, level: str | None) -> Explained:
    """`sensor/id@t`: the newest reading at or before t; `sensor/id/1h@t`: the roll-up that holds t."""
    declared = next(s for s in scope.hub.sensors if s.id == sensor.id)
    if level is None:
        return _reading(scope, address, sensor, declared)
    for known in LEVELS:
        if level == known:
            return _rollup(scope, address, sensor, declared, known)
    raise DomainError(f"{address} names no roll-up: after the sensor comes 1m, 1h or 1d, or nothing for a reading.")


def _reading(scope: Scope, address: Address, sensor: Sensor, declared: HubSensor) -> Explained:
    found = store_readings.reading_before(scope.connection, sensor, address.at)
    if found is None:
        gone = dropped(scope, sensor.id, address.at) if address.at else ()
        raise DomainError(f"{sensor.id} has no reading at or before that time. {' '.join(gone)}".strip())
    told = explain_reading(scope, sensor, declared, found)
    if scope.goes_on:
        told = replace(told, inputs=(*told.inputs, explain_sensor(sensor, declared), scope.configuration(None)))
    return told


def _rollup(scope: Scope, address: Address, sensor: Sensor, declared: HubSensor, level: Level) -> Explained:
    found = store.rollup(scope.connection, level, sensor, scope.wanted(address))
    if found is None:
        raise DomainError(f"{address.at_time(None)} has no roll-up at or before that time.")
    to_at = _end(scope, found.bucket, level)
    if address.at is not None and address.at >= to_at:
        raise DomainError(
            f"{address.at_time(None)} has no roll-up at {address.at.isoformat()}: there were no readings. "
            f"Nearest before: {address.at_time(found.bucket)}."
        )
    return rollup_of(scope, sensor, declared, level, found)


def rollup_of(scope: Scope, sensor: Sensor, declared: HubSensor, level: Level, found: Rollup) -> Explained:
    """A stored roll-up with what it was made of."""
    to_at = _end(scope, found.bucket, level)
    told = Explained(
        f"mean of {sensor.name} over {'a minute' if level == '1m' else 'an hour' if level == '1h' else 'a day'}",
        address=str(
            Address(("sensor", sensor.id, level), found.bucket, found.revision if found.superseded_at else None)
        ),
        quantity=_quantity(sensor, declared, found),
        from_at=found.bucket,
        to_at=to_at,
        origin="manual" if declared.manual else "measured",
        rule=rules.ROLLUP[level],
    ).with_facts(
        readings=found.n, not_usable=found.bad or None, lowest=found.low, highest=found.high, revision=found.revision,
        known_at=found.known_at, superseded_at=found.superseded_at,
    )  # fmt: skip
    if level == "1m":
        return _minute(scope, sensor, declared, found, told)
    parts = _parts(scope, sensor, found.bucket, to_at, level)
    told = replace(told, check=_check(found, _of_parts([part for _, part in parts]), f"{len(parts)} parts"))
    if not scope.goes_on:
        return told
    shown = parts[: scope.limits.readings]
    inputs = tuple(rollup_of(scope.deeper(), sensor, declared, finer, part) for finer, part in shown)
    return replace(told, inputs=inputs, left_out=len(parts) - len(shown))


def _end(scope: Scope, bucket: datetime, level: Level) -> datetime:
    if level != "1d":
        return bucket + _WIDTH[level]
    return period_at(bucket, PeriodKind.DAY, ZoneInfo(scope.hub.timezone)).to_at


def _quantity(sensor: Sensor, declared: HubSensor, found: Rollup) -> Quantity:
    if found.mean is None or declared.role in REGISTERS or not found.n:
        return Quantity(found.mean, sensor.unit)
    sure = accuracy_of(declared)[0].of(found.mean)
    return Quantity(found.mean, sensor.unit, sure.sd_random / found.n**0.5, sure.sd_systematic)


def _minute(scope: Scope, sensor: Sensor, declared: HubSensor, found: Rollup, told: Explained) -> Explained:
    assert told.to_at is not None
    gone = dropped(scope, sensor.id, found.bucket)
    if gone:
        return replace(told, check=Check("not_possible", gone[0]), remarks=(*told.remarks, *gone))
    usable = [
        value
        for value, quality in store.values(scope.connection, sensor, found.bucket, told.to_at)
        if quality < 2 and value is not None and _plausible(declared, value)
    ]
    mean = reduce(operator.add, usable) / len(usable) if usable else None
    told = replace(told, check=_check(found, (len(usable), mean), f"{len(usable)} readings"))
    if not scope.goes_on:
        return told
    limit = scope.limits.readings
    last = found.bucket + _WIDTH["1m"] - timedelta(microseconds=1)
    rows = store_readings.readings(scope.connection, sensor, found.bucket, last, limit) if limit else []
    inputs = tuple(explain_reading(scope.deeper(), sensor, declared, row) for row in rows)
    return replace(told, inputs=inputs, left_out=found.n + found.bad - len(rows))


def _plausible(declared: HubSensor, value: float) -> bool:
    if declared.quantity in ("energy", "volume", "volume_temperature"):
        return True
    low, high = declared.range_low, declared.range_high
    return (low is None or value >= low) and (high is None or value <= high)


def _parts(
    scope: Scope, sensor: Sensor, from_at: datetime, to_at: datetime, level: Level
) -> list[tuple[Level, Rollup]]:
    """Minutes of an hour; hours of a day, and where midnight is in the middle of an hour, that hour's minutes."""
    if level == "1h":
        return [("1m", part) for part in store.minutes(scope.connection, sensor, from_at, to_at)]
    first, last = _hour_up(from_at), _hour_down(to_at)
    parts: list[tuple[Level, Rollup]] = [("1m", p) for p in store.minutes(scope.connection, sensor, from_at, first)]
    parts += [("1h", part) for part in store.hours(scope.connection, sensor, first, last)]
    return parts + [("1m", part) for part in store.minutes(scope.connection, sensor, last, to_at)]


def _hour_down(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _hour_up(at: datetime) -> datetime:
    down = _hour_down(at)
    return down if down == at else down + timedelta(hours=1)


def _of_parts(parts: Sequence[Rollup]) -> tuple[int, float | None] | None:
    """As the database does: the parts' means times their numbers, added up in the order of time, over all numbers."""
    if not parts:
        return None
    n = sum(part.n for part in parts)
    weighted = [part.mean * part.n for part in parts if part.mean is not None]
    if not weighted or not n:
        return n, None
    total = reduce(operator.add, weighted)
    return n, 0.0 if abs(total) < 1e-250 else total / n


def _check(found: Rollup, derived: tuple[int, float | None] | None, inputs: str) -> Check:
    if found.superseded_at is not None:
        return Check("not_possible", "this is an earlier revision, and roll-ups' inputs are kept as they are now")
    if derived is None:
        return Check("not_possible", "what it was made of is kept no longer")
    if derived == (found.n, found.mean):
        return Check("equal", f"derived again from {inputs}: the same to the last bit", derived[1])
    return Check("differs", f"derived again from {inputs}, it differs: {derived[1]!r} of {derived[0]}", derived[1])
