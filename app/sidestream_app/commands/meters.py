"""`sidestream twin meters`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn

if TYPE_CHECKING:
    from sidestream_store.read.meters import MarkedValues, RegisterEvent


def meters(
    sensor: str | None = None,
    /,
    *,
    dsn: Dsn,
    from_: Annotated[
        str | None,
        Parameter(name="--from", help="First day or time; default: a week ago. Without an offset: hub's zone."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """What meters did beside measuring: registers that rolled over, were reset or exchanged, values that are doubted.

    Each event says what the register showed before and after, what was taken for granted, and what nobody saw. Values out
    of range and spikes are left out of figures; the readings themselves stay (docs/meters.md).

    Parameters
    ----------
    sensor
        Only this measuring point; default: all of them.
    """
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.read.meters import marked_values, register_events

    with open_connection(dsn, "twin", autocommit=True) as connection:
        zone = zone_of(connection)
        since = understood(from_, zone, "--from") if from_ else None
        events = register_events(connection, sensor, since)
        marks = marked_values(connection, sensor, since)
    if as_json:
        print_json({"events": [asdict(each) for each in events], "marks": [asdict(each) for each in marks]})
    else:
        print("\n".join(_lines(events, marks, zone)))
    return 0


def _lines(events: Sequence[RegisterEvent], marks: Sequence[MarkedValues], zone: str) -> Iterator[str]:
    from sidestream_contracts.times import shown

    if not events and not marks:
        yield "No register did anything but rise, and no value is doubted."
    for event in events:
        yield f"{shown(event.at.replace(microsecond=0), zone)}  {event.sensor} ({event.name}): {event.kind}"
        yield f"  showed {_number(event.before)} before and {_number(event.after)} {event.unit} after" + _note(
            event.note
        )
        if event.rise is not None:
            yield f"  taken as a rise of {event.rise:.10g} {event.unit}"
        elif event.unseen_from is not None and event.unseen_to is not None:
            ends = (shown(at.replace(microsecond=0), zone) for at in (event.unseen_from, event.unseen_to))
            yield "  what flowed is not known between {} and {}".format(*ends)
    for mark in marks:
        ends = (shown(at.replace(microsecond=0), zone) for at in (mark.first_at, mark.last_at))
        use = "left out of figures" if mark.left_out else "used"
        yield f"{mark.sensor} ({mark.name}): {mark.kind}, {mark.n} readings in {mark.steps} steps, {use}"
        yield "  between {} and {}, ".format(*ends) + f"from {mark.low:.6g} to {mark.high:.6g} {mark.unit}"


def _number(value: float | None) -> str:
    return "an unknown number" if value is None else f"{value:.10g}"


def _note(note: str | None) -> str:
    return f" ({note})" if note else ""
