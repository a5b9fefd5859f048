"""`sidestream flows run`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import Dsn, MetricsHost, MetricsPort


def run(
    *,
    dsn: Dsn,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    every_s: Annotated[float, Parameter(name="--every", help="Seconds between passes of the fast loop.")] = 10.0,
) -> int:
    """Run the flows process until SIGTERM or Ctrl-C; runs are visible at the Prefect server of PREFECT_API_URL."""
    from sidestream_flows import serve

    return serve(dsn, every_s, metrics_port, metrics_host)
