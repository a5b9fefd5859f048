"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def _says_something(_: object, address: str) -> None:
    """An empty address would mean whatever database libpq finds by itself, or wait for one for ever."""
    if not address.strip():
        raise ValueError("it is empty; give the database's address, e.g. postgresql://user@host/database")


Dsn = Annotated[
    str,
    Parameter(
        name="--dsn",
        env_var="SIDESTREAM_DSN",
        help="PostgreSQL address (libpq URI or keywords).",
        validator=_says_something,
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative=(), help="One JSON object on stdout, for programs.")]
BrokerHost = Annotated[str, Parameter(name="--broker-host", env_var="SIDESTREAM_BROKER_HOST", help="MQTT broker.")]
BrokerPort = Annotated[int, Parameter(name="--broker-port", env_var="SIDESTREAM_BROKER_PORT", help="Its port.")]
MetricsPort = Annotated[
    int | None,
    Parameter(
        name="--metrics-port",
        env_var="SIDESTREAM_METRICS_PORT",
        help="Show Prometheus metrics at this port (docs/metrics.md); off without it.",
    ),
]
MetricsHost = Annotated[
    str,
    Parameter(name="--metrics-host", env_var="SIDESTREAM_METRICS_HOST", help="Address on which metrics are shown."),
]
Hints = Annotated[
    str | None,
    Parameter(
        name="--hints",
        env_var="SIDESTREAM_HINTS",
        help="ZeroMQ address on which ingest says what changed, e.g. tcp://127.0.0.1:5556.",
    ),
]
