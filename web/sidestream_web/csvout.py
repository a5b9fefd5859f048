"""CSV that a spreadsheet in any country reads the same way: units in the header, UTC with Z, decimal point.

Cells that a spreadsheet would take for a formula get a leading apostrophe: codes come from tags that anybody can print.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from fastapi.responses import StreamingResponse

Row = TypeVar("Row")
Cell = str | float | int | bool | datetime | None | list[Any] | dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Cell) -> str:
    """One value as CSV text; an empty cell is a value that is not known."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case float() | int():
            return repr(value)
        case list() | dict():
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"'{value}" if value.startswith(_FORMULA) else value


def lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as CSV text (RFC 4180)."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([[cell(value) for value in row] for row in rows])
    return buffer.getvalue()


async def download(
    name: str, header: Sequence[str], pages: AsyncIterator[list[Row]], row: Callable[[Row], Sequence[Cell]]
) -> StreamingResponse:
    """A streamed attachment; the first page is read before the answer begins, so that a refusal still has its status.

    A database that goes away later breaks the connection off: a download that ended in order is whole.
    """
    first: list[Row] = await anext(pages, [])

    async def body() -> AsyncIterator[str]:
        yield lines([header])
        yield lines(map(row, first))
        async for page in pages:
            yield lines(map(row, page))

    disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(body(), media_type="text/csv; charset=utf-8; header=present", headers=disposition)
