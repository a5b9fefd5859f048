"""`sidestream ingest run`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sidestream_app.commands.options import BrokerHost, BrokerPort, Dsn, Hints, MetricsHost, MetricsPort


def run(
    *,
    dsn: Dsn,
    broker_host: BrokerHost = "127.0.0.1",
    broker_port: BrokerPort = 1883,
    broker_user: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_USER")] = None,
    broker_password: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_PASSWORD", show=False)] = None,
    broker_ca: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_CA", help="CA file; turns TLS on.")] = None,
    broker_keepalive: Annotated[
        int, Parameter(env_var="SIDESTREAM_BROKER_KEEPALIVE", help="Seconds after which a silent line is given up.")
    ] = 10,
    max_packet_mb: Annotated[
        int,
        Parameter(
            env_var="SIDESTREAM_MAX_PACKET_MB",
            validator=Number(gte=1, lte=255),
            help="Largest MQTT packet taken, MiB. The broker is told, and is left if it sends more. A device's larger frame"
            " waits on its gateway: set the broker's own limit no higher, so that the gateway parks and reports it.",
        ),
    ] = 4,
    hints: Hints = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
) -> int:
    """Run one ingest worker until SIGTERM or Ctrl-C; several with the same settings share the load.

    Waits for a database or broker that is away. Refuses to start (exit code 2) on a database without schema or hub.
    """
    from sidestream_ingest.subscriber import BrokerAddress
    from sidestream_ingest.worker import Settings, serve

    most = max_packet_mb * 1024 * 1024
    broker = BrokerAddress(broker_host, broker_port, broker_user, broker_password, broker_ca, broker_keepalive, most)
    return serve(Settings(dsn, broker, hints, metrics_port=metrics_port, metrics_host=metrics_host))
