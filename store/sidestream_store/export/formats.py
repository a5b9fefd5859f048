"""Parquet and CSV, written as a stream: what is handed over is given out, and nothing is held but one row group."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sidestream_store.export.tables import Column

Format = Literal["csv", "parquet"]
ROW_GROUP = 131_072
_FORMULA = r"^[=+\-@\t\r]"


def schema_of(columns: Iterable[Column], unit: str | None, about: Mapping[str, Any]) -> pa.Schema:
    """The columns with unit and meaning in each field, and what the file is in the key `sidestream` (JSON)."""
    said = json.dumps({"times": "UTC", **about}, ensure_ascii=False, default=str)
    return pa.schema([column.field(unit) for column in columns], metadata={"sidestream": said})


def written(format_: Format, schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """The file's bytes, some after each row group; whole only when the iterator has ended."""
    stream = ParquetStream(schema) if format_ == "parquet" else CsvStream(schema)
    for table in _row_groups(tables):
        yield stream.write(table)
    yield stream.finish()


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    gathered: list[pa.Table] = []
    rows = 0
    for table in tables:
        gathered.append(table)
        rows += table.num_rows
        if rows >= ROW_GROUP:
            yield pa.concat_tables(gathered).unify_dictionaries()
            gathered, rows = [], 0
    if rows:
        yield pa.concat_tables(gathered).unify_dictionaries()


class ParquetStream:
    """A Parquet file (zstd) in pieces: one row group per table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = _Drain()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")

    def write(self, table: pa.Table) -> bytes:
        """The bytes of one more row group."""
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        return self._sink.drain()

    def finish(self) -> bytes:
        """The footer, without which the file is none."""
        self._writer.close()
        return self._sink.drain()


class CsvStream:
    """CSV in pieces: header first, times with `T` and `Z`, an empty cell is not known, codes that a spreadsheet would run disarmed."""

    def __init__(self, schema: pa.Schema) -> None:
        self._header: bytes | None = (",".join(schema.names) + "\r\n").encode()

    def write(self, table: pa.Table) -> bytes:
        """The lines of one more table."""
        sink = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
        pa_csv.write_csv(pa.table([_as_text(c) for c in table.columns], names=table.column_names), sink, options)
        return self._take_header() + sink.getvalue()

    def finish(self) -> bytes:
        """Nothing more, but a file without rows still has its header."""
        return self._take_header()

    def _take_header(self) -> bytes:
        header, self._header = self._header or b"", None
        return header


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "yes", "no")
    if pa.types.is_string(column.type):
        armed = pc.match_substring_regex(column, _FORMULA)
        return pc.if_else(armed, pc.binary_join_element_wise("'", column, ""), column)
    return column


class _Drain(io.RawIOBase):
    """Takes what is written and hands it on, remembering only how much it was."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def drain(self) -> bytes:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
