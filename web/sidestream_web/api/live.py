"""The stream of server-sent events behind the live page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Send

from sidestream_web.live.broadcast import Broadcaster
from sidestream_web.live.mailbox import json_object

router = APIRouter(tags=["live"])
_RECONNECT_MS = 1000


class LiveResponse(StreamingResponse):
    """Server-sent events whose generator is closed with the connection, so that a page that left is forgotten at once."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": (
            "`snapshot` on connecting and when the hub file changes: `{server_t, hub, readings, database, exchanges, "
            "stocks, agreements, devices, quarantine, scans, places, totals}`. `latest`: `{server_t, readings: [{sensor, "
            "t, value, sd, code, quality, mark, unit, received_t}]}` for sensors that changed. `states`: `{server_t, …}` "
            "with those sections of the snapshot that changed. `server_t`, `t`, `received_t`: µs since 1970 UTC. "
            "`beat`: `{server_t}` after ten seconds of nothing else. Sections are as the addresses of the same name give them."
        ),
    }
}


@router.get(
    "/live", summary="What changes, pushed as server-sent events", response_class=LiveResponse, responses=_EVENTS
)
async def live(request: Request) -> LiveResponse:
    """Newest state first, then changes as they are committed; a slow reader gets the newest, never a backlog."""
    settings = request.app.state.settings
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return LiveResponse(_events(request.app.state.broadcaster, settings.heartbeat_s), headers=headers)


async def _events(broadcaster: Broadcaster, heartbeat_s: float) -> AsyncIterator[bytes]:
    async with broadcaster.subscribe() as box:
        yield format_sse_event(retry=_RECONNECT_MS)
        while not box.closed:
            yield await box.take(heartbeat_s) or format_sse_event(event="beat", data_str=json_object({}))
