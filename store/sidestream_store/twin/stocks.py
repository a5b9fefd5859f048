"""What a stock's filter reads (flows and observations per step) and what it remembers (checkpoints)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import step_start


@dataclass(frozen=True, slots=True)
class Seen:
    """A stock's mass, kg, as one sensor showed it at the end of a step."""

    step: int
    sensor: str
    mass_kg: float
    sd_random: float
    sd_systematic: float


@dataclass(frozen=True, slots=True)
class SeenRange:
    """All observations of a node by a sensor in the steps `first` to before `stop`."""

    node: str
    sensor: str
    first: int
    stop: int
    seen: Sequence[Seen]


@dataclass(frozen=True, slots=True)
class Flowed:
    """A stream's mean mass flow in a step, kg/s; the values are None where it is not known."""

    step: int
    stream: str
    value: float | None
    sd_random: float | None
    sd_systematic: float | None
    completeness: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A filter's memory at the start of `step`, as the twin wrote it."""

    step: int
    state: dict[str, Any]


def save_observations(connection: Connection, ranges: Sequence[SeenRange], step_s: int) -> None:
    """The table holds exactly these observations in these ranges."""
    connection.execute(
        "DELETE FROM sidestream.stock_observation o"
        " USING unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS c (node, sensor, from_at, to_at)"
        " WHERE o.node = c.node AND o.sensor = c.sensor AND o.time >= c.from_at AND o.time < c.to_at",
        [
            [r.node for r in ranges],
            [r.sensor for r in ranges],
            [step_start(r.first, step_s) for r in ranges],
            [step_start(r.stop, step_s) for r in ranges],
        ],
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY sidestream.stock_observation (node, sensor, time, mass_kg, sd_random, sd_systematic) FROM STDIN"
        ) as copy,
    ):
        for r in ranges:
            for s in r.seen:
                at = step_start(s.step, step_s)
                copy.write_row((r.node, r.sensor, at, s.mass_kg, s.sd_random, s.sd_systematic))


def keep_observations_of(connection: Connection, sensors: Iterable[tuple[str, str]]) -> None:
    """Observations by any other (node, sensor) are gone, and every filter starts anew."""
    pairs = list(sensors)
    connection.execute(
        "DELETE FROM sidestream.stock_observation WHERE (node, sensor) NOT IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
        [[node for node, _ in pairs], [sensor for _, sensor in pairs]],
    )
    connection.execute("DELETE FROM sidestream.stock_checkpoint")


def newest_checkpoint(connection: Connection, node: str, until_step: int | None, step_s: int) -> Checkpoint | None:
    """How far a stock is computed; what it remembers of later than `until_step` is gone. None: not begun."""
    if until_step is not None:
        connection.execute(
            "DELETE FROM sidestream.stock_checkpoint WHERE node = %s AND at > %s",
            [node, step_start(until_step, step_s)],
        )
    row = connection.execute(
        "SELECT floor(extract(epoch FROM at) / %s)::bigint, state FROM sidestream.stock_checkpoint"
        " WHERE node = %s ORDER BY at DESC LIMIT 1",
        [step_s, node],
    ).fetchone()
    return Checkpoint(*row) if row else None


def save_checkpoints(
    connection: Connection, node: str, checkpoints: Sequence[Checkpoint], step_s: int, grid: int
) -> None:
    """These are remembered; of older ones only those on the grid of every `grid` steps stay."""
    connection.execute(
        "DELETE FROM sidestream.stock_checkpoint WHERE node = %s AND extract(epoch FROM at) %% %s <> 0",
        [node, grid * step_s],
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sidestream.stock_checkpoint (node, at, state) VALUES (%s, %s, %s)"
            " ON CONFLICT (node, at) DO UPDATE SET state = excluded.state",
            [(node, step_start(c.step, step_s), Jsonb(c.state)) for c in checkpoints],
        )


def thin_checkpoints(connection: Connection, older_than: datetime, grid_s: int) -> int:
    """Of checkpoints before `older_than` one every `grid_s` seconds stays; how many went."""
    return connection.execute(
        "DELETE FROM sidestream.stock_checkpoint WHERE at < %s AND extract(epoch FROM at) %% %s <> 0",
        [older_than, grid_s],
    ).rowcount


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` rows of the steps `first` to before `stop`."""

    first: int
    stop: int
    step_s: int
    limit: int

    def bounds(self) -> dict[str, Any]:
        """As parameters of a query."""
        step_s = self.step_s
        from_at, to_at = step_start(self.first, step_s), step_start(self.stop, step_s)
        return {"step": step_s, "from": from_at, "to": to_at, "limit": self.limit}


def load_flows(connection: Connection, streams: Sequence[str], window: Window) -> list[Flowed]:
    """Mass flows of these streams, in time order."""
    rows = connection.execute(
        "SELECT floor(extract(epoch FROM time) / %(step)s)::bigint, subject, value, sd_random, sd_systematic, completeness"
        " FROM sidestream_v.twin_value"
        " WHERE subject_kind = 'stream' AND subject = ANY (%(streams)s) AND quantity = 'mass_flow'"
        " AND time >= %(from)s AND time < %(to)s ORDER BY time, subject LIMIT %(limit)s",
        {"streams": list(streams), **window.bounds()},
    ).fetchall()
    return [Flowed(*row) for row in rows]


def load_observations(connection: Connection, node: str, window: Window) -> list[Seen]:
    """Observations of a node, in time order."""
    rows = connection.execute(
        "SELECT floor(extract(epoch FROM time) / %(step)s)::bigint, sensor, mass_kg, sd_random, sd_systematic"
        " FROM sidestream_v.stock_observation"
        " WHERE node = %(node)s AND time >= %(from)s AND time < %(to)s ORDER BY time, sensor LIMIT %(limit)s",
        {"node": node, **window.bounds()},
    ).fetchall()
    return [Seen(*row) for row in rows]
