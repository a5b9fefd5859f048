"""Whether Prefect can be had just now, and doing work either as its run or plainly, but doing it."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from sidestream_contracts.errors import SidestreamError

_log = logging.getLogger(__name__)
_TIMEOUT_S = 1.0

T = TypeVar("T")


class PrefectLink:
    """Remembers whether Prefect was there, so that its coming and going is said once each."""

    def __init__(self) -> None:
        self.api_url = os.environ.get("PREFECT_API_URL", "")
        self._was_there: bool | None = None

    async def is_there(self) -> bool:
        """Whether Prefect's server says that it is healthy, within a second."""
        there = bool(self.api_url) and await asyncio.to_thread(self._healthy)
        if there != self._was_there:
            self._say(there)
        self._was_there = there
        return there

    async def do(self, as_run: Callable[[], Awaitable[T]], plainly: Callable[[], T]) -> T:
        """The work is done once, as a run of Prefect where that is possible; its own errors come out as they are.

        A Prefect that goes away in the middle costs the record of the run and not the work: it is then done plainly, which
        may do it a second time, and all work here may be done any number of times.
        """
        done = await self.try_with(as_run)
        return await asyncio.to_thread(plainly) if done is None else done

    async def try_with(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What Prefect can be asked or told; None while it is away. Errors of our own come out as they are."""
        if not await self.is_there():
            return None
        away = await asyncio.to_thread(_prefect_errors)
        try:
            return await ask()
        except SidestreamError:
            raise
        except away as error:
            _log.warning("Prefect went away (%s); the work goes on without it.", _one_line(error))
            self._was_there = None
            return None

    def _healthy(self) -> bool:
        parts = urlsplit(self.api_url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _say(self, there: bool) -> None:
        if there:
            _log.info("Prefect is at %s; runs are recorded there.", self.api_url)
        elif self.api_url:
            _log.warning("Prefect does not answer at %s; the work is done without it meanwhile.", self.api_url)
        else:
            _log.warning(
                "PREFECT_API_URL is not set; the work is done without Prefect, and its runs are seen here only."
            )


def _prefect_errors() -> tuple[type[BaseException], ...]:
    """What Prefect's client raises when its server is away or ill. Imported late: it takes over a second."""
    import httpx
    from prefect.exceptions import PrefectException

    return (httpx.HTTPError, PrefectException, RuntimeError, OSError)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"
