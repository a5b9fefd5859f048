"""Which sensors changed when: claimed with the pass's transaction, in whole steps, and put back where work is left.

A step is numbered by its start divided by its length, counted from the Unix epoch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidestream_store.connect import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Changed:
    """Readings or scans of a sensor changed in steps `first` to before `stop`."""

    sensor_id: int
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a pass took: how many rows, and the steps they touch, without overlap, by sensor and time."""

    rows: int
    changed: tuple[Changed, ...]


def step_start(step: int, step_s: int) -> datetime:
    """The instant at which a step begins."""
    return _EPOCH + timedelta(seconds=step * step_s)


def claim(connection: Connection, step_s: int, limit: int) -> Claim:
    """The newest and the oldest rows, `limit` at most and half of it each, are gone when the transaction commits.

    Here is what they said. The newest half keeps what happens now from waiting behind a backlog, the oldest half gets
    the backlog done. Rows that someone else holds are left. `limit` ≥ 1; a limit of one takes the oldest.
    Time whose readings retention has dropped is left out, and a day more, whose figures would rest on them.
    """
    rows = connection.execute(
        "WITH oldest AS MATERIALIZED ("
        "   SELECT dirty_id FROM sidestream.dirty ORDER BY dirty_id LIMIT %(oldest)s FOR UPDATE SKIP LOCKED),"
        " newest AS MATERIALIZED ("
        "   SELECT dirty_id FROM sidestream.dirty ORDER BY dirty_id DESC LIMIT %(newest)s FOR UPDATE SKIP LOCKED),"
        " picked AS MATERIALIZED (SELECT dirty_id FROM oldest UNION SELECT dirty_id FROM newest),"
        " gone AS (DELETE FROM sidestream.dirty d USING picked p WHERE d.dirty_id = p.dirty_id"
        "   RETURNING d.sensor_id, d.from_at, d.to_at),"
        " there AS (SELECT sensor_id, range_agg(tstzrange(from_at, to_at, '[]')) - COALESCE("
        "   (SELECT tstzmultirange(tstzrange(d.from_at, d.before + interval '1 day')) FROM sidestream.dropped d"
        "    WHERE d.sensor_id = gone.sensor_id), '{}') AS times FROM gone GROUP BY sensor_id),"
        " steps AS (SELECT sensor_id, range_agg(int8range("
        "   floor(extract(epoch FROM lower(time)) / %(step)s)::bigint,"
        "   floor(extract(epoch FROM CASE WHEN upper_inc(time) THEN upper(time) ELSE upper(time) - interval '1 us' END)"
        "     / %(step)s)::bigint + 1)) AS touched FROM there, unnest(times) AS time GROUP BY sensor_id)"
        " SELECT sensor_id, lower(part), upper(part), c.n FROM (SELECT count(*) AS n FROM gone) c"
        " LEFT JOIN (SELECT sensor_id, unnest(touched) AS part FROM steps) s ON true ORDER BY sensor_id, part",
        {"oldest": limit - limit // 2, "newest": limit // 2, "step": step_s},
    ).fetchall()
    return Claim(rows[0][3], tuple(Changed(*row[:3]) for row in rows if row[0] is not None))


def put_back(connection: Connection, left: Iterable[Changed], step_s: int) -> None:
    """These steps are dirty again: the pass claimed them and did not, or could not yet, compute them."""
    rows = list(left)
    if rows:
        connection.execute(
            "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
            " SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])",
            [
                [row.sensor_id for row in rows],
                [step_start(row.first, step_s) for row in rows],
                [step_start(row.stop, step_s) - _LAST_INSTANT for row in rows],
            ],
        )


def refresh_rollups(connection: Connection, changed: Iterable[Changed], step_s: int, now_at: datetime) -> None:
    """Roll-ups of the changed ranges are those of the readings as they are, and known from `now_at` where they changed."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for part in changed:
        alike[part.first, part.stop].append(part.sensor_id)
    for (first, stop), sensors in sorted(alike.items()):
        connection.execute(
            "SELECT sidestream.refresh_rollups(%s::int[], %s, %s, %s)",
            [sensors, step_start(first, step_s), step_start(stop, step_s) - _LAST_INSTANT, now_at],
        )


def waiting(connection: Connection) -> int:
    """How many dirty rows there are."""
    row = connection.execute("SELECT count(*) FROM sidestream.dirty").fetchone()
    return int(row[0]) if row else 0
