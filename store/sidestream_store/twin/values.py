"""The twin's figures per step: a computed range replaces what was there, so that computing it again changes nothing.

What was published and is replaced stays readable under its revision: the views `…_history` and `…_as_known(date)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import step_start

TRUST = ("measured", "reconciled", "manual", "estimated", "forecast", "agreed")
"""Origins from the most to the least trusted."""
SUM_TABLES = ("twin_sum", "twin_sum_1h", "twin_sum_6h", "twin_sum_1d")
"""Where flows are added up, from the finest to the coarsest; see `sums`."""
SUM_WIDTHS = ("15 minutes", "1 hour", "6 hours", "1 day")
"""The width of a bucket in each of them, from midnight UTC."""
_SMALLEST = 1e-100
"""A figure closer to zero is kept as 0: PostgreSQL fails on a square that underflows, and the whole query with it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a figure is about: a stream's or node's quantity."""

    kind: str
    id: str
    quantity: str


@dataclass(frozen=True, slots=True)
class StepValue:
    """One step's figure in SI; `value` None where nothing is known, then the deviations are None too."""

    step: int
    value: float | None
    sd_random: float | None
    sd_systematic: float | None
    origin: str
    completeness: float
    n: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Computed:
    """All figures of a subject in the steps `first` to before `stop`; steps without one have none from now on."""

    subject: Subject
    first: int
    stop: int
    values: Sequence[StepValue]
    inputs: Mapping[str, Any]


def save_values(connection: Connection, computed: Sequence[Computed], step_s: int, now_at: datetime) -> int:
    """The table says exactly `computed` in the computed ranges; how many figures that are.

    Only what differs from what is there is written. A published figure that differs or is gone stays readable in
    `twin_value_history`; which hub version a figure was computed with is no difference.
    """
    if not computed:
        return 0
    connection.execute("SET LOCAL client_min_messages = warning")  # or each pass would say that the table is there
    connection.execute(_FRESH_TABLE)
    connection.execute("TRUNCATE pg_temp.fresh_twin_value")
    count = 0
    with connection.cursor() as cursor, cursor.copy("COPY pg_temp.fresh_twin_value FROM STDIN") as copy:
        for row in _rows(computed, step_s):
            copy.write_row(row)
            count += 1
    connection.execute(_MARK_CORRECTED)
    kinds, subjects, quantities = _subjects(part.subject for part in computed)
    from_at, to_at = _bounds(computed, step_s)
    connection.execute(
        _PUBLISH,
        {"kinds": kinds, "subjects": subjects, "quantities": quantities, "from": from_at, "to": to_at, "now": now_at},
    )
    return count


