"""What was corrected, and what a correction would touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import nearest
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.corrections.model import Correction, Impact, Touched

_COLUMNS = (
    "correction_id, sensor, unit, from_at, to_at, action, value, factor, offset_value, code, reason, author, made_at,"
    " withdrawn_at, withdrawn_by, withdrawn_why"
)


@dataclass(frozen=True, slots=True)
class CorrectedSensor:
    """The sensor that a correction is about; one that hub.yaml no longer has can be corrected too."""

    sensor_id: int
    id: str
    quantity: str
    unit: str


def corrections(connection: Connection, sensor: str | None = None) -> list[Correction]:
    """Every correction, of one sensor or of all, newest first."""
    with transient_errors("list corrections"):
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM sidestream_v.correction WHERE %(sensor)s::text IS NULL OR sensor = %(sensor)s"  # noqa: S608
            " ORDER BY correction_id DESC",
            {"sensor": sensor},
        ).fetchall()
    return [Correction(*row) for row in rows]


def correction(connection: Connection, correction_id: int) -> Correction:
    """One correction; DomainError where there is none of this number."""
    with transient_errors("show a correction"):
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM sidestream_v.correction WHERE correction_id = %s",  # noqa: S608
            [correction_id],
        ).fetchone()
    if row is None:
        raise DomainError(f"There is no correction {correction_id}; `sidestream correct list` shows those there are.")
    return Correction(*row)


def sensor_named(connection: Connection, name: str) -> CorrectedSensor:
    """The sensor of this id; DomainError with the nearest one where there is none."""
    with transient_errors("look a sensor up"):
        row = connection.execute(
            "SELECT sensor_id, id, quantity, unit FROM sidestream.sensor WHERE id = %s", [name]
        ).fetchone()
        if row is not None:
            return CorrectedSensor(*row)
        known = [known for (known,) in connection.execute("SELECT id FROM sidestream_v.sensor").fetchall()]
    guess = nearest(name, known)
    raise DomainError(f"There is no sensor {name!r}" + (f"; did you mean {guess!r}?" if guess else "."))


def zone_of(connection: Connection) -> str:
    """The hub's time zone; DomainError when no hub is applied."""
    with transient_errors("read the hub's time zone"):
        row = connection.execute("SELECT timezone FROM sidestream_v.hub").fetchone()
    if row is None:
        raise DomainError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    return str(row[0])


def impact(
    connection: Connection, sensor: CorrectedSensor, from_at: datetime, to_at: datetime, code: str | None = None
) -> Impact:
    """How many readings of the sensor lie in [from_at, to_at), and which figures rest on them."""
    asked = {"id": sensor.sensor_id, "name": sensor.id, "from": from_at, "to": to_at, "code": code}
    with transient_errors("see what a correction touches"):
        if sensor.quantity == "scan":
            return Impact(_count(connection, _SCANS, asked), (Touched("lots", _count(connection, _LOTS, asked), 0),))
        rows: Sequence[tuple[Any, ...]] = connection.execute(_FIGURES, asked).fetchall()
        return Impact(_count(connection, _READINGS, asked), tuple(Touched(*row) for row in rows))


def _count(connection: Connection, query: str, asked: dict[str, Any]) -> int:
    row = connection.execute(query, asked).fetchone()
    return int(row[0]) if row else 0


_READINGS = "SELECT count(*) FROM sidestream_v.reading WHERE sensor_id = %(id)s AND time >= %(from)s AND time < %(to)s"
_SCANS = (
    "SELECT count(*) FROM sidestream_v.scan WHERE sensor_id = %(id)s AND time >= %(from)s AND time < %(to)s"
    " AND (%(code)s::text IS NULL OR code = %(code)s)"
)
_LOTS = _SCANS.replace("count(*)", "count(DISTINCT code)")
# A stock carries what it was on, so every later step of it rests on the readings as well.
_FIGURES = """
WITH rollups AS (
    SELECT 'roll-ups of a minute' AS what, bucket + interval '1 minute' AS ended_at FROM sidestream.rollup_1m
    WHERE sensor_id = %(id)s AND bucket > %(from)s - interval '1 minute' AND bucket < %(to)s
    UNION ALL SELECT 'roll-ups of an hour', bucket + interval '1 hour' FROM sidestream.rollup_1h
    WHERE sensor_id = %(id)s AND bucket > %(from)s - interval '1 hour' AND bucket < %(to)s
    UNION ALL SELECT 'roll-ups of a day', date_add(bucket, interval '1 day', h.timezone)
    FROM sidestream.rollup_1d CROSS JOIN sidestream.hub h
    WHERE sensor_id = %(id)s AND date_add(bucket, interval '1 day', h.timezone) > %(from)s AND bucket < %(to)s
), twin AS (
    SELECT l.quantity || ' of ' || l.subject AS what, v.time + make_interval(secs => v.step_s) AS ended_at
    FROM sidestream.twin_latest l JOIN sidestream.twin_value v USING (subject_kind, subject, quantity)
    WHERE l.inputs -> 'sensors' ? %(name)s AND v.time > %(from)s - make_interval(secs => v.step_s)
        AND (v.time < %(to)s OR l.quantity = 'stock_mass')
), agreed AS (
    SELECT 'periods of agreement ' || a.agreement AS what, a.period_to AS ended_at
    FROM sidestream_v.agreement_status a JOIN sidestream.sensor s ON s.stream = a.stream
    WHERE s.sensor_id = %(id)s AND a.period_to > %(from)s AND a.period_from < %(to)s
)
SELECT what, count(*), count(*) FILTER (WHERE ended_at <= now())
FROM (SELECT 1 AS n, * FROM rollups UNION ALL SELECT 2, * FROM twin UNION ALL SELECT 3, * FROM agreed) found
GROUP BY n, what ORDER BY n, what
"""
