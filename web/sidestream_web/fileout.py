"""An answer as JSON, CSV or Parquet: which one is wanted, and Parquet streamed in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from sidestream_store.read.hub import HubRecord
from sidestream_web.parameters import Span

if TYPE_CHECKING:
    from sidestream_store.export.tables import Column

Row = TypeVar("Row")
Format = Literal["json", "csv", "parquet"]
FormatName = Annotated[
    Format | None,
    Query(
        alias="format",
        description="`json` in pages; `csv` or `parquet` as a download of the whole span. Default: by the Accept header, else json",
    ),
]
PARQUET = "application/vnd.apache.parquet"
FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}, PARQUET: {}}, "description": "a page as JSON, or the whole span as a file"}
}


def wanted_format(request: Request, asked: Format | None) -> Format:
    """What `format` says, else the first of our types that Accept names, else JSON."""
    if asked is not None:
        return asked
    accepted = request.headers.get("accept", "")
    if PARQUET in accepted:
        return "parquet"
    return "csv" if "text/csv" in accepted and "application/json" not in accepted else "json"


def link_next(request: Request, response: Response, after: str | None, within: Span, **chosen: str) -> None:
    """The address of the next page as a Link header, complete in itself; relative, so that it holds behind any proxy."""
    if after is not None:
        fixed = {"from": _iso(within.start), "to": _iso(within.stop), "after": after, **chosen}
        response.headers["Link"] = f'<?{request.url.include_query_params(**fixed).query}>; rel="next"'


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def parquet_download(
    name: str,
    about: tuple[HubRecord, str, Mapping[str, Any]],
    columns: Sequence[Column],
    pages: AsyncIterator[list[Row]],
    arrays: Callable[[list[Row]], Mapping[str, Sequence[Any]]],
) -> StreamingResponse:
    """A streamed Parquet file; `about` is the hub, the one unit of its numbers and the question.

    The first page is read before the answer begins, so that a refusal still has its status. A download that was broken
    off has no footer and opens nowhere.
    """
    import pyarrow as pa  # 40 MB that a page without downloads need not hold

    from sidestream_store.export.formats import ROW_GROUP, ParquetStream, schema_of

    hub, unit, question = about
    said = {
        "hub": hub.id,
        "hub_version": hub.version_id,
        "synthetic": hub.synthetic,
        "query": dict(question),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": f"sidestream {version('sidestream')}",
    }
    schema = schema_of(columns, unit, said)
    stream = ParquetStream(schema)
    first: list[Row] = await anext(pages, [])

    def group(rows: list[Row]) -> bytes:
        return stream.write(pa.Table.from_pydict(dict(arrays(rows)), schema=schema))

    async def body() -> AsyncIterator[bytes]:
        gathered = list(first)
        async for page in pages:
            gathered += page
            if len(gathered) >= ROW_GROUP:
                yield await asyncio.to_thread(group, gathered)
                gathered = []
        if gathered:
            yield await asyncio.to_thread(group, gathered)
        yield await asyncio.to_thread(stream.finish)

    disposition = {"Content-Disposition": f'attachment; filename="{name}.parquet"'}
    return StreamingResponse(body(), media_type=PARQUET, headers=disposition)
