"""`sidestream correct void|set|adjust|list|show|withdraw`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.times import shown, understood

if TYPE_CHECKING:
    from sidestream_store.corrections.model import Correction, Draft, Impact

From = Annotated[str, Parameter(name="--from", help="First instant; without an offset in the hub's zone.")]
To = Annotated[str, Parameter(name="--to", help="End, not included; without an offset in the hub's zone.")]
Reason = Annotated[str, Parameter(name="--reason", help="Why; stays on record.")]
By = Annotated[str | None, Parameter(name="--by", help="Who says so; default: the user who is logged in.")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative=(), help="Only tell what it would touch.")]


def void(
    sensor: str,
    /,
    *,
    dsn: Dsn,
    from_: From,
    to: To,
    reason: Reason,
    by: By = None,
    code: Annotated[str | None, Parameter(help="Of a scanner: only reads of this code.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Take readings out of every figure: the meter was frozen, the tag was read by mistake. The raw readings stay.

    Parameters
    ----------
    sensor
        Id of the sensor in hub.yaml.
    """
    return _make(dsn, (sensor, from_, to, "void", reason, by), {"code": code}, dry_run=dry_run, as_json=as_json)


def set_(
    sensor: str,
    value: float,
    /,
    *,
    dsn: Dsn,
    from_: From,
    to: To,
    reason: Reason,
    by: By = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Make every reading in the range one value, e.g. a ticket that was typed wrong. The raw readings stay.

    Parameters
    ----------
    sensor
        Id of the sensor in hub.yaml.
    value
        What the readings are, in the sensor's unit.
    """
    return _make(dsn, (sensor, from_, to, "set", reason, by), {"value": value}, dry_run=dry_run, as_json=as_json)


def adjust(
    sensor: str,
    /,
    *,
    dsn: Dsn,
    from_: From,
    to: To,
    reason: Reason,
    factor: Annotated[float, Parameter(help="Times this.")] = 1.0,
    offset: Annotated[float, Parameter(help="Plus this, in the sensor's unit.")] = 0.0,
    by: By = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Make every reading in the range `raw * factor + offset`, e.g. after a calibration. The raw readings stay.

    Parameters
    ----------
    sensor
        Id of the sensor in hub.yaml.
    """
    numbers = {"factor": factor, "offset": offset}
    return _make(dsn, (sensor, from_, to, "adjust", reason, by), numbers, dry_run=dry_run, as_json=as_json)


def list_(
    *,
    dsn: Dsn,
    sensor: Annotated[str | None, Parameter(help="Only of this sensor.")] = None,
    as_json: AsJson = False,
) -> int:
    """Every correction that was made, newest first, with those that were withdrawn."""
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import corrections, sensor_named, zone_of

    with open_connection(dsn, "correct", autocommit=True) as connection:
        if sensor is not None:
            sensor_named(connection, sensor)
        found, zone = corrections(connection, sensor), zone_of(connection)
    if as_json:
        print_json({"corrections": [_facts(each) for each in found]})
        return 0
    print("\n".join(_line(each, zone) for each in found) or "Nothing was ever corrected.")
    return 0


def show(correction_id: int, /, *, dsn: Dsn, as_json: AsJson = False) -> int:
    """One correction: what it says, who made it and why, and what rests on its readings.

    Parameters
    ----------
    correction_id
        Its number, as `sidestream correct list` shows it.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import correction, impact, sensor_named, zone_of

    with open_connection(dsn, "correct", autocommit=True) as connection:
        found, zone = correction(connection, correction_id), zone_of(connection)
        touched = impact(connection, sensor_named(connection, found.sensor), found.from_at, found.to_at, found.code)
    if as_json:
        print_json(_facts(found) | {"impact": asdict(touched)})
        return 0
    print(_line(found, zone))
    _say_impact(touched, "rests on these")
    return 0


def withdraw(correction_id: int, /, *, dsn: Dsn, reason: Reason, by: By = None, as_json: AsJson = False) -> int:
    """Let a correction count no longer; that it was made and withdrawn stays on record.

    Parameters
    ----------
    correction_id
        Its number, as `sidestream correct list` shows it.
    """
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.corrections.write import withdraw as take_back

    with open_connection(dsn, "correct", autocommit=True) as connection:
        done = take_back(connection, correction_id, by or getpass.getuser(), reason, datetime.now(UTC))
        zone = zone_of(connection)
    if as_json:
        print_json(_facts(done))
    else:
        print(f"{_line(done, zone)}\nFigures follow with the next pass of the twin.")
    return 0


def _make(
    dsn: str, said: tuple[str, str, str, Any, str, str | None], numbers: dict[str, Any], *, dry_run: bool, as_json: bool
) -> int:
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.model import Draft
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.corrections.write import make, weigh

    sensor, from_, to, action, reason, by = said
    with open_connection(dsn, "correct", autocommit=True) as connection:
        zone, now_at = zone_of(connection), datetime.now(UTC)
        from_at, to_at = understood(from_, zone, "--from"), understood(to, zone, "--to")
        draft = Draft(sensor, from_at, to_at, action, reason, by or getpass.getuser(), **numbers)
        if dry_run:
            known, touched = weigh(connection, draft, now_at)
            made = None
            line = f"{sensor}: would {_says(draft, known.unit)}, {shown(from_at, zone)} until {shown(to_at, zone)}"
        else:
            made, touched = make(connection, draft, now_at)
            line = _line(made, zone)
    if as_json:
        facts = _facts(made) if made else asdict(draft)
        print_json(facts | {"made": made is not None, "impact": asdict(touched)})
        return 0
    print(line)
    _say_impact(touched, "rests on these")
    print(
        "Nothing was changed (dry run): without --dry-run it is made."
        if dry_run
        else "Figures follow with the next pass of the twin."
    )
    return 0


def _say_impact(touched: Impact, how: str) -> None:
    print(f"  {touched.readings} readings; what {how} readings:")
    for line in touched.lines():
        print(f"    {line}")


def _says(what: Draft | Correction, unit: str) -> str:
    if what.action == "set":
        return f"set to {what.value} {unit}"
    if what.action == "adjust":
        return f"adjust to raw * {what.factor} + {what.offset} {unit}"
    return f"void reads of {what.code}" if what.code else "void"


def _line(found: Correction, zone: str) -> str:
    line = (
        f"{found.correction_id}  {found.sensor}: {_says(found, found.unit)}, {shown(found.from_at, zone)} until "
        f"{shown(found.to_at, zone)}; {found.reason} ({found.author}, {shown(found.made_at.replace(microsecond=0), zone)})"
    )
    if found.withdrawn_at is None:
        return line
    return f"{line}; withdrawn {shown(found.withdrawn_at.replace(microsecond=0), zone)} by {found.withdrawn_by}: {found.withdrawn_why}"


def _facts(found: Correction) -> dict[str, Any]:
    return asdict(found) | {"in_force": found.in_force}
