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
from sidestream_app.demo.page_probe import PageProbe, page_delays_ms
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


@dataclass(frozen=True, slots=True)
class Began:
    """Where this run begins: the time, and the edge journal's end at that time; what is older is another run's."""

    at: datetime
    journal: int


def run(options: Options) -> dict[str, Any] | None:
    """The summary of a timed run, or None after Ctrl-C; either way every process has ended."""
    from sidestream_edge.outbox import journal_end
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
    # looked at where it is safe to end: an exception out of a signal handler may strike anywhere
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        began = Began(datetime.now(UTC), journal_end(layout.outbox))
        _start(stack, options.seed, stop)
        if options.seconds is None:
            stop.wait()
            return None
        return _timed(stack, options, planned, began, stop)
    except KeyboardInterrupt:
        return None
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is ending already
        stack.supervisor.stop_all(5.0)


def _start(stack: Stack, seed: int, stop: threading.Event) -> None:
    stack.start_servers()
    for note in stack.postgres.notes:
        _say("postgres", note)
    stack.add_simulator(seed)
    stack.add_ingest()
    stack.add_web()
    stack.add_flows()
    stack.add_publish()
    stack.add_edge(after=("simulator",))
    stack.supervisor.start_all(stop.is_set)
    _tell_where_to_look(stack)
    stack.add_prefect()
    stack.supervisor.start_all(stop.is_set)


def _timed(
    stack: Stack, options: Options, planned: list[kills.Kill], began: Began, stop: threading.Event
) -> dict[str, Any]:
    probe = PageProbe(LOOPBACK, stack.ports.web)
    killer = kills.Killer(stack.supervisor, planned)
    probe.start()
    killer.start()
    seconds = options.seconds or 0.0
    _say("demo", f"measuring for {seconds:.0f} s" + (f", will kill {', '.join(options.kill)}" if options.kill else ""))
    peak: dict[str, float] = {}
    end = time.monotonic() + seconds
    try:
        while (left_s := end - time.monotonic()) > 0:
            sample = measure.memory(stack, os.getpid())
            peak = {name: max(value, peak.get(name, 0.0)) for name, value in sample.items()}
            if stop.wait(min(_MEMORY_EVERY_S, left_s)):
                raise KeyboardInterrupt
    finally:
        killer.stop()
    parts = measure.components(stack)
    return _summary(stack, options, probe, killer, began) | {"memory_mb": peak, "components": parts}


def _summary(stack: Stack, options: Options, probe: PageProbe, killer: kills.Killer, began: Began) -> dict[str, Any]:
    from sidestream_store.audit import deliveries

    _say("demo", "stopping the source and letting everything drain")
    probe.stop()
    measure.freeze_when_delivered(stack)
    try:
        count = measure.counted(stack, began.journal)
    finally:
        measure.thaw(stack)
    delivered = deliveries(stack.dsn, began.at)
    page_ms = page_delays_ms(((d.sensor, d.measured_us) for d in delivered), probe.shown)
    return {
        "seconds": options.seconds,
        "seed": options.seed,
        "synthetic": True,
        **asdict(count),
        "latency_ms": {
            "committed": measure.percentiles((d.delay_ms for d in delivered), "no live reading was committed"),
            "page": measure.percentiles(page_ms, "the page showed no new value"),
        },
        "twin_error": measure.compared_with_truth(stack, began.at),
        "kills": killer.done,
    }


def _kept_address(stack: Stack) -> Path:
    """A file with the database's address, for its owner's eyes only: it has the password in it."""
    path = stack.layout.home / "dsn"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(stack.dsn)
    return path


def _tell_where_to_look(stack: Stack) -> None:
    ports, layout = stack.ports, stack.layout
    lines = [
        "",
        "Sidestream demo is running. Every figure is synthetic.",
        f"  live page    http://{LOOPBACK}:{ports.web}/",
        f"  read API     http://{LOOPBACK}:{ports.web}/openapi.json",
        f"  flow runs    http://{LOOPBACK}:{ports.prefect}/ (Prefect; starts last, in half a minute or so)",
        f"  MQTT broker  {LOOPBACK}:{ports.broker}   topics sidestream/v1/#",
        f'  database     export SIDESTREAM_DSN="$(cat {_kept_address(stack)})"   then any command of `sidestream --help`',
        f"  data, logs   {layout.home}",
        *(f"  {name:<12} pid {pid}" for name, pid in stack.supervisor.pids().items()),
        "Ctrl-C ends everything; the data stay (--fresh starts anew).",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _say(name: str, what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}Z  {name:<10} {what}", file=sys.stderr, flush=True)
