"""Makes and withdraws corrections. The database itself lays the overlay and marks what must be computed again."""

from __future__ import annotations

from datetime import datetime

import psycopg

from sidestream_contracts.errors import DomainError
from sidestream_contracts.spoken import readable
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.corrections.model import Correction, Draft, Impact
from sidestream_store.corrections.read import CorrectedSensor, correction, impact, sensor_named


def weigh(connection: Connection, draft: Draft, now_at: datetime) -> tuple[CorrectedSensor, Impact]:
    """What the correction would touch; DomainError for one that makes no sense: no readings, the future, a set of scans."""
    sensor = sensor_named(connection, draft.sensor)
    if draft.to_at > now_at:
        raise DomainError(f"The range ends at {draft.to_at}, which is still to come; correct what has been read.")
    if sensor.quantity == "scan" and draft.action != "void":
        raise DomainError(
            f"{draft.sensor!r} reads codes, and a code can't be {draft.action}; false reads can be voided."
        )
    if sensor.quantity != "scan" and draft.code is not None:
        raise DomainError(f"{draft.sensor!r} reads no codes, so --code says nothing.")
    found = impact(connection, sensor, draft.from_at, draft.to_at, draft.code)
    if found.readings == 0:
        raise DomainError(
            f"{draft.sensor!r} has no readings in this range, so there is nothing to correct; "
            "a reading that is missing is entered with `sidestream enter`."
        )
    return sensor, found


def make(connection: Connection, draft: Draft, now_at: datetime) -> tuple[Correction, Impact]:
    """The correction is on record and in force; figures follow with the next pass. Errors as `weigh`."""
    sensor, found = weigh(connection, draft, now_at)
    with transient_errors("make a correction"), connection.transaction():
        row = connection.execute(
            "INSERT INTO sidestream.correction (sensor_id, from_at, to_at, action, value, factor, offset_value, code, reason,"
            " author, made_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING correction_id",
            [
                sensor.sensor_id, draft.from_at, draft.to_at, draft.action, draft.value, draft.factor, draft.offset,
                draft.code, draft.reason, draft.author, now_at,
            ],
        ).fetchone()  # fmt: skip
    assert row is not None
    return correction(connection, row[0]), found


def withdraw(connection: Connection, correction_id: int, by: str, why: str, now_at: datetime) -> Correction:
    """The correction no longer counts, and that is on record; DomainError where there is none, or it was withdrawn before."""
    standing = correction(connection, correction_id)
    if not readable(why, "The reason") or not readable(by, "The name of who withdraws it"):
        raise DomainError("Say who withdraws it and why, with --by and --reason; it stays on record.")
    try:
        with transient_errors("withdraw a correction"), connection.transaction():
            done = connection.execute(
                "UPDATE sidestream.correction SET withdrawn_at = %s, withdrawn_by = %s, withdrawn_why = %s"
                " WHERE correction_id = %s AND withdrawn_at IS NULL",
                [now_at, by, why, correction_id],
            ).rowcount
    except psycopg.errors.RaiseException as error:
        raise DomainError(str(error)) from error
    if not done:
        raise DomainError(
            f"Correction {correction_id} was withdrawn already, at {standing.withdrawn_at} by {standing.withdrawn_by}."
        )
    return correction(connection, correction_id)
