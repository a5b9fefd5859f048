"""Every Prometheus metric that Sidestream shows: name, kind, labels and meaning in one table, and the way to show them.

Off unless a port is asked for, and then on 127.0.0.1 unless another address is given: the figures tell of a plant.
A component hands over a function that reads its figures when somebody asks; nothing is counted twice for Prometheus' sake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from socketserver import BaseServer
from typing import TYPE_CHECKING, Any, Literal

from sidestream_contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

Kind = Literal["counter", "gauge", "histogram"]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it stands in `docs/metrics.md`; a counter's name ends in `_total`, a unit stands in the name."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure of a metric, with the values of its labels in order; a histogram has buckets up to `+Inf` and its sum."""

    metric: str
    value: float
    labels: tuple[str, ...] = ()
    buckets: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """Metrics that are being shown, at `port`."""

    port: int
    _server: BaseServer

    def close(self) -> None:
        """Shows nothing any more and frees the port."""
        self._server.shutdown()
        self._server.server_close()


METRICS: tuple[Metric, ...] = (
    Metric("sidestream_ingest_frames_total", "counter", ("result",), "frames applied: `new`, or `seen` before and only acknowledged again"),
    Metric("sidestream_ingest_readings_total", "counter", (), "readings and scans committed"),
    Metric("sidestream_ingest_quarantined_total", "counter", ("reason",), "entries put into quarantine"),
    Metric("sidestream_ingest_queue_full_total", "counter", (), "times at which nothing more was read because the queue was full"),
    Metric("sidestream_ingest_acknowledgements_total", "counter", (), "acknowledgements sent to gateways"),
    Metric("sidestream_ingest_queue_messages", "gauge", (), "messages that wait in memory for a commit"),
    Metric("sidestream_ingest_queue_bytes", "gauge", (), "bytes of their payloads"),
    Metric("sidestream_ingest_commit_seconds", "histogram", (), "how long one transaction of frames takes"),
    Metric("sidestream_ingest_last_commit_timestamp_seconds", "gauge", (), "when the last one was done, Unix time; 0 before the first"),
    Metric("sidestream_ingest_database_waiting_seconds", "gauge", (), "for how long the database has been away; 0 while it is there"),
    Metric("sidestream_ingest_broker_connected", "gauge", (), "1 while the broker is there, else 0"),
    Metric("sidestream_ingest_broker_connections_total", "counter", (), "how often the broker was connected to"),
    Metric("sidestream_edge_outbox_frames", "gauge", ("lane",), "frames that the hub has not acknowledged"),
    Metric("sidestream_edge_outbox_oldest_age_seconds", "gauge", ("lane",), "how long the oldest of them has waited; 0 for none"),
    Metric("sidestream_edge_outbox_bytes", "gauge", (), "what waits and what is parked"),
    Metric("sidestream_edge_outbox_limit_bytes", "gauge", (), "`outbox.max_mb` of edge.yaml"),
    Metric("sidestream_edge_parked_frames", "gauge", (), "frames kept apart because the broker would not carry them"),
    Metric("sidestream_edge_held", "gauge", ("lane", "reason"), "1 while nothing is taken from that lane's drivers; no sample else"),
    Metric("sidestream_edge_refused_readings_total", "counter", ("reason",), "readings that live drivers had to drop: `outbox_full`, `outbox_old`, `disk_low`, `disk_full`, `busy`"),
    Metric("sidestream_edge_broker_connected", "gauge", (), "1 while the broker is there, else 0"),
    Metric("sidestream_edge_driver_running", "gauge", ("driver",), "1 while the driver reads its device, or has read its file to the end, else 0"),
    Metric("sidestream_edge_driver_restarts_total", "counter", ("driver",), "how often it was started again"),
    Metric("sidestream_edge_driver_events_total", "counter", ("driver", "event"), "what the driver counts of itself, as in its README"),
    Metric("sidestream_flows_passes_total", "counter", ("result",), "passes of the twin: `done` or `failed`"),
    Metric("sidestream_flows_pass_seconds", "gauge", (), "how long the last one took"),
    Metric("sidestream_flows_last_pass_timestamp_seconds", "gauge", (), "when the last one was done, Unix time; 0 before the first"),
    Metric("sidestream_flows_changes_total", "counter", (), "changed ranges taken from the backlog"),
    Metric("sidestream_flows_figures_total", "counter", (), "figures of streams and stocks computed"),
)  # fmt: skip

_BY_NAME = {metric.name: metric for metric in METRICS}


def families(samples: Iterable[Sample]) -> Iterator[Family]:
    """The samples as prometheus_client wants them; KeyError for a metric that is not in the table."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    kinds: dict[Kind, Any] = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    found: dict[str, Any] = {}
    for sample in samples:
        metric = _BY_NAME[sample.metric]
        family = found.get(metric.name)
        if family is None:
            family = kinds[metric.kind](metric.name, metric.meaning.replace("`", ""), labels=metric.labels)
            found[metric.name] = family
        if metric.kind == "histogram":
            family.add_metric(sample.labels, list(sample.buckets), sample.value)
        else:
            family.add_metric(sample.labels, sample.value)
    yield from found.values()


class _Collector:
    """Asks for the figures each time that somebody asks for the metrics."""

    def __init__(self, read: Callable[[], Iterable[Sample]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        return families(self._read())

    def describe(self) -> list[Family]:
        return []


def show(read: Callable[[], Iterable[Sample]], port: int, host: str = LOOPBACK) -> Shown:
    """The samples that `read` gives are shown at http://host:port/metrics from now on; port 0 takes a free one.

    `read` is called in a thread of the server's. ConfigurationError where the address can't be used, or where the Python
    package prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "Metrics need the Python package prometheus-client, which is not installed: install sidestream[edge] or"
            " sidestream[server], or ask for no metrics."
        ) from error
    registry = CollectorRegistry()
    registry.register(_Collector(read))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigurationError(
            f"Metrics can't be shown at {host}:{port}: {error.strerror or error}. Choose another port or address."
        ) from error
    return Shown(server.server_port, server)
