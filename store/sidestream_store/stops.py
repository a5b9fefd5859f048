"""Planned stops: what stands still from when until when, who said so and why. Never deleted: ended, or taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.spoken import readable
from sidestream_store.connect import Connection, transient_errors

_STOPS = "SELECT stop_id, hub_id, node, stream, from_at, to_at, why, author, state FROM sidestream_v.planned_stop"


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned stop of a node or of a stream; `to_at` None: until further notice. `hub_id`: hub.yaml says it."""

    stop_id: int
    hub_id: str | None
    node: str | None
    stream: str | None
    from_at: datetime
    to_at: datetime | None
    why: str
    author: str
    state: str

    @property
    def of(self) -> str:
        """What stands still."""
        return f"node {self.node}" if self.node else f"stream {self.stream}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A stop that is to be planned: of a node or of a stream, with who says so and why."""

    node: str | None
    stream: str | None
    from_at: datetime
    to_at: datetime | None
    why: str
    author: str


def add_stop(connection: Connection, draft: Draft) -> Stop:
    """The stop is planned; ConfigurationError where the hub has no such node or stream, or the times can't be."""
    if (draft.node is None) == (draft.stream is None):
        raise ConfigurationError("Say what stands still: either --node or --stream.")
    if draft.to_at is not None and draft.to_at <= draft.from_at:
        raise ConfigurationError(
            f"The stop would end at {draft.to_at}, which is not after its beginning at {draft.from_at}."
        )
    if not readable(draft.why, "The reason") or not readable(draft.author, "The author's name"):
        raise ConfigurationError("Say why it stands still, and who says so; neither may be empty.")
    with transient_errors("plan a stop"):
        kind, name, query = ("node", draft.node, _NODES) if draft.node else ("stream", draft.stream, _STREAMS)
        known = [row[0] for row in connection.execute(query).fetchall()]
        if name not in known:
            raise ConfigurationError(f"The hub has no {kind} {name!r}; it has: {', '.join(known)}.")
        row = connection.execute(
            "INSERT INTO sidestream.planned_stop (node, stream, from_at, to_at, why, author)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING stop_id",
            [draft.node, draft.stream, draft.from_at, draft.to_at, draft.why, draft.author],
        ).fetchone()
        return _one(connection, row[0] if row else 0)


_NODES = "SELECT id FROM sidestream_v.node ORDER BY id"
_STREAMS = "SELECT id FROM sidestream_v.stream ORDER BY id"


def end_stop(connection: Connection, stop_id: int, at: datetime, author: str) -> Stop:
    """The stop is over at `at`; one that would not have begun by then is taken back, and stays on record as such."""
    with transient_errors("end a stop"), connection.transaction():
        stop = _one(connection, stop_id)
        if stop.hub_id is not None:
            raise ConfigurationError(
                f"Stop {stop_id} stands in hub.yaml as {stop.hub_id!r}; change it there and run `sidestream hub apply`."
            )
        if stop.state == "withdrawn" or (stop.to_at is not None and stop.to_at <= at):
            raise ConfigurationError(
                f"Stop {stop_id} is over already: it is {stop.state}, and ended by {stop.to_at or at}."
            )
        if at <= stop.from_at:
            connection.execute(
                "UPDATE sidestream.planned_stop SET withdrawn_at = now(), withdrawn_by = %s, judged = false WHERE stop_id = %s",
                [author, stop_id],
            )
        else:
            connection.execute(
                "UPDATE sidestream.planned_stop SET to_at = %s, ended_by = %s, ended_at = now(), judged = false"
                " WHERE stop_id = %s",
                [at, author, stop_id],
            )
        return _one(connection, stop_id)


def list_stops(connection: Connection, *, past: bool) -> list[Stop]:
    """Stops that are planned or running, by their beginning; with `past` also those that are over or were taken back."""
    with transient_errors("list stops"):
        rows = connection.execute(
            _STOPS + " WHERE %s OR state IN ('planned', 'running') ORDER BY from_at, stop_id",
            [past],
        ).fetchall()
    return [Stop(*row) for row in rows]


def standing_stops(connection: Connection) -> list[Stop]:
    """Every stop that was not taken back, past ones too, in the order of their beginnings."""
    rows = connection.execute(_STOPS + " WHERE withdrawn_at IS NULL ORDER BY from_at, stop_id").fetchall()
    return [Stop(*row) for row in rows]


def unjudged_stops(connection: Connection) -> list[Stop]:
    """Stops that changed since agreements were last judged with them; they count as judged when the transaction commits."""
    changed = connection.execute(
        "UPDATE sidestream.planned_stop SET judged = true WHERE NOT judged RETURNING stop_id"
    ).fetchall()
    if not changed:
        return []
    rows = connection.execute(_STOPS + " WHERE stop_id = ANY (%s) ORDER BY stop_id", [[row[0] for row in changed]])
    return [Stop(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class HubStop:
    """A stop as hub.yaml says it."""

    id: str
    node: str | None
    stream: str | None
    from_at: datetime
    to_at: datetime | None
    why: str


def replace_hub_stops(connection: Connection, stops: Sequence[HubStop], author: str) -> None:
    """Of stops that hub.yaml says exactly these stand; what it no longer says, or says otherwise, is taken back."""
    standing = {
        row[0]: HubStop(*row)
        for row in connection.execute(
            "SELECT hub_id, node, stream, from_at, to_at, why FROM sidestream.planned_stop"
            " WHERE hub_id IS NOT NULL AND withdrawn_at IS NULL"
        ).fetchall()
    }
    wanted = {stop.id: stop for stop in stops}
    gone = [name for name, stop in standing.items() if wanted.get(name) != stop]
    connection.execute(
        "UPDATE sidestream.planned_stop SET withdrawn_at = now(), withdrawn_by = %s, judged = false"
        " WHERE hub_id = ANY (%s) AND withdrawn_at IS NULL",
        [author, gone],
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sidestream.planned_stop (hub_id, node, stream, from_at, to_at, why, author)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (stop.id, stop.node, stop.stream, stop.from_at, stop.to_at, stop.why, author)
                for name, stop in wanted.items()
                if standing.get(name) != stop
            ],
        )


def _one(connection: Connection, stop_id: int) -> Stop:
    row = connection.execute(_STOPS + " WHERE stop_id = %s", [stop_id]).fetchone()
    if row is None:
        raise ConfigurationError(f"There is no stop {stop_id}; `sidestream twin stop list --past` shows all.")
    return Stop(*row)
