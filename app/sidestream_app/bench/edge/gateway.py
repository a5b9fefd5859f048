"""A gateway to measure: one Modbus device that answers, its `edge.yaml`, and the agent as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidestream_app.bench.ingest.outboxes import backlog_hub
from sidestream_app.chaos.devices import READY
from sidestream_app.embedded.ports import LOOPBACK, free_port
from sidestream_app.supervise import ProcessSpec, Supervisor, log_line
from sidestream_contracts.hub import HubFile

_REGISTERS = 1000
_AGENT, _METER = "edge", "meter"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many registers one Modbus driver reads, and how often."""

    sensors: int
    period_s: float

    @property
    def values_s(self) -> float:
        """Values a second."""
        return self.sensors / self.period_s

    def __str__(self) -> str:
        return f"{self.sensors} registers every {self.period_s:g} s"


def bench_hub() -> HubFile:
    """The hub of the backlog with as many sensors as the largest pace has."""
    hub = backlog_hub()
    first = hub.sensors[0]
    more = [first.model_copy(update={"id": f"r{n}", "name": f"r{n}"}) for n in range(_REGISTERS)]
    return hub.model_copy(update={"sensors": [*hub.sensors, *more]})


@contextmanager
def running(pace: Pace, broker_port: int, folder: Path) -> Iterator[int]:
    """The agent's process id, its meter answering; both are gone afterwards. Its outbox is `folder`/outbox.sqlite."""
    folder.mkdir(parents=True)
    file = folder / "edge.yaml"
    file.write_text(_yaml(pace, broker_port, free_port()))
    meter = ProcessSpec(
        _METER,
        (sys.executable, "-m", "sidestream_app.chaos.devices", "1", str(file)),
        folder / "meter.log",
        ready=log_line(READY),
    )
    agent = ProcessSpec(
        _AGENT,
        (sys.executable, "-m", "sidestream_app", "edge", "run", str(file)),
        folder / "edge.log",
        depends_on=(_METER,),
    )
    with Supervisor([meter, agent]) as gateway:
        gateway.start_all()
        yield gateway.pids()[_AGENT]


def _yaml(pace: Pace, broker_port: int, meter_port: int) -> str:
    sensors = "\n".join(
        f"      - {{id: r{n}, register: {2 * n}, type: uint32, scale: 0.001}}" for n in range(pace.sensors)
    )
    return (
        f"version: 1\nhub: bench\nparty: p\ndevice: gw\nbroker: {{host: {LOOPBACK}, port: {broker_port}}}\ndrivers:\n"
        f"  - id: meter\n    type: modbus\n    host: {LOOPBACK}\n    port: {meter_port}\n    period_s: {pace.period_s}\n"
        f"    sensors:\n{sensors}\n"
    )
