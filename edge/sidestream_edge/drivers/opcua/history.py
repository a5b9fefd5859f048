"""What the server has recorded of a variable during a gap, read in pages (HistoryRead, raw: OPC 10000-11, 6.4.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.client.ua_session import UaSession

from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.opcua import status

PAGE = 1000
MOST_PAGES = 1000
_NO_DATA = frozenset({"GoodNoData", "BadNoData"})


async def pages(session: UaSession, node: ua.NodeId, since_us: int, until_us: int) -> AsyncIterator[list[ua.DataValue]]:
    """Values from `since_us` to `until_us`, both included, in order of time; ContractError `no_history` where there are none to be had."""
    details = ua.ReadRawModifiedDetails(
        IsReadModified=False, StartTime=_at(since_us), EndTime=_at(until_us), NumValuesPerNode=PAGE, ReturnBounds=False
    )
    point: bytes | None = None
    for _ in range(MOST_PAGES):
        asked = ua.HistoryReadValueId(NodeId=node, ContinuationPoint=point)
        try:
            (result,) = await session.history_read(
                ua.HistoryReadParameters(
                    HistoryReadDetails=details, TimestampsToReturn=ua.TimestampsToReturn.Both,
                    ReleaseContinuationPoints=False, NodesToRead=[asked],
                )
            )  # fmt: skip
        except ua.UaStatusCodeError as error:
            raise ContractError("no_history", status.words(int(error.code))) from error
        code = int(result.StatusCode.value)
        if not result.StatusCode.is_good() and status.name(code) not in _NO_DATA:
            raise ContractError("no_history", status.words(code))
        if isinstance(result.HistoryData, ua.HistoryData) and result.HistoryData.DataValues:
            yield list(result.HistoryData.DataValues)
        point = result.ContinuationPoint
        if not point:
            return


def _at(t: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)
