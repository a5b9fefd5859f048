"""`sidestream web run`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import Dsn, Hints


def run(
    *,
    dsn: Dsn,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 for any free one.")] = 8080,
    hints: Hints = None,
) -> int:
    """Serve the live page and the read API until SIGTERM or Ctrl-C; log in with a role that only reads the views."""
    from sidestream_web.serve import serve

    return serve(dsn, host, port, hints)