_FRESH_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS fresh_twin_value (
    subject_kind text, subject text, quantity text, time timestamptz, step_s int, value double precision,
    sd_random double precision, sd_systematic double precision, origin text, completeness double precision, n bigint,
    inputs jsonb, flags jsonb
) ON COMMIT DELETE ROWS
"""

CORRECTED = "corrected"
"""The flag that saving adds to what its maker said of a figure."""

# The flag `corrected`: in that step somebody's correction is in force on one of the sensors that the figure is made of.
_MARK_CORRECTED = """
UPDATE pg_temp.fresh_twin_value f SET flags = f.flags || '["corrected"]'
WHERE (SELECT EXISTS (SELECT FROM sidestream.correction WHERE withdrawn_at IS NULL)) AND EXISTS (
    SELECT FROM sidestream.correction c JOIN sidestream.sensor s USING (sensor_id)
    WHERE c.withdrawn_at IS NULL AND f.inputs -> 'sensors' ? s.id
        AND c.from_at < f.time + make_interval(secs => f.step_s) AND c.to_at > f.time
)
"""

_PUBLISH = """
WITH standing AS (
    SELECT v.* FROM unnest(%(kinds)s::text[], %(subjects)s::text[], %(quantities)s::text[], %(from)s::timestamptz[],
        %(to)s::timestamptz[]) AS c (subject_kind, subject, quantity, from_at, to_at)
    JOIN sidestream.twin_value v ON v.subject_kind = c.subject_kind AND v.subject = c.subject AND v.quantity = c.quantity
        AND v.time >= c.from_at AND v.time < c.to_at
), hub AS MATERIALIZED (
    SELECT make_interval(secs => settle_s) AS settle, sidestream.last_corrected_at() AS corrected_at FROM sidestream.hub
), differing AS MATERIALIZED (
    SELECT subject_kind, subject, quantity, time, old.revision, old.known_at, new.step_s, new.value, new.sd_random,
           new.sd_systematic, new.origin, new.completeness, new.n, new.inputs, new.flags,
           %(now)s >= GREATEST(time + make_interval(secs => old.step_s), old.known_at) + hub.settle
               OR (%(now)s >= time + make_interval(secs => old.step_s) AND old.known_at <= hub.corrected_at) AS published
    FROM standing old FULL JOIN pg_temp.fresh_twin_value new USING (subject_kind, subject, quantity, time) CROSS JOIN hub
    WHERE (old.step_s, old.value, old.sd_random, old.sd_systematic, old.origin, old.completeness, old.n, old.flags,
            old.inputs - 'hub_version')
        IS DISTINCT FROM (new.step_s, new.value, new.sd_random, new.sd_systematic, new.origin, new.completeness, new.n,
            new.flags, new.inputs - 'hub_version')
), kept AS (
    INSERT INTO sidestream.twin_value_history
    SELECT v.*, GREATEST(%(now)s, v.known_at)
    FROM differing d JOIN sidestream.twin_value v USING (subject_kind, subject, quantity, time) WHERE d.published
), gone AS (
    DELETE FROM sidestream.twin_value v USING differing d
    WHERE d.step_s IS NULL AND v.subject_kind = d.subject_kind AND v.subject = d.subject AND v.quantity = d.quantity
        AND v.time = d.time
)
INSERT INTO sidestream.twin_value (subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic, origin,
    completeness, n, inputs, flags, computed_at, revision, known_at)
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic, origin, completeness, n, inputs,
       flags, %(now)s,
       COALESCE(revision + published::int, (
           SELECT max(h.revision) + 1 FROM sidestream.twin_value_history h
           WHERE h.subject_kind = d.subject_kind AND h.subject = d.subject AND h.quantity = d.quantity AND h.time = d.time
       ), 1),
       sidestream.known_from(published, revision, known_at, %(now)s)
FROM differing d WHERE step_s IS NOT NULL
ON CONFLICT (subject_kind, subject, quantity, time) DO UPDATE SET step_s = excluded.step_s, value = excluded.value,
    sd_random = excluded.sd_random, sd_systematic = excluded.sd_systematic, origin = excluded.origin,
    completeness = excluded.completeness, n = excluded.n, inputs = excluded.inputs, flags = excluded.flags,
    computed_at = excluded.computed_at, revision = excluded.revision, known_at = excluded.known_at
