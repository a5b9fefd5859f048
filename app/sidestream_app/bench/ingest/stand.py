"""The test stand: a database of its own, a broker and one ingest worker as the product runs them."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.ports import LOOPBACK, free_port
from sidestream_app.supervise import ProcessSpec, Supervisor, log_line
from sidestream_contracts.errors import TransientError
from sidestream_contracts.hub import HubFile
from sidestream_store.audit import rows
from sidestream_store.hub_apply import apply_hub
from sidestream_store.migrate import create_database, drop_database, migrate, on_database

Say = Callable[[str], None]
_WORKER = "ingest"
_LOOK_S = 0.25
_READINGS, _COMMITTED = "sidestream_ingest_readings_total", "sidestream_ingest_last_commit_timestamp_seconds"
_KEEPALIVE_S = "600"
"""Longer than a session takes to fill: a worker that stands still for it must not be given up by the broker."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What runs, and how to ask and steer it."""

    dsn: str
    broker_port: int
    folder: Path
    supervisor: Supervisor
    metrics_port: int

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The worker stands still inside; its session at the broker stays and fills."""
        self.supervisor.send(_WORKER, signal.SIGSTOP)
        try:
            yield
        finally:
            self.supervisor.send(_WORKER, signal.SIGCONT)

    def committed_s(self, readings: int, within_s: float) -> float:
        """When the last of so many readings was committed, seconds since 1970: exact, since the worker notes it.

        TransientError with both numbers when they were not in time, or when they are not in the database.
        """
        deadline_s = time.monotonic() + within_s
        while (told := self._figures())[_READINGS] < readings and time.monotonic() < deadline_s:
            time.sleep(_LOOK_S)
        if (found := rows(self.dsn)) < readings:
            raise TransientError(f"{found:,} of {readings:,} readings were committed in {within_s:.0f} s.")
        return told[_COMMITTED]

    def _figures(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = [line.split() for line in answer.read().decode().splitlines()]
        return {line[0]: float(line[1]) for line in lines if line[0] in (_READINGS, _COMMITTED)}

    def worker_peak_mb(self) -> float:
        """The most memory that the worker had resident since its start, MB; NaN where the kernel does not tell."""
        pid = self.supervisor.pids()[_WORKER]
        status = Path(f"/proc/{pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), float("nan"))


@contextmanager
def stand(admin_dsn: str, hub: HubFile, folder: Path) -> Iterator[Stand]:
    """A stand with `hub` applied and the worker connected; everything of it is gone afterwards."""
    with ExitStack() as undo, _database(admin_dsn, "ingest") as dsn:
        migrate(dsn)
        apply_hub(dsn, hub, folder)
        port, metrics_port = free_port(), free_port()
        env = {
            "SIDESTREAM_DSN": dsn,
            "SIDESTREAM_BROKER_HOST": LOOPBACK,
            "SIDESTREAM_BROKER_PORT": str(port),
            "SIDESTREAM_BROKER_KEEPALIVE": _KEEPALIVE_S,
        }
        worker = ProcessSpec(
            _WORKER,
            (sys.executable, "-m", "sidestream_app", "ingest", "run", "--metrics-port", str(metrics_port)),
            folder / "ingest.log",
            env=env,
            depends_on=("broker",),
            ready=log_line("connected to the broker"),
        )
        supervisor = Supervisor([broker_spec(port, folder / "broker.log"), worker])
        undo.callback(supervisor.stop_all)
        supervisor.start_all()
        yield Stand(dsn, port, folder, supervisor, metrics_port)


@contextmanager
def copy_database(admin_dsn: str, hub: HubFile, folder: Path) -> Iterator[str]:
    """The DSN of a database like the stand's, into which nobody but the caller writes."""
    with _database(admin_dsn, "copy") as dsn:
        migrate(dsn)
        apply_hub(dsn, hub, folder)
        yield dsn


@contextmanager
def _database(admin_dsn: str, purpose: str) -> Iterator[str]:
    name = f"sidestream_bench_{purpose}_{os.getpid()}"
    create_database(admin_dsn, name)
    try:
        yield on_database(admin_dsn, name)
    finally:
        drop_database(admin_dsn, name)
