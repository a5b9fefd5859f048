"""Database → file: COPY of one window of time after the other under one snapshot, parsed by Arrow, written as row groups."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql

from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.ids import nearest
from sidestream_store.aside import written_aside
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.export.formats import Format, schema_of, written
from sidestream_store.export.sensors import Meter, Meters, meters
from sidestream_store.export.tables import Source, statement

Progress = Callable[[int], None]
"""Called with the number of rows done."""
_PART_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a source: from `start` to before `stop`; empty `only` means every sensor or subject."""

    source: Source
    start: datetime
    stop: datetime
    only: tuple[str, ...] = ()
    si: bool = False
    as_known_on: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file holds."""

    rows: int
    synthetic: bool


def export(
    dsn: str, asked: Asked, path: Path, format_: Format, *, force: bool = False, progress: Progress = lambda _: None
) -> Exported:
    """The rows are in `path`, all as of one instant; the file is there whole or not at all.

    DomainError for an unknown sensor or subject; ConfigurationError when the file is there already (unless `force`).
    """
    with (
        written_aside(path, force=force) as file,
        open_connection(dsn, "export", autocommit=True) as connection,
        transient_errors("export"),
        connection.transaction(),
    ):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1")
        return _write(connection, asked, file, format_, progress)


def _write(
    connection: psycopg.Connection[Any], asked: Asked, file: IO[bytes], format_: Format, progress: Progress
) -> Exported:
    hub = connection.execute("SELECT id, version_id, synthetic FROM sidestream_v.hub").fetchone()
    if hub is None:
        raise ConfigurationError("No hub is applied to the database, so there is nothing to export.")
    listed = _chosen(asked, meters(connection))
    if not asked.source.by_sensor:
        _check_subjects(connection, asked.only)
    columns = Meters(listed, si=asked.si)
    about = {
        "hub": hub[0],
        "hub_version": hub[1],
        "synthetic": hub[2],
        "query": {"source": asked.source.name, "from": asked.start, "to": asked.stop, "only": list(asked.only)},
        "as_known_on": asked.as_known_on,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"sidestream {version('sidestream')}",
    }
    units = set(columns.units) if asked.source.by_sensor else set()
    schema = schema_of(asked.source.columns, units.pop() if len(units) == 1 else None, about)
    rows = 0

    def counted() -> Iterator[pa.Table]:
        nonlocal rows
        for table in _tables(connection, asked, columns, schema):
            rows += table.num_rows
            progress(rows)
            yield table

    for part in written(format_, schema, counted()):
        file.write(part)
    return Exported(rows, hub[2])


def _chosen(asked: Asked, known: Sequence[Meter]) -> list[Meter]:
    """The sensors asked for; a scanner's reads are no readings, and the other way round."""
    if not asked.source.by_sensor:
        return []
    fitting = {meter.id: meter for meter in known if (meter.quantity == "scan") == (asked.source.name == "scans")}
    for name in asked.only:
        if name not in fitting:
            like = nearest(name, fitting)
            hint = f" Did you mean {like!r}?" if like else ""
            raise DomainError(f"There is no sensor {name!r} with {asked.source.name} in this hub.{hint}")
    return [fitting[name] for name in asked.only] if asked.only else list(fitting.values())


def _tables(
    connection: psycopg.Connection[Any], asked: Asked, columns: Meters, schema: pa.Schema
) -> Iterator[pa.Table]:
    start = asked.start
    while start < asked.stop:
        stop = min(start + asked.source.window, asked.stop)
        values = {
            "start": start,
            "stop": stop,
            "known": asked.as_known_on,
            "sensors": [meter.sensor_id for meter in columns.listed],
            "subjects": list(asked.only) or None,
        }
        for raw in _copied(connection, asked.source, statement(asked.source, values)):
            arrays = {name: raw[name].combine_chunks() for name in raw.column_names}
            yield pa.Table.from_arrays(list(asked.source.shape(arrays, columns)), schema=schema)
        start = stop


def _copied(connection: psycopg.Connection[Any], source: Source, query: sql.Composed) -> Iterator[pa.Table]:
    gathered: list[bytes] = []
    size = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)) as copy,
    ):
        for row in copy:
            gathered.append(bytes(row))
            size += len(row)
            if size >= _PART_BYTES:
                yield _parsed(source, gathered)
                gathered, size = [], 0
    if gathered:
        yield _parsed(source, gathered)


def _parsed(source: Source, lines: list[bytes]) -> pa.Table:
    """COPY's text as columns; PostgreSQL writes the shortest text that gives the same float again, and Arrow reads it so."""
    return pa_csv.read_csv(
        io.BytesIO(b"".join(lines)),
        read_options=pa_csv.ReadOptions(column_names=list(source.raw), use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict(source.raw),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _check_subjects(connection: psycopg.Connection[Any], only: Sequence[str]) -> None:
    """Every one of them is a stream or node of today's hub, or was one of which there are figures."""
    for subject in only:
        if connection.execute("SELECT FROM sidestream_v.twin_value WHERE subject = %s LIMIT 1", [subject]).fetchone():
            continue
        rows = connection.execute(
            "SELECT id FROM sidestream_v.stream UNION SELECT id FROM sidestream_v.node"
        ).fetchall()
        known = [row[0] for row in rows]
        if subject not in known:
            guess = nearest(subject, known)
            hint = f"did you mean {guess!r}?" if guess else "`sidestream hub check` lists them."
            raise DomainError(f"There is no stream or node {subject!r}; {hint}")
