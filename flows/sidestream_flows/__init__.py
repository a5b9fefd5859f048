"""Keeps the twin up to date by itself: one long-lived process whose runs are seen in Prefect, and which needs it not.

Importing this imports no Prefect, which takes over a second.
"""

from __future__ import annotations

from sidestream_contracts.metrics import LOOPBACK
from sidestream_flows.server import server_argv, server_env

__all__ = ["serve", "server_argv", "server_env"]


def serve(dsn: str, every_s: float = 10.0, metrics_port: int | None = None, metrics_host: str = LOOPBACK) -> int:
    """Run the flows until SIGTERM or SIGINT; the exit code. Ends within three seconds and leaves no process behind.

    `every_s`: pause between two passes of the twin. Prefect is found by PREFECT_API_URL; without it, or while its
    server is away, the same work is done and said in the log only.
    """
    from sidestream_flows.process import run

    return run(dsn, every_s, metrics_port, metrics_host)