"""


def _subjects(subjects: Iterable[Subject]) -> tuple[list[str], list[str], list[str]]:
    listed = list(subjects)
    return [s.kind for s in listed], [s.id for s in listed], [s.quantity for s in listed]


def _bounds(computed: Sequence[Computed], step_s: int) -> tuple[list[datetime], list[datetime]]:
    return [step_start(c.first, step_s) for c in computed], [step_start(c.stop, step_s) for c in computed]


def _rows(computed: Iterable[Computed], step_s: int) -> Iterator[tuple[Any, ...]]:
    for part in computed:
        subject, inputs = part.subject, json.dumps(part.inputs, sort_keys=True)
        for v in part.values:
            yield (
                subject.kind, subject.id, subject.quantity, step_start(v.step, step_s), step_s, kept(v.value),
                kept(v.sd_random), kept(v.sd_systematic), v.origin, v.completeness, v.n, inputs, json.dumps(v.flags),
            )  # fmt: skip


def kept(figure: float | None) -> float | None:
    """A figure as it is stored."""
    return figure if figure is None or not abs(figure) < _SMALLEST else 0.0


def refresh_latest(connection: Connection, subjects: Iterable[Subject]) -> None:
    """`twin_latest` of these subjects is their newest figure; a subject that has none any longer has no row."""
    listed = sorted(set(subjects), key=lambda s: (s.kind, s.id, s.quantity))
    if not listed:
        return
    columns = _subjects(listed)
    connection.execute(
        "DELETE FROM sidestream.twin_latest l"
        " USING unnest(%s::text[], %s::text[], %s::text[]) AS w (subject_kind, subject, quantity)"
        " WHERE (l.subject_kind, l.subject, l.quantity) = (w.subject_kind, w.subject, w.quantity) AND NOT EXISTS ("
        "   SELECT FROM sidestream.twin_value v WHERE v.subject_kind = w.subject_kind AND v.subject = w.subject"
        "   AND v.quantity = w.quantity)",
        columns,
    )
    connection.execute(
        "INSERT INTO sidestream.twin_latest AS l SELECT v.*"
        " FROM unnest(%s::text[], %s::text[], %s::text[]) AS w (subject_kind, subject, quantity) CROSS JOIN LATERAL ("
        "   SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic, origin, completeness,"
        "     inputs, flags, computed_at FROM sidestream.twin_value v"
        "   WHERE v.subject_kind = w.subject_kind AND v.subject = w.subject AND v.quantity = w.quantity"
        "   ORDER BY time DESC LIMIT 1) v"
        " ON CONFLICT (subject_kind, subject, quantity) DO UPDATE SET time = excluded.time, step_s = excluded.step_s,"
        " value = excluded.value, sd_random = excluded.sd_random, sd_systematic = excluded.sd_systematic,"
        " origin = excluded.origin, completeness = excluded.completeness, inputs = excluded.inputs,"
        " flags = excluded.flags, computed_at = excluded.computed_at",
        columns,
    )


def still_true(connection: Connection, subjects: Sequence[Subject], step_at: datetime, now_at: datetime) -> None:
    """The newest figures of these subjects hold for the step at `step_at` as well: nothing has happened to them since."""
    connection.execute(
        "UPDATE sidestream.twin_latest l SET time = %s, computed_at = %s"
        " FROM unnest(%s::text[], %s::text[], %s::text[]) AS w (subject_kind, subject, quantity)"
        " WHERE (l.subject_kind, l.subject, l.quantity) = (w.subject_kind, w.subject, w.quantity) AND l.time < %s",
        [step_at, now_at, *_subjects(subjects), step_at],
    )


def newest_step(connection: Connection, subjects: Sequence[Subject], step_s: int) -> int | None:
    """The newest step for which one of these subjects has a figure; None where there is none."""
    row = connection.execute(
        "SELECT floor(extract(epoch FROM max(v.time)) / %s)::bigint"
        " FROM unnest(%s::text[], %s::text[], %s::text[]) AS w (subject_kind, subject, quantity) CROSS JOIN LATERAL ("
        "   SELECT time FROM sidestream.twin_value v WHERE v.subject_kind = w.subject_kind AND v.subject = w.subject"
        "   AND v.quantity = w.quantity ORDER BY time DESC LIMIT 1) v",
        [step_s, *_subjects(subjects)],
    ).fetchone()
    return row[0] if row else None


def keep_only(connection: Connection, subjects: Sequence[Subject], now_at: datetime) -> None:
    """Figures of anything else are gone: the hub has it no longer, or measures it no longer. Published ones stay in history."""
    columns = _subjects(subjects)
    connection.execute(
        "WITH gone AS (DELETE FROM sidestream.twin_value WHERE (subject_kind, subject, quantity)"
        "   NOT IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])) RETURNING *)"
        " INSERT INTO sidestream.twin_value_history SELECT g.*, GREATEST(%s, g.known_at) FROM gone g"
        " WHERE sidestream.is_published(g.time + make_interval(secs => g.step_s), g.known_at, %s)",
        [*columns, now_at, now_at],
    )
    connection.execute(
        "DELETE FROM sidestream.twin_latest WHERE (subject_kind, subject, quantity)"
        " NOT IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))",
        columns,
    )
    for table in SUM_TABLES:
        connection.execute(
            sql.SQL(
                "DELETE FROM sidestream.{} WHERE ('stream', subject, quantity)"
                " NOT IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))"
            ).format(sql.Identifier(table)),
            columns,
        )


def turn_to_version(connection: Connection, version: int) -> bool:
    """The twin works with this hub version from now on; True if it worked with another one, or none, before."""
    row = connection.execute("SELECT version_id FROM sidestream.twin_mark").fetchone()
    if row is not None and row[0] == version:
        return False
    connection.execute(
        "INSERT INTO sidestream.twin_mark (version_id) VALUES (%s)"
        " ON CONFLICT (only_one) DO UPDATE SET version_id = excluded.version_id",
        [version],
    )
    return True
