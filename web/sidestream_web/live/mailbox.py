"""What waits for one page: the newest of each thing, never a backlog.

A page that reads slowly finds, when it comes, the newest row of every sensor once and the newest state of every section
once. So its mailbox can't grow beyond one snapshot, and it never sees old news.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from fastapi.sse import format_sse_event


def micros_now() -> int:
    """Now in µs since 1970 UTC, as on the wire."""
    return time.time_ns() // 1000


def json_object(members: Mapping[str, str]) -> str:
    """A JSON object of members that are JSON already, stamped with the server's time."""
    inner = "".join(f',"{name}":{text}' for name, text in members.items())
    return f'{{"server_t":{micros_now()}{inner}}}'


class Mailbox:
    """Merges what is put in until it is taken as server-sent events; ends when closed."""

    def __init__(self) -> None:
        self._snapshot: str | None = None
        self._readings: dict[str, str] = {}
        self._sections: dict[str, str] = {}
        self._filled = asyncio.Event()
        self.closed = False

    def put_snapshot(self, snapshot: Mapping[str, str]) -> None:
        """The whole page anew: what waited is part of it."""
        self._snapshot = json_object(snapshot)
        self._readings.clear()
        self._sections.clear()
        self._filled.set()

    def put_readings(self, rows: Mapping[str, str]) -> None:
        """Newer rows by sensor, each JSON."""
        self._readings.update(rows)
        self._filled.set()

    def put_sections(self, sections: Mapping[str, str]) -> None:
        """Newer sections by name, each JSON."""
        self._sections.update(sections)
        self._filled.set()

    def close(self) -> None:
        """Whoever waits is woken and told that it is over."""
        self.closed = True
        self._filled.set()

    async def take(self, patience_s: float) -> bytes:
        """What waits, as events (`snapshot`, `latest`, `states`, in this order); empty after `patience_s` of nothing."""
        try:
            async with asyncio.timeout(patience_s):
                await self._filled.wait()
        except TimeoutError:
            return b""
        self._filled.clear()
        events = b""
        if self._snapshot is not None:
            events += format_sse_event(event="snapshot", data_str=self._snapshot)
        if self._readings:
            rows = f"[{','.join(self._readings.values())}]"
            events += format_sse_event(event="latest", data_str=json_object({"readings": rows}))
        if self._sections:
            events += format_sse_event(event="states", data_str=json_object(self._sections))
        self._snapshot, self._readings, self._sections = None, {}, {}
        return events
