"""`sidestream web run`."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import Dsn, Hints


def run(
    *,
    dsn: Dsn,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 for any free one.")] = 8080,
    hints: Hints = None,
    operator_dsn: Annotated[
        str | None,
        Parameter(
            env_var="SIDESTREAM_OPERATOR_DSN",
            help="Database login that may write, for operators; only used with SIDESTREAM_OPERATOR_TOKEN set.",
        ),
    ] = None,
) -> int:
    """Serve the live page and the read API until SIGTERM or Ctrl-C; log in with a role that only reads the views.

    Writing is off, unless the environment has SIDESTREAM_OPERATOR_TOKEN, which operators then show, and --operator-dsn is
    given: entries of the quarantine can then be replayed and discarded over the API.
    """
    from sidestream_ingest.replay import replay_at
    from sidestream_web.serve import serve
    from sidestream_web.settings import Operators

    return serve(dsn, host, port, hints, operators=Operators(_operator_token(), operator_dsn, replay_at))


def _operator_token() -> str | None:
    """The secret from the environment, never from a command line; ConfigurationError where it is too short to be one."""
    from sidestream_contracts.errors import ConfigurationError
    from sidestream_web.operators import SHORTEST_TOKEN, TOKEN_VARIABLE

    token = os.environ.get(TOKEN_VARIABLE)
    if token and len(token) < SHORTEST_TOKEN:
        raise ConfigurationError(
            f"{TOKEN_VARIABLE} has {len(token)} characters; {SHORTEST_TOKEN} is the least, e.g. of `openssl rand -hex 24`."
        )
    return token or None
