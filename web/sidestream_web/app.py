"""The application: read API, live events, pages, all over one read-only pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles

from sidestream_store.read.pool import open_pool
from sidestream_web import errors, pages
from sidestream_web.api import explain, findings, heat, hub, live, lots, quarantine, readings, trouble, twin
from sidestream_web.etag import Etags
from sidestream_web.headers import SecurityHeaders
from sidestream_web.hints import Hints
from sidestream_web.live.broadcast import Broadcaster
from sidestream_web.parameters import only_known, only_text
from sidestream_web.settings import Settings

_log = structlog.get_logger()
_DESCRIPTION = """
Everything Sidestream knows of one hub, for reading. Every number comes with its unit (UCUM code), time (ISO 8601, UTC),
standard deviation and origin. `null` means not known; it never means zero. Figures of a hub with `synthetic: true` are
made up. A refusal is `{"error": {code, message, parameter, allowed, nearest}}` with a sentence that says what to do.
"""
_REFUSALS: dict[int | str, dict[str, object]] = {
    404: {"model": errors.ErrorBody, "description": "there is no such thing; the nearest known id is named"},
    422: {"model": errors.ErrorBody, "description": "a parameter makes no sense; what is allowed is named"},
    500: {"model": errors.ErrorBody, "description": "a fault of the server; its log says why"},
    503: {"model": errors.ErrorBody, "description": "the database is away, or no hub was applied"},
}


def create_app(settings: Settings) -> FastAPI:
    """The application; it starts with the database away and serves when that is back."""
    app = FastAPI(
        title="Sidestream read API",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.failure = None
    app.state.on_failure = lambda: None
    errors.install(app)
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known), Depends(only_text)], responses=_REFUSALS)
    for module in (hub, readings, twin, heat, lots, trouble, live, explain, findings):
        api.include_router(module.router)
    api.include_router(quarantine.router)
    api.include_router(quarantine.writing)
    api.include_router(findings.writing)
    app.include_router(api)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    app.add_middleware(Etags)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    hints = Hints()
    async with open_pool(settings.dsn, "web", size=settings.pool_size) as pool:
        app.state.pool = pool
        app.state.broadcaster = Broadcaster(pool, hints, settings)
        work = asyncio.create_task(_work(app.state.broadcaster, hints, settings.hints_address))
        work.add_done_callback(lambda ended: _tell_failure(app, ended))
        try:
            yield
        finally:
            app.state.broadcaster.close()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def _work(broadcaster: Broadcaster, hints: Hints, address: str | None) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(broadcaster.run())
        if address:
            tasks.create_task(hints.listen(address))


def _tell_failure(app: FastAPI, ended: asyncio.Task[None]) -> None:
    """A live reader that died is a fault of ours: said in the log and in `health`, and `serve` ends because of it."""
    if not ended.cancelled() and (error := ended.exception()):
        _log.error("web.reader_failed", error=repr(error), exc_info=error)
        app.state.failure = error
        app.state.on_failure()
