"""The process: its own event loop in a thread, signals in the main one.

Prefect's engine takes SIGTERM for itself while a flow runs in the main thread; outside it, it leaves signals alone, and
ending stays in our hands.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import suppress

from sidestream_contracts.errors import TransientError
from sidestream_contracts.metrics import LOOPBACK, show
from sidestream_flows.link import PrefectLink
from sidestream_flows.loops import keep_refreshing, keep_schedules
from sidestream_flows.server import QUIET
from sidestream_flows.work import CURRENT, Work

_log = logging.getLogger(__name__)
_PATIENCE_S = 2.0
_FAREWELL_S = 0.5

_CLIENT = {
    **QUIET,
    "PREFECT_API_REQUEST_TIMEOUT": "5",
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}


def run(dsn: str, every_s: float, metrics_port: int | None = None, metrics_host: str = LOOPBACK) -> int:
    """Work until told to end by SIGTERM or SIGINT; 0 then, 1 if the work itself broke off."""
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)
    for noisy in ("httpx", "prefect.engine"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    work = Work(dsn, every_s)
    flows = FlowsThread(work, every_s)
    if metrics_port is not None:
        shown = show(work.stats.samples, metrics_port, metrics_host)
        _log.info("metrics at http://%s:%d/metrics", metrics_host, shown.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: flows.ended.set())
    flows.start()
    flows.ended.wait()
    code = flows.finish()
    _leave_soon(code)
    return code


def _leave_soon(code: int) -> None:
    """Prefect's exit handlers wait for a server that may be dead, to deliver log lines; they get half a second."""
    leaving = threading.Timer(_FAREWELL_S, os._exit, [code])
    leaving.daemon = True
    leaving.start()


class FlowsThread:
    """The loops in their thread; `ended` is set from outside to end them, or by them when they broke off."""

    def __init__(self, work: Work, every_s: float) -> None:
        self.ended = threading.Event()
        self._work = work
        self._every_s = every_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name="flows", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> int:
        """End within two seconds, whatever is under way; the exit code."""
        broke_off = not self._thread.is_alive()
        with suppress(TransientError):  # a database that is away has nothing to cancel
            self._work.end()
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_PATIENCE_S)
        if not self._thread.is_alive():
            with suppress(TransientError):  # its row then goes away by itself after an hour
                self._work.leave()
        _log.info("flows ended")
        return 1 if broke_off else 0

    def _main(self) -> None:
        try:
            asyncio.run(self._work_on())
        except asyncio.CancelledError:
            _log.debug("flows were told to end")
        finally:
            self.ended.set()

    async def _work_on(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        CURRENT.set(self._work)
        link = PrefectLink()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_refreshing(self._work, link, self._every_s))
            group.create_task(keep_schedules(self._work, link))
