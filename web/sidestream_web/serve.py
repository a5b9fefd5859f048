"""Serves until told to end, and then ends at once, open live pages or not."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from sidestream_contracts.errors import ConfigurationError
from sidestream_web.app import create_app
from sidestream_web.settings import NO_OPERATORS, Operators, Settings

_log = structlog.get_logger()
_PATIENCE_S = 1


def serve(
    dsn: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    hints_address: str | None = None,
    *,
    operators: Operators = NO_OPERATORS,
) -> int:
    """Serves page and API until SIGTERM or SIGINT, then ends within two seconds and gives 0 (1: the reader failed).

    Port 0 takes a free one; the address is logged as `web.listening`. ConfigurationError when the port can't be had.
    """
    settings = Settings(dsn=dsn, hints_address=hints_address, host=host, port=port, operators=operators)
    listening = _listen(host, port)
    app = create_app(settings)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_PATIENCE_S)
    address = listening.getsockname()
    _log.info("web.listening", url=f"http://{host}:{address[1]}/")
    server = _Server(config, app)
    app.state.on_failure = server.end
    server.run(sockets=[listening])
    return 0 if server.started and app.state.failure is None else 1


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"The web page can't listen on {host}:{port} ({error}); another program may have the port. "
            "Choose another with --port, or 0 for a free one."
        ) from error


class _Server(uvicorn.Server):
    """Ends open live pages before it waits for connections to finish, and returns instead of dying of the signal."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> None:
        """As SIGTERM."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.broadcaster.close()
        await super().shutdown(sockets)
