"""The parts of the live page that are not readings: which question fills each, and how it is written as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from sidestream_store.read import hub, live, lots, states, trouble
from sidestream_store.read.pool import Pool


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A sensor's newest reading as the page gets it; `t` and `received_t` are µs since 1970 UTC."""

    sensor: str
    t: int | None
    value: float | None
    sd: float | None
    code: str | None
    quality: int | None
    mark: str
    unit: str
    received_t: int | None


_ROW = TypeAdapter(LiveRow)
_GRAPH = TypeAdapter(hub.HubGraph | None)


def _micros(time: Any) -> int | None:
    return None if time is None else round(time.timestamp() * 1_000_000)


def row_json(row: live.Latest) -> str:
    """One reading as JSON."""
    wire = LiveRow(
        sensor=row.sensor,
        t=_micros(row.time),
        value=row.value,
        sd=row.sd,
        code=row.code,
        quality=row.quality,
        mark=row.mark,
        unit=row.unit,
        received_t=_micros(row.received_at),
    )
    return _ROW.dump_json(wire).decode()


def graph_json(graph: hub.HubGraph | None) -> str:
    """The hub as JSON, `null` while none was applied."""
    return _GRAPH.dump_json(graph).decode()


class Section:
    """One named part of the page: asks the database and gives JSON."""

    def __init__(self, name: str, record: Any, ask: Callable[[Pool], Awaitable[list[Any]]]) -> None:
        self.name = name
        self._ask = ask
        self._adapter: TypeAdapter[Any] = TypeAdapter(list[record])

    async def read(self, pool: Pool) -> str:
        """The section as it is now."""
        return self._adapter.dump_json(await self._ask(pool)).decode()


SECTIONS = (
    Section("exchanges", states.Exchange, states.exchanges),
    Section("stocks", states.Stock, states.stocks),
    Section("agreements", states.AgreementStatus, states.agreements),
    Section("devices", trouble.Device, trouble.devices),
    Section("quarantine", trouble.QuarantineCount, trouble.quarantine_counts),
    Section("scans", lots.Scan, lots.last_scans),
    Section("places", lots.PlaceCount, lots.places),
)
"""Asked every two seconds while somebody looks."""

TOTALS = Section("totals", states.DayTotal, states.day_totals)
"""Adds up a whole day, so it is asked more rarely."""
