"""`sidestream twin note add|list`."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson, Dsn

if TYPE_CHECKING:
    from sidestream_store.notes import Note

By = Annotated[str | None, Parameter(name="--by", help="Who writes; default: the user who is logged in.")]


def add(
    about: str,
    text: str,
    /,
    *,
    dsn: Dsn,
    from_: Annotated[
        str | None, Parameter(name="--from", help="From when on; default: now. Without an offset in the hub's zone.")
    ] = None,
    to: Annotated[str | None, Parameter(name="--to", help="Until when; default: an instant.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Write a shift note beside the numbers. It is never edited or deleted; a mistake is mended by another note.

    `sidestream twin note add node/slag-silo "Level sensor cleaned" --by Kari`

    Parameters
    ----------
    about
        node/…, stream/…, agreement/…, sensor/…, or hub.
    text
        What is to be known.
    """
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.notes import NoteDraft, about_named, add_note

    with open_connection(dsn, "note", autocommit=True) as connection:
        zone, now_at = zone_of(connection), datetime.now(UTC)
        from_at = understood(from_, zone, "--from") if from_ else now_at
        to_at = understood(to, zone, "--to") if to else from_at
        draft = NoteDraft(about_named(connection, about), from_at, to_at, text, by or getpass.getuser())
        note = add_note(connection, draft, now_at)
    if as_json:
        print_json(asdict(note))
    else:
        print(_line(note, zone))
    return 0


def list_(
    about: str | None = None,
    /,
    *,
    dsn: Dsn,
    from_: Annotated[str | None, Parameter(name="--from", help="Only notes of this time on.")] = None,
    to: Annotated[str | None, Parameter(name="--to", help="Only notes of before.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
) -> int:
    """Notes, newest first, of one thing or of all.

    Parameters
    ----------
    about
        node/…, stream/…, agreement/…, sensor/…, or hub; default: everything.
    """
    from sidestream_contracts.times import understood
    from sidestream_store.connect import open_connection
    from sidestream_store.corrections.read import zone_of
    from sidestream_store.notes import Asked, about_named, notes

    with open_connection(dsn, "note", autocommit=True) as connection:
        zone = zone_of(connection)
        asked = Asked(
            about_named(connection, about) if about else None,
            understood(from_, zone, "--from") if from_ else None,
            understood(to, zone, "--to") if to else None,
            limit,
        )
        found = notes(connection, asked)
    if as_json:
        print_json({"notes": [asdict(note) for note in found]})
    else:
        print("\n".join(_line(note, zone) for note in found) or "There are no notes.")
    return 0


def _line(note: Note, zone: str) -> str:
    from sidestream_contracts.times import shown

    until = "" if note.to_at == note.from_at else f" until {shown(note.to_at.replace(microsecond=0), zone)}"
    when = shown(note.from_at.replace(microsecond=0), zone)
    about = f"{note.subject_kind}/{note.subject}" if note.subject else "hub"
    return f"{note.note_id}  {about}, {when}{until}: {note.text} ({note.author})"
