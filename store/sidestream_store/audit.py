"""What is in the database, told in the words of the sender, so that it can be held against the sender's own journal."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.quarantine.keep import NOT_TAKEN

Measurement = tuple[str, int, float | str | None]
"""Sensor id, time in µs UTC, value or code."""


@dataclass(frozen=True, slots=True)
class Held:
    """Everything of one kind that the database holds."""

    measurements: list[Measurement]
    uncounted: int
    """Readings that are only counted, not kept one by one (a flood of bad messages past its quota)."""


def committed(dsn: str, epochs: Collection[str]) -> Held:
    """Every reading and scan that frames of these epochs brought, one entry per row."""
    with open_connection(dsn, "audit") as connection, transient_errors("read what is committed"):
        rows = connection.execute(
            "SELECT s.id, (extract(epoch FROM x.time) * 1000000)::bigint, x.value, x.code FROM ("
            " SELECT sensor_id, time, value, NULL AS code, frame_id FROM sidestream.reading"
            " UNION ALL SELECT sensor_id, time, value, NULL, frame_id FROM sidestream.reading_recorded"
            " UNION ALL SELECT sensor_id, time, NULL, code, frame_id FROM sidestream.scan"
            ") x JOIN sidestream.sensor s USING (sensor_id)"
            " LEFT JOIN sidestream.frame f USING (frame_id)"
            " WHERE f.epoch IS NULL OR f.epoch = ANY (%s::uuid[])",
            [list(epochs)],
        ).fetchall()
    return Held([(sensor, time_us, value if code is None else code) for sensor, time_us, value, code in rows], 0)


def quarantined(dsn: str, epochs: Collection[str], without: Collection[str] = ()) -> Held:
    """Every reading in quarantine from frames of these epochs: sensor, time and value where kept, else only counted.

    An entry that was replayed is not among them: its readings are committed, or in the entries that were left over from
    it. Nor is a message that was not taken into the ledger, for what it held comes again. `without` names messages, by
    the SHA-256 of their bytes, that no sender of these epochs ever sent: forgeries under their keys.
    """
    with open_connection(dsn, "audit") as connection, transient_errors("read the quarantine"):
        rows = connection.execute(
            "SELECT raw, readings FROM sidestream.quarantine WHERE state <> 'replayed' AND reason <> ALL (%s)"
            " AND EXISTS (SELECT FROM jsonb_array_elements(properties) p WHERE p ->> 0 = 'epoch' AND p ->> 1 = ANY (%s))"
            " AND encode(sha256(raw), 'hex') <> ALL (%s)",
            [list(NOT_TAKEN), list(epochs), list(without)],
        ).fetchall()
    measurements: list[Measurement] = []
    uncounted = 0
    for raw, readings in rows:
        kept = list(_itemised(raw))
        measurements.extend(kept)
        uncounted += max(0, readings - len(kept))
    return Held(measurements, uncounted)


def _itemised(raw: bytes) -> Iterator[Measurement]:
    try:
        frame = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if isinstance(frame, dict):
        yield from _of_frame(frame)


def _is_plain(*parts: object) -> bool:
    return all(isinstance(part, str | int | float | None) for part in parts)


def _of_frame(frame: dict[str, Any]) -> Iterator[Measurement]:
    """The measurements of a frame, whole or a part of one, as far as its columns can be read."""
    names, indices, times, values = (frame.get(name) for name in ("sensors", "i", "t", "val"))
    if not (
        isinstance(names, list) and isinstance(indices, list) and isinstance(times, list) and isinstance(values, list)
    ):
        return
    for index, t, value in zip(indices, times, values, strict=False):
        if isinstance(index, int) and 0 <= index < len(names) and _is_plain(names[index], t, value):
            yield names[index], t, value


@dataclass(frozen=True, slots=True)
class Delivery:
    """One live reading and when it was committed, both µs UTC by the machines' clocks."""

    sensor: str
    measured_us: int
    committed_us: int

    @property
    def delay_ms(self) -> float:
        """Measurement to commit."""
        return (self.committed_us - self.measured_us) / 1000


