"""A reading with all that stands behind it: device, frame, clock, correction, the person who entered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sidestream_store.corrections.read import correction
from sidestream_store.explain import figures
from sidestream_store.explain import readings as store
from sidestream_store.explain.readings import Reading, Sensor
from sidestream_store.twin.hub import HubSensor
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.scope import Scope
from sidestream_twin.explain.tree import Explained, Quantity
from sidestream_twin.sensing import REGISTERS, accuracy_of

_QUALITY = ("good", "uncertain", "bad")
_LANES = {"s": "scan", "l": "live", "b": "bulk"}
_CLOCKS = {"s": "synchronised", "u": "not synchronised", "?": "not said"}


def explain_reading(scope: Scope, sensor: Sensor, declared: HubSensor | None, reading: Reading) -> Explained:
    """One reading in the sensor's unit, with what it came in and what was said about it since."""
    told = Explained(
        what=f"reading of {sensor.name}",
        address=str(Address(("sensor", sensor.id), reading.time)),
        quantity=_quantity(sensor, declared, reading) if reading.code is None else None,
        said=reading.code,
        from_at=reading.time,
        origin="manual" if reading.entered_by else "measured",
        rule=rules.ENTRY if reading.entered_by else rules.READING if reading.code is None else None,
        remarks=tuple(_why_not(declared, reading)),
    ).with_facts(quality=_QUALITY[min(reading.quality, 2)], recorded=reading.recorded or None, **_came(reading))
    if reading.raw_value != reading.value:
        told = told.with_facts(raw_value=reading.raw_value)
    if reading.entered_by:
        told = told.with_facts(entered_by=reading.entered_by, note=reading.note)
    if reading.correction_id is not None and scope.goes_on:
        told = replace(told, inputs=(_correction(scope, reading.correction_id),))
    return told


def explain_inputs(
    scope: Scope, sensor: HubSensor, from_at: datetime, to_at: datetime, used: Sequence[datetime]
) -> Explained:
    """A sensor with its accuracy, and its readings from `from_at` to `to_at`, both included; `used` are those that count."""
    known = scope.sensors.get(sensor.id)
    if known is None:
        return Explained(sensor.id, said="hub.yaml has this sensor no longer, so its readings are not shown")
    told = explain_sensor(known, sensor).with_facts(readings_used=len(used))
    told = replace(told, remarks=(*told.remarks, *dropped(scope, sensor.id, from_at)))
    if not scope.goes_on:
        return told
    limit = scope.limits.readings
    rows = store.readings(scope.connection, known, from_at, to_at, limit) if limit else []
    parts = tuple(explain_reading(scope.deeper(), known, sensor, row) for row in rows)
    listed = sum(1 for row in rows if row.time in set(used))
    return replace(told, inputs=parts, left_out=max(0, len(used) - listed))


def explain_sensor(known: Sensor, sensor: HubSensor) -> Explained:
    """A sensor with whose it is and what it may err."""
    accuracy, assumed = accuracy_of(sensor)
    unit = known.unit
    words = [
        f"± {100 * accuracy.limit_relative:g} % limit" if accuracy.limit_relative else "",
        f"± {accuracy.limit_absolute:g} {unit} limit" if accuracy.limit_absolute else "",
        f"{100 * accuracy.random_relative:g} % random" if accuracy.random_relative else "",
        f"{accuracy.random_absolute:g} {unit} random" if accuracy.random_absolute else "",
    ]
    stated = ", ".join(word for word in words if word)
    ends = (sensor.range_low, sensor.range_high)
    between = None if None in ends else f"{ends[0]:g} to {ends[1]:g} {unit}"
    return Explained(
        f"sensor {sensor.id} ({known.name})",
        address=str(Address(("sensor", sensor.id))),
        remarks=("hub.yaml states no accuracy, so this is assumed",) if assumed else (),
    ).with_facts(
        quantity=f"{known.quantity} [{unit}]", accuracy=stated, range=between, device=f"{known.party}/{known.device}"
    )


def dropped(scope: Scope, sensor: str, from_at: datetime) -> tuple[str, ...]:
    """A sentence where retention has dropped the sensor's readings from `from_at` on."""
    gone = figures.dropped_before(scope.connection, sensor)
    if gone is None or not gone[0] <= from_at < gone[1]:
        return ()
    return (
        f"live readings before {gone[1].isoformat()} were dropped by retention; roll-ups and figures made of them stay",
    )


def _quantity(sensor: Sensor, declared: HubSensor | None, reading: Reading) -> Quantity:
    if reading.value is None or declared is None:
        return Quantity(reading.value, sensor.unit)
    if reading.own_sd is not None:
        return Quantity(reading.value, sensor.unit, reading.own_sd, 0.0)
    if declared.role in REGISTERS:
        # a register's class is on its rise; the size of its reading says nothing about an error
        return Quantity(reading.value, sensor.unit)
    sure = accuracy_of(declared)[0].of(reading.value)
    return Quantity(reading.value, sensor.unit, sure.sd_random, sure.sd_systematic)


def _why_not(declared: HubSensor | None, reading: Reading) -> list[str]:
    if reading.quality >= 2:
        voided = reading.correction_id is not None
        return ["not used: voided" if voided else "not used: its source calls it bad"]
    if reading.value is None and reading.code is None:
        return ["not used: it has no value"]
    if declared is None or declared.role in REGISTERS or reading.value is None:
        return []
    low, high = declared.range_low, declared.range_high
    beyond = (low is not None and reading.value < low) or (high is not None and reading.value > high)
    return ["not used: beyond the sensor's range"] if beyond else []


def _came(reading: Reading) -> dict[str, object]:
    """Device, epoch, lane and seq of the frame, or the folded hour."""
    if reading.device is None:
        return {"frame": "not in the ledger"}
    lane = _LANES.get(str(reading.lane), str(reading.lane))
    key = f"{reading.party}/{reading.device}, epoch {str(reading.epoch).replace('-', '')}, lane {lane}"
    clock = _CLOCKS.get(str(reading.clock_sync), "not said")
    if reading.seq is not None:
        return {"frame": f"{key}, seq {reading.seq}", "received_at": reading.received_from, "clock": clock}
    hour = {"received_from": reading.received_from, "received_to": reading.received_to}
    return {"frame": f"{key}, folded into its hour", **hour, "clock": clock}


def _correction(scope: Scope, number: int) -> Explained:
    made = correction(scope.connection, number)
    said = {
        "void": "void",
        "set": f"set to {made.value} {made.unit}",
        "adjust": f"raw · {made.factor} + {made.offset} {made.unit}",
    }[made.action]
    return Explained(
        f"correction {number}",
        said=said,
        from_at=made.from_at,
        to_at=made.to_at,
        facts={"author": made.author, "reason": made.reason, "made_at": made.made_at},
    )
