"""One reader for all pages: a hint or the clock makes it read once, and what changed goes to every mailbox.

It reads only while somebody looks. The cache holds the JSON of the newest of everything; what is sent is what differs
from it, so a poll that finds nothing new costs no page anything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog

from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_store.read import hub, live
from sidestream_store.read.pool import Pool
from sidestream_web.hints import Hints
from sidestream_web.live.mailbox import Mailbox
from sidestream_web.live.sections import SECTIONS, TOTALS, Section, graph_json, row_json
from sidestream_web.settings import Settings

_log = structlog.get_logger()
_DATABASE_OK = '{"ok":true}'
_AWAY = (TransientError, ConfigurationError)


class Broadcaster:
    """Keeps every subscribed mailbox at the newest committed state."""

    def __init__(self, pool: Pool, hints: Hints, settings: Settings) -> None:
        self._pool = pool
        self._hints = hints
        self._settings = settings
        self._boxes: set[Mailbox] = set()
        self._watched = asyncio.Event()
        self._first_read = asyncio.Lock()
        self._version: int | None = None
        self._graph = "null"
        self._readings: dict[str, str] = {}
        self._sections: dict[str, str] = {"database": _DATABASE_OK}
        self._database_ok = True
        self._closed = False

    @property
    def clients(self) -> int:
        """How many pages are open."""
        return len(self._boxes)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Mailbox]:
        """A mailbox that holds a snapshot and then gets what changes; TransientError when too many are open."""
        if len(self._boxes) >= self._settings.max_live_clients:
            raise TransientError(f"{len(self._boxes)} live pages are open already, which is the most this hub serves.")
        async with self._first_read:
            if not self._boxes:
                await self._attempt(self._read_all())
            box = Mailbox()
            box.put_snapshot(self._snapshot())
            self._boxes.add(box)
        self._watched.set()
        if self._closed:
            box.close()
        try:
            yield box
        finally:
            self._boxes.discard(box)
            if not self._boxes:
                self._watched.clear()

    def close(self) -> None:
        """Every open page is told that it is over, now and later."""
        self._closed = True
        for box in self._boxes:
            box.close()

    async def run(self) -> None:
        """Reads for whoever looks, until cancelled; a database that is away is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_readings())
            tasks.create_task(self._follow_states())

    async def _follow_readings(self) -> None:
        settings, clock = self._settings, asyncio.get_running_loop().time
        next_full = 0.0
        while True:
            await self._watched.wait()
            changed = await self._hints.take(max(next_full - clock(), 0.0))
            full = clock() >= next_full
            if full:
                next_full = clock() + settings.readings_poll_s
            await self._attempt(self._read_latest(None if full else sorted(changed)))
            await asyncio.sleep(settings.coalesce_s)

    async def _follow_states(self) -> None:
        settings, clock = self._settings, asyncio.get_running_loop().time
        next_totals = 0.0
        while True:
            await self._watched.wait()
            sections: tuple[Section, ...] = SECTIONS
            if clock() >= next_totals:
                sections, next_totals = (*SECTIONS, TOTALS), clock() + settings.totals_poll_s
            await self._attempt(self._read_states(sections))
            await asyncio.sleep(settings.states_poll_s)

    async def _attempt(self, reading: Awaitable[None]) -> None:
        try:
            await reading
        except _AWAY as error:
            if self._database_ok:
                _log.warning("web.database_away", error=str(error))
                away = {"ok": False, "since": datetime.now(UTC).isoformat(), "message": str(error)}
                self._tell({"database": json.dumps(away)})
            self._database_ok = False
        else:
            if not self._database_ok:
                _log.info("web.database_back")
            self._database_ok = True
            self._tell({"database": _DATABASE_OK})

    async def _read_all(self) -> None:
        await self._read_graph()
        await self._read_latest(None)
        self._tell({section.name: await section.read(self._pool) for section in (*SECTIONS, TOTALS)})

    async def _read_graph(self) -> None:
        graph = await hub.hub_graph(self._pool)
        self._version = graph.hub.version_id if graph else None
        self._graph = graph_json(graph)
        self._readings.clear()

    async def _read_latest(self, sensors: Sequence[str] | None) -> None:
        rows = {row.sensor: row_json(row) for row in await live.latest(self._pool, sensors)}
        changed = {sensor: text for sensor, text in rows.items() if self._readings.get(sensor) != text}
        self._readings.update(changed)
        if changed:
            for box in self._boxes:
                box.put_readings(changed)

    async def _read_states(self, sections: Sequence[Section]) -> None:
        record = await hub.hub_record(self._pool)
        if (record.version_id if record else None) != self._version:
            await self._read_all()
            for box in self._boxes:
                box.put_snapshot(self._snapshot())
        else:
            self._tell({section.name: await section.read(self._pool) for section in sections})

    def _tell(self, sections: Mapping[str, str]) -> None:
        changed = {name: text for name, text in sections.items() if self._sections.get(name) != text}
        self._sections.update(changed)
        if changed:
            for box in self._boxes:
                box.put_sections(changed)

    def _snapshot(self) -> dict[str, str]:
        return {"hub": self._graph, "readings": f"[{','.join(self._readings.values())}]", **self._sections}
