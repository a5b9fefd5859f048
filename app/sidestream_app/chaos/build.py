"""Puts a rig together: folders, ports, a disk of its own for the database; nothing is started yet."""

from __future__ import annotations

import threading
from pathlib import Path

from sidestream_app.chaos import plant
from sidestream_app.chaos.disk import OwnDisk
from sidestream_app.chaos.proxy import Proxy
from sidestream_app.chaos.rig import Rig, Say
from sidestream_app.chaos.servers import Server
from sidestream_app.demo.layout import Layout
from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.ports import free_port
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_app.supervise import ProcessSpec, Supervisor

_POSTGRES_SETTINGS = {"max_wal_size": "96MB", "min_wal_size": "32MB", "shared_buffers": "16MB"}
"""The whole database must fit its small disk, and its memory show what grows."""
_DISK_MB = 512


def build(home: Path, seed: int, say: Say, stop: threading.Event, *, with_flows: bool) -> Rig:
    """A rig under `home`, whose earlier content is thrown away. Call it before any thread is started.

    ConfigurationError where `home` holds other things than a run's data.
    """
    layout = Layout(home.absolute())
    layout.prepare(fresh=True)
    disk = OwnDisk(layout.postgres, _DISK_MB)
    postgres = EmbeddedPostgres(layout.postgres, log=layout.logs / "postgres.log", settings=_POSTGRES_SETTINGS)
    broker_port, *others = _free_ports(1 + 3 * len(plant.EDGES))
    ports = {edge: plant.EdgePorts(*others[3 * n : 3 * n + 3]) for n, edge in enumerate(plant.EDGES)}
    return Rig(
        layout=layout,
        seed=seed,
        say=say,
        stop=stop,
        with_flows=with_flows,
        disk=disk,
        supervisor=Supervisor(on_event=say),
        postgres=postgres,
        database=Server("postgres", postgres.process_spec, say),
        broker=Server("broker", lambda: _broker(broker_port, layout), say),
        broker_port=broker_port,
        proxies={edge: Proxy(where.broker, broker_port) for edge, where in ports.items()},
        ports=ports,
    )


def _broker(port: int, layout: Layout) -> ProcessSpec:
    return broker_spec(port, layout.logs / "broker.log")


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = free_port()
        if port not in found:
            found.append(port)
    return found
