"""What keeps a hub's database in order from hour to hour and day to day, and what is worth saying about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.twin.stocks import thin_checkpoints

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of the live sensors with a stated period: how many there are, and those that sent under 95 % of what they should.

    `silent` are their ids, worst first, with the share that came.
    """

    from_at: datetime
    sensors: int
    silent: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class OpenQuarantine:
    """How many readings of a device wait in quarantine for one reason."""

    device: str
    reason: str
    readings: int


def hub_completeness(connection: Connection, until: datetime) -> Completeness:
    """How complete the hour before `until` is, by the hourly roll-ups; `until` is a full hour."""
    with transient_errors("read the hour's completeness"):
        rows = connection.execute(
            "SELECT s.id, LEAST(COALESCE(r.n, 0) / (3600 / s.period_s), 1)::float8 AS share"
            " FROM sidestream_v.sensor s LEFT JOIN sidestream_v.rollup_1h r"
            "   ON r.sensor_id = s.sensor_id AND r.bucket = %s - interval '1 hour'"
            " WHERE s.period_s IS NOT NULL AND s.quantity <> 'scan' ORDER BY share, s.id",
            [until],
        ).fetchall()
        first = connection.execute("SELECT %s - interval '1 hour'", [until]).fetchone()
    return Completeness(first[0] if first else until, len(rows), tuple((s, share) for s, share in rows if share < 0.95))


def open_quarantine(connection: Connection) -> list[OpenQuarantine]:
    """What is in quarantine and not yet dealt with, most first."""
    with transient_errors("count the quarantine"):
        rows = connection.execute(
            "SELECT device, reason, sum(readings)::bigint FROM sidestream_v.quarantine WHERE state = 'open'"
            " GROUP BY device, reason ORDER BY 3 DESC, 1, 2"
        ).fetchall()
    return [OpenQuarantine(*row) for row in rows]


def hub_timezone(connection: Connection) -> str:
    """The zone in which the hub's days begin; ConfigurationError when no hub is applied."""
    with transient_errors("read the hub's time zone"):
        row = connection.execute("SELECT timezone FROM sidestream_v.hub").fetchone()
    if row is None:
        raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    return str(row[0])


def thin_out(connection: Connection, older_than: datetime) -> int:
    """Of a stock's checkpoints before `older_than` one a day stays; how many went."""
    with transient_errors("thin out checkpoints"), connection.transaction():
        return thin_checkpoints(connection, older_than, _DAY_S)
