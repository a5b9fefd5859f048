"""Runs the demo: start everything, let it run until Ctrl-C or for a time, count, and leave no process behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sidestream_app.demo import kills, measure
from sidestream_app.demo.layout import Layout, Ports
from sidestream_app.demo.page_probe import PageProbe
from sidestream_app.demo.stack import Files, Stack
from sidestream_app.embedded.ports import LOOPBACK

_SCANNERS = ("BAGGING", "GATE", "YARD", "MIXER")
_MEMORY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of the demo."""

    home: Path
    seconds: float | None
    fresh: bool
    kill: tuple[str, ...]
    seed: int
    web_port: int
    prefect_port: int
    broker_port: int
    quiet: bool


def run(options: Options) -> dict[str, Any] | None:
    """The summary of a timed run, or None after Ctrl-C; either way every process has ended."""
    from sidestream_simulators.hubs import example_hub

    planned = kills.plan(list(options.kill), options.seconds or 0.0, options.seed)
    layout = Layout(options.home.absolute())
    layout.prepare(fresh=options.fresh)
    ports = Ports.choose(options.web_port, options.prefect_port, options.broker_port, len(_SCANNERS))
    example = example_hub()
    env = {f"SIDESTREAM_SIM_SCAN_PORT_{n}": str(p) for n, p in zip(_SCANNERS, ports.scans, strict=True)}
    env |= {
        "SIDESTREAM_SIM_MODBUS_PORT": str(ports.modbus),
        "SIDESTREAM_JOURNAL": str(options.seconds is not None).lower(),
    }
    os.environ.update(env)
    stack = Stack(layout, ports, Files(example.hub_path, example.edge_path, env), _say)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        started_at = datetime.now(UTC)
        _start(stack, options.seed)
        if options.seconds is None:
            stop.wait()
            return None
        return _timed(stack, options, planned, started_at, stop)
    finally:
        stack.supervisor.stop_all(5.0)


def _start(stack: Stack, seed: int) -> None:
    stack.start_servers()
    for note in stack.postgres.notes:
        _say("postgres", note)
    stack.add_simulator(seed)
    stack.add_ingest()
    stack.add_web()
    stack.add_flows()
    stack.add_edge(after=("simulator",))
    stack.supervisor.start_all()
    _tell_where_to_look(stack)
    stack.add_prefect()
    stack.supervisor.start_all()


def _timed(
    stack: Stack, options: Options, planned: list[kills.Kill], started_at: datetime, stop: threading.Event
) -> dict[str, Any] | None:
    probe = PageProbe(LOOPBACK, stack.ports.web)
    killer = kills.Killer(stack.supervisor, planned)
    probe.start()
    killer.start()
    seconds = options.seconds or 0.0
    _say("demo", f"measuring for {seconds:.0f} s" + (f", will kill {', '.join(options.kill)}" if options.kill else ""))
    peak: dict[str, float] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop.is_set():
        sample = measure.memory(stack, os.getpid())
        peak = {name: max(value, peak.get(name, 0.0)) for name, value in sample.items()}
        stop.wait(min(_MEMORY_EVERY_S, max(0.0, end - time.monotonic())))
    killer.stop()
    if stop.is_set():
        return None
    parts = measure.components(stack)
    return _summary(stack, options, probe, killer, started_at) | {"memory_mb": peak, "components": parts}


def _summary(
    stack: Stack, options: Options, probe: PageProbe, killer: kills.Killer, started_at: datetime
) -> dict[str, Any]:
    from sidestream_store.audit import commit_delays_ms

    _say("demo", "stopping the source and letting everything drain")
    probe.stop()
    measure.freeze_when_delivered(stack)
    try:
        count = measure.counted(stack)
    finally:
        measure.thaw(stack)
    return {
        "seconds": options.seconds,
        "seed": options.seed,
        "synthetic": True,
        **asdict(count),
        "latency_ms": {
            "committed": measure.percentiles(commit_delays_ms(stack.dsn, started_at), "no live reading was committed"),
            "page": measure.percentiles(probe.delays_ms, "the page showed no new value"),
        },
        "twin_error": measure.compared_with_truth(stack, started_at),
        "kills": killer.done,
    }


def _tell_where_to_look(stack: Stack) -> None:
    ports, layout = stack.ports, stack.layout
    lines = [
        "",
        "Sidestream demo is running. Every figure is synthetic.",
        f"  live page    http://{LOOPBACK}:{ports.web}/",
        f"  read API     http://{LOOPBACK}:{ports.web}/openapi.json",
        f"  flow runs    http://{LOOPBACK}:{ports.prefect}/ (Prefect; starts last, in half a minute or so)",
        f"  MQTT broker  {LOOPBACK}:{ports.broker}   topics sidestream/v1/#",
        f"  data, logs   {layout.home}",
        *(f"  {name:<12} pid {pid}" for name, pid in stack.supervisor.pids().items()),
        "Ctrl-C ends everything; the data stay (--fresh starts anew).",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _say(name: str, what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}Z  {name:<10} {what}", file=sys.stderr, flush=True)
