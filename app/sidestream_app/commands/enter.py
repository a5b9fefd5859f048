"""`sidestream enter`."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.times import shown

if TYPE_CHECKING:
    from sidestream_app.manual import Said


def enter(
    sensor: str | None = None,
    value: str | None = None,
    /,
    *,
    dsn: Dsn,
    at: Annotated[str | None, Parameter(help="When it was counted; without an offset in the hub's zone.")] = None,
    by: Annotated[str | None, Parameter(help="Who counted, weighed or read.")] = None,
    unit: Annotated[str | None, Parameter(help="UCUM unit of the value; default: the sensor's.")] = None,
    sd: Annotated[str | None, Parameter(help="Its standard deviation, same unit; default: the sensor's.")] = None,
    note: Annotated[str | None, Parameter(help="Kept beside the value, e.g. the ticket's number.")] = None,
    file: Annotated[
        Path | None, Parameter(help="Instead: a CSV of sensor,value,unit,at,by,note,sd; also with ; and decimal comma.")
    ] = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative=(), help="Only check.")] = False,
    as_json: AsJson = False,
) -> int:
    """Enter what a person counted, weighed or read, by the same door as a device: checked, once, and with its author.

    The sensor belongs to a device of `kind: manual` in hub.yaml. The same entry twice is one. A file is entered whole or
    not at all; a wrong line is named. A wrong entry is voided or set with `sidestream correct`.

    Parameters
    ----------
    sensor
        Id of the sensor in hub.yaml.
    value
        The number; with a point.
    """
    from sidestream_app.manual import Said, tickets

    if file is not None:
        if any(option is not None for option in (sensor, value, at, by, unit, sd, note)):
            raise ConfigurationError("With --file everything stands in the file; give nothing else.")
        said = list(tickets(file))
    elif sensor is None or value is None or at is None or by is None:
        raise ConfigurationError("Say SENSOR and VALUE, --at when and --by whom; or --file with a CSV.")
    else:
        said = [Said(sensor, value, unit, at, by, note, sd)]
    return _enter(dsn, said, dry_run=dry_run, as_json=as_json)


def _enter(dsn: str, said: list[Said], *, dry_run: bool, as_json: bool) -> int:
    from sidestream_app.manual import Hub, refuse_seconds, understood_entry
    from sidestream_store.catalogue import load_catalogue
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.guard import check_writable
    from sidestream_store.manual import manual_sensors, other_sensors, save_entries, standing_entries

    now_at = datetime.now(UTC)
    with open_connection(dsn, "enter", autocommit=True) as connection:
        check_writable(connection)
        hub = Hub(
            load_catalogue(connection), zone_of(connection), manual_sensors(connection), other_sensors(connection)
        )
        entries = [understood_entry(each, hub, now_at) for each in said]
        standing = standing_entries(connection, [(entry.sensor_id, entry.at) for entry in entries])
        refuse_seconds(said, entries, standing)
        new = [False] * len(entries) if dry_run else save_entries(connection, entries, getpass.getuser())
    if as_json:
        facts = [
            {"sensor": s.sensor, "at": e.at, "value": e.value, "sd": e.sd, "by": e.author, "new": n}
            for s, e, n in zip(said, entries, new, strict=True)
        ]
        print_json({"entered": sum(new), "entries": facts})
        return 0
    for each, entry, is_new in zip(said, entries, new, strict=True):
        word = "would be entered" if dry_run else "entered" if is_new else "already entered"
        sure = f" (sd {entry.sd:g})" if entry.sd is not None else ""
        held = f"{entry.value:g} {hub.people[each.sensor].unit}{sure}"
        print(f"{each.sensor}: {held} at {shown(entry.at, hub.zone)} by {entry.author}: {word}")
    return 0
