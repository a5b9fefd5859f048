"""Asks database, broker, metrics and disk at the same time, and waits for none of them longer than a second."""

from __future__ import annotations

import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from sidestream_app.status.judge import judge
from sidestream_app.status.line import Line, duration, size
from sidestream_contracts.errors import ConfigurationError, SidestreamError
from sidestream_store.read.plant import Plant, read_plant

Answer = TypeVar("Answer")
PATIENCE_S = 1.0
_LITTLE, _VERY_LITTLE = 0.1, 0.02


@dataclass(frozen=True, slots=True)
class Where:
    """What to look at; `broker` (host, port) is found by the workers' heartbeats where it is None."""

    dsn: str
    broker: tuple[str, int] | None = None
    metrics: Sequence[str] = ()
    disks: Sequence[Path] = ()


class _Question(Generic[Answer]):
    """Asked in a thread of its own, which is left behind if it takes too long: the process ends soon anyway."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._answer: Answer | None = None
        self._error: SidestreamError | OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except (SidestreamError, OSError) as error:
            self._error = error

    def answer(self, deadline_s: float) -> Answer | SidestreamError | OSError:
        """What came of it until the monotonic `deadline_s`; a TimeoutError for nothing."""
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        if self._error is not None:
            return self._error
        if self._thread.is_alive() or self._answer is None:
            return TimeoutError(f"no answer within {PATIENCE_S:.0f} s")
        return self._answer


@dataclass(frozen=True, slots=True)
class Look:
    """The lines of the screen, and what the database told, where it did."""

    plant: Plant | None
    lines: list[Line]


def look(where: Where) -> Look:
    """Every line, within little more than a second, whatever is down."""
    deadline_s = time.monotonic() + PATIENCE_S
    asked = _Question(lambda: read_plant(where.dsn))
    told = [(url, _Question(partial(scrape, url))) for url in where.metrics]
    tried = _Question(partial(reach, *where.broker)) if where.broker else None
    plant = asked.answer(deadline_s)
    lines = list(judge(plant)) if isinstance(plant, Plant) else [_no_database(plant)]
    broker = where.broker or (_known_broker(plant) if isinstance(plant, Plant) else None)
    if broker is not None:
        tried = tried or _Question(partial(reach, *broker))
        lines.insert(1, _broker(broker, tried.answer(max(deadline_s, time.monotonic() + 0.3))))
    lines += [_metrics(url, question.answer(deadline_s)) for url, question in told]
    lines += [disk(path) for path in where.disks]
    return Look(plant if isinstance(plant, Plant) else None, lines)


def reach(host: str, port: int) -> float:
    """Seconds until the address took a connection; OSError when it did not."""
    began_s = time.monotonic()
    with socket.create_connection((host, port), timeout=PATIENCE_S):
        return time.monotonic() - began_s


def scrape(url: str) -> dict[str, float]:
    """Samples without labels, and sums over labels of the others, by name; OSError when nobody answers."""
    from prometheus_client.parser import text_string_to_metric_families

    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--metrics {url!r}: give an address such as http://127.0.0.1:9101/metrics.")
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310  looked at above
        text = answer.read().decode()
    found: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
    except ValueError as error:
        raise ConfigurationError(f"--metrics {url!r}: that is no page of metrics ({error}).") from error
    return found


def disk(path: Path) -> Line:
    """Whether the disk that holds `path` has room."""
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        return Line("disk", "attention", f"{path} can't be looked at: {error.strerror}", "name a folder with --disk")
    text = f"{size(usage.free)} of {size(usage.total)} free at {path}"
    if usage.free > _LITTLE * usage.total:
        return Line("disk", "ok", text)
    level: tuple[Line, ...] = (
        Line("disk", "attention", text, "free space soon"),
        Line(
            "disk", "broken", text, "free space now: a full disk stops the database. Nothing is acknowledged meanwhile"
        ),
    )
    return level[usage.free <= _VERY_LITTLE * usage.total]


def _no_database(error: object) -> Line:
    if isinstance(error, ConfigurationError):
        return Line("database", "broken", str(error), "")
    return Line("database", "broken", f"does not answer: {_first_line(_cause(error))}",
                "start it, or correct --dsn. Ingest waits and acknowledges nothing; gateways keep their readings")  # fmt: skip


def _known_broker(plant: Plant) -> tuple[str, int] | None:
    for worker in sorted(plant.workers or (), key=lambda w: w.silent_s):
        host, _, port = str(worker.figures.get("broker") or "").rpartition(":")
        if host and port.isdecimal():
            return host, int(port)
    return None


def _broker(address: tuple[str, int], answer: object) -> Line:
    where = f"{address[0]}:{address[1]}"
    if isinstance(answer, float):
        return Line("broker", "ok", f"{where} takes connections, in {answer * 1000:.0f} ms")
    return Line("broker", "broken", f"{where} can't be reached: {_first_line(answer)}",
                "start it; see its log. Gateways keep their readings and connect again by themselves")  # fmt: skip


def _metrics(url: str, answer: object) -> Line:
    if not isinstance(answer, dict):
        return Line(
            "metrics",
            "broken",
            f"{url} does not answer: {_first_line(answer)}",
            "is that process running, with --metrics-port?",
        )
    waits_s = answer.get("sidestream_ingest_database_waiting_seconds")
    if waits_s:
        held = f"{answer.get('sidestream_ingest_queue_messages', 0):.0f} messages in its queue"
        return Line("metrics", "broken", f"{url}: ingest has been waiting for the database for {duration(waits_s)}, {held}",
                    "bring the database back; ingest goes on by itself")  # fmt: skip
    if answer.get("sidestream_ingest_broker_connected") == 0:
        return Line(
            "metrics", "broken", f"{url}: ingest has no broker", "is the broker running, and does it let ingest in?"
        )
    return Line("metrics", "ok", f"{url} answers")


def _cause(error: object) -> object:
    """What the database client said, without what was being tried."""
    return getattr(error, "__cause__", None) or error


def _first_line(error: object) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
