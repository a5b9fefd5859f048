"""Everything a fault can strike: servers, edges behind their proxies, ingest workers, devices, tap and extra sender."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import psutil

from sidestream_app.chaos import devices, plant
from sidestream_app.chaos.disk import OwnDisk
from sidestream_app.chaos.proxy import Proxy
from sidestream_app.chaos.sender import Sender
from sidestream_app.chaos.servers import Server
from sidestream_app.chaos.tap import Tap
from sidestream_app.demo.layout import Layout
from sidestream_app.embedded.ports import LOOPBACK
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.supervise import Condition, ProcessSpec, Supervisor, log_line
from sidestream_contracts.errors import DomainError
from sidestream_contracts.hubcheck import load_hub

DATABASE = "sidestream"
WORKERS = ("ingest-one", "ingest-two")
_LOOK_S = 0.05
_FLOWS_EVERY_S = 2.0

Say = Callable[[str, str], None]
Part = TypeVar("Part")


@dataclass(slots=True)
class Burst:
    """A burst that was let loose: whose, and how many readings it holds."""

    device: str
    readings: int


@dataclass(slots=True)
class Rig:
    """The run's processes and what the faults leave behind for the count."""

    layout: Layout
    seed: int
    say: Say
    stop: threading.Event
    with_flows: bool
    disk: OwnDisk
    supervisor: Supervisor
    postgres: EmbeddedPostgres
    database: Server
    broker: Server
    broker_port: int
    proxies: dict[str, Proxy]
    ports: dict[str, plant.EdgePorts]
    forged: set[str] = field(default_factory=set)
    bursts: list[Burst] = field(default_factory=list)
    _tap: Tap | None = None
    _sender: Sender | None = None

    @property
    def dsn(self) -> str:
        """The database as its owner. Holds a secret."""
        return self.postgres.dsn(DATABASE)

    @property
    def tap(self) -> Tap:
        """Who listens on the line; DomainError before `start`."""
        return _started(self._tap)

    @property
    def sender(self) -> Sender:
        """The extra device; DomainError before `start`."""
        return _started(self._sender)

    def outbox(self, device: str) -> Path:
        """The outbox of an edge."""
        return self.layout.outbox.parent / device / "outbox.sqlite"

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self.layout.logs / f"{name}.log"

    def start(self) -> None:
        """Everything runs and readings flow."""
        self._start_servers()
        for proxy in self.proxies.values():
            proxy.start()
        self._tap = Tap(self.broker_port, plant.HUB, plant.EDGES)
        self._sender = Sender(self.broker_port, plant.address(plant.EXTRA))
        files = [str(self._write_edge(edge)) for edge in plant.EDGES]
        module = ("-m", "sidestream_app.chaos.devices", str(self.seed))
        self._add("devices", (*module, *files), ready=log_line(devices.READY))
        for worker in WORKERS:
            self._run(worker, "ingest", "run", ready=log_line("connected to the broker"))
        if self.with_flows:
            self._run("flows", "flows", "run", "--every", str(_FLOWS_EVERY_S))
        for edge, file in zip(plant.EDGES, files, strict=True):
            self._run(edge, "edge", "run", file, depends_on=("devices",))
        self.supervisor.start_all(self.stop.is_set)

    def start_burst(self, number: int, csv: str, readings: int) -> str:
        """A new edge plays `csv` as fast as it can; its name."""
        device = plant.burst(number)
        folder = self.outbox(device).parent
        plant.write(folder / "burst.csv", csv)
        file = plant.write(folder / "edge.yaml", plant.burst_edge_yaml(number, self.broker_port))
        self.bursts.append(Burst(device, readings))
        self._run(device, "edge", "run", str(file))
        self.supervisor.start_all(self.stop.is_set)
        return device

    def edges(self) -> list[str]:
        """Every edge that runs, bursts too."""
        return [*plant.EDGES, *(burst.device for burst in self.bursts)]

    def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Waits until `condition` holds; False when it did not in time, or the run is being ended."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline_s or self.stop.wait(_LOOK_S):
                return False
        return True

    def mend(self) -> None:
        """Whatever a fault left broken is whole again."""
        self.disk.empty()
        for server in (self.database, self.broker):
            server.start()
        for proxy in self.proxies.values():
            proxy.mend()
        for worker in WORKERS:
            with contextlib.suppress(DomainError):  # one that is being restarted is not frozen
                self.supervisor.send(worker, signal.SIGCONT)

    def memory_mb(self) -> dict[str, float]:
        """Memory of each process of the product, MB; the simulated devices and this process are not of it."""
        found = {name: mb for name, mb in self.supervisor.memory_mb().items() if name != "devices"}
        return {**found, "postgres": self.database.memory_mb(), "broker": self.broker.memory_mb()}

    def lines_to_broker(self, name: str) -> set[int]:
        """Local ports of a process's connections to the broker; a new one is a new connection."""
        found = _connections(self.supervisor.pids().get(name))
        return {c.laddr.port for c in found if c.raddr.port == self.broker_port and c.status == "ESTABLISHED"}

    def lines_of_broker(self) -> set[int]:
        """The same from the broker's end: ports of the clients that it has not given up."""
        return {c.raddr.port for c in _connections(self.broker.pid) if c.status == "ESTABLISHED"}

    def close(self) -> None:
        """No process, thread or port of the run is left."""
        if self._sender is not None:
            self._sender.close()
        if self._tap is not None:
            self._tap.close()
        self.supervisor.stop_all()
        for server in (self.broker, self.database):
            server.stop()
        for proxy in self.proxies.values():
            proxy.close()

    def _start_servers(self) -> None:
        from sidestream_store.fault_injection import refuse_value
        from sidestream_store.hub_apply import apply_hub
        from sidestream_store.migrate import create_database, migrate

        self.database.start()
        self.broker.start()
        create_database(self.postgres.dsn("postgres"), DATABASE)
        migrate(self.dsn)
        hub = plant.write(self.layout.home / "hub.yaml", plant.hub_yaml())
        apply_hub(self.dsn, load_hub(hub), hub.parent)
        refuse_value(self.dsn, plant.POISON)

    def _write_edge(self, edge: str) -> Path:
        return plant.write(self.outbox(edge).parent / "edge.yaml", plant.edge_yaml(edge, self.ports[edge]))

    def _run(
        self, name: str, *arguments: str, ready: Condition | None = None, depends_on: tuple[str, ...] = ()
    ) -> None:
        self._add(name, ("-m", "sidestream_app", *arguments), ready=ready, depends_on=depends_on)

    def _add(
        self,
        name: str,
        arguments: tuple[str, ...],
        *,
        ready: Condition | None = None,
        depends_on: tuple[str, ...] = (),
    ) -> None:
        env = {
            "SIDESTREAM_DSN": self.dsn,
            "SIDESTREAM_BROKER_HOST": LOOPBACK,
            "SIDESTREAM_BROKER_PORT": str(self.broker_port),
            "SIDESTREAM_BROKER_KEEPALIVE": str(plant.KEEPALIVE_S),
        }
        spec = ProcessSpec(name, (sys.executable, *arguments), self.log(name), env=env, depends_on=depends_on)
        self.supervisor.add(spec if ready is None else replace(spec, ready=ready))


def _connections(pid: int | None) -> list[Any]:
    if pid is None:
        return []
    try:
        return [line for line in psutil.Process(pid).net_connections("tcp") if line.raddr]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _started(part: Part | None) -> Part:
    if part is None:
        raise DomainError("The rig is not started.")
    return part