def deliveries(dsn: str, since: datetime) -> list[Delivery]:
    """Every live reading measured after `since`, with the server's own commit time; recorded readings are left out.

    Needs `track_commit_timestamp = on`.
    """
    with open_connection(dsn, "audit") as connection, transient_errors("read commit times"):
        rows = connection.execute(
            "SELECT s.id, (extract(epoch FROM r.time) * 1000000)::bigint,"
            " (extract(epoch FROM pg_xact_commit_timestamp(f.xmin)) * 1000000)::bigint"
            " FROM sidestream.reading r JOIN sidestream.frame f USING (frame_id) JOIN sidestream.sensor s USING (sensor_id)"
            " WHERE NOT f.recorded AND r.time >= %s AND pg_xact_commit_timestamp(f.xmin) IS NOT NULL",
            [since],
        ).fetchall()
    return [Delivery(*row) for row in rows]


def twin_figures(
    dsn: str, since: datetime, quantities: Collection[str]
) -> list[tuple[tuple[str, str, str], int, float, float]]:
    """The twin's figures of steps that began at or after `since`: subject, step start in µs UTC, value and sd in SI."""
    with open_connection(dsn, "audit") as connection, transient_errors("read the twin's figures"):
        rows = connection.execute(
            "SELECT subject_kind, subject, quantity, (extract(epoch FROM time) * 1000000)::bigint, value, sd"
            " FROM sidestream_v.twin_value WHERE time >= %s AND quantity = ANY (%s) AND value IS NOT NULL AND sd IS NOT NULL",
            [since, list(quantities)],
        ).fetchall()
    return [((row[0], row[1], row[2]), row[3], row[4], row[5]) for row in rows]


def rows(dsn: str) -> int:
    """How many readings and scans frames have brought so far."""
    with open_connection(dsn, "audit") as connection, transient_errors("count rows"):
        row = connection.execute("SELECT COALESCE(sum(readings), 0)::bigint FROM sidestream_v.frame").fetchone()
    return int(row[0]) if row else 0


def drivers_finished(dsn: str) -> bool:
    """Whether every driver of every device that reports at all says that its recording is at its end."""
    with open_connection(dsn, "audit") as connection, transient_errors("read device status"):
        row = connection.execute(
            "SELECT count(*) > 0 AND bool_and(d ->> 'state' = 'finished')"
            " FROM sidestream.device_status, jsonb_array_elements(body -> 'drivers') AS d"
        ).fetchone()
    return bool(row and row[0])


def heat_totals_j(dsn: str) -> list[tuple[str, float, float]]:
    """For each stream with a register of its own: energy by the twin and by the register over the steps that have both, J."""
    with open_connection(dsn, "audit") as connection, transient_errors("sum the heat"):
        return connection.execute(
            "SELECT subject, sum(computed * step_s), sum(register * step_s) FROM ("
            " SELECT subject, step_s, max(value) FILTER (WHERE quantity = 'heat_flow') AS computed,"
            " max(value) FILTER (WHERE quantity = 'register_heat_flow') AS register"
            " FROM sidestream_v.twin_value"
            " WHERE subject_kind = 'stream' AND quantity IN ('heat_flow', 'register_heat_flow')"
            " GROUP BY subject, time, step_s) step"
            " WHERE computed IS NOT NULL AND register IS NOT NULL GROUP BY subject ORDER BY subject"
        ).fetchall()


@dataclass(frozen=True, slots=True)
class TagsRead:
    """Reads and tags, and those whose place is not known."""

    scans: int
    tags: int
    scans_without_place: int
    tags_without_place: int


def tags_read(dsn: str) -> TagsRead:
    """What the twin knows of every code that was ever read."""
    with open_connection(dsn, "audit") as connection, transient_errors("count tags"):
        row = connection.execute(
            "SELECT COALESCE(sum(scans), 0)::bigint, count(*), COALESCE(sum(scans) FILTER (WHERE place_unknown), 0)::bigint,"
            " count(*) FILTER (WHERE place_unknown) FROM sidestream_v.lot"
        ).fetchone()
    return TagsRead(*row) if row else TagsRead(0, 0, 0, 0)
