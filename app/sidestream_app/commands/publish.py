"""`sidestream publish`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from sidestream_app.commands.options import BrokerHost, BrokerPort, Dsn


def publish(
    *,
    dsn: Dsn,
    broker_host: BrokerHost = "127.0.0.1",
    broker_port: BrokerPort = 1883,
    broker_user: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_USER")] = None,
    broker_password: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_PASSWORD", show=False)] = None,
    broker_ca: Annotated[str | None, Parameter(env_var="SIDESTREAM_BROKER_CA", help="CA file; turns TLS on.")] = None,
    every_s: Annotated[float, Parameter(name="--every", help="Seconds between looks at the database.")] = 1.0,
) -> int:
    """Give the twin's figures out over MQTT, retained, to the parties they concern, until SIGTERM or Ctrl-C.

    A stream's figures go to the parties at its two ends, a node's to its owner, each on a topic of that party's own:
    sidestream/v1/HUB/PARTY/twin/stream|node/SUBJECT/QUANTITY. Only changes are sent; what is no longer given (removed
    from the hub, not live) is cleared. A database login that reads the views is enough. Waits for a database or broker
    that is away. Exit code 2 where no hub is applied or the broker's access rules forbid it.
    """
    from sidestream_ingest.outward.publisher import Settings, serve
    from sidestream_ingest.subscriber import BrokerAddress

    broker = BrokerAddress(broker_host, broker_port, broker_user, broker_password, broker_ca)
    return serve(Settings(dsn, broker, every_s))
