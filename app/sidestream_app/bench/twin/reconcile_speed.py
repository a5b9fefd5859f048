"""How long reconciliation takes and how that grows with the network, beside a dense solver with the same answers.

Runs in a process of its own with one thread for linear algebra, so that the figure is that of one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import lsq_linear

from sidestream_app.bench.twin.random_network import random_network
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.reconcile import LinearSystem, Stream, analyse, global_test, network, reconcile, screen

SIZES = (30, 300, 1000, 3000)
_PEER_UP_TO = {True: 300, False: 1000}
_REPEATS = {True: 3, False: 7}
_SEED = 2026
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def reconcile_part(*, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure in a child process: `reconcile_s` by number of flows, and what it consists of."""
    say("reconciliation of 30, 300, 1 000 and 3 000 flows on one core")
    command = [sys.executable, "-m", "sidestream_app.bench.twin.reconcile_speed", *(["--quick"] if quick else [])]
    one_thread = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    done = subprocess.run(command, env=one_thread, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(*, quick: bool, sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """The figures of every size, in rising order; seconds are the least of some repeats."""
    by_size = {str(flows): _one_size(flows, quick=quick) for flows in sizes}
    return {
        "reconcile_s": {size: found["whole_s"] for size, found in by_size.items()},
        "reconcile_next_s": {size: found["next_s"] for size, found in by_size.items()},
        "reconcile_detail": by_size,
        "reconcile_how": "least of some repeats of building, analysing, estimating with covariance, and testing; next: analysis kept",
        "reconcile_growth": _growth(by_size),
    }


def _one_size(flows: int, *, quick: bool) -> dict[str, Any]:
    streams, truth = random_network(flows, _SEED)
    repeats = _REPEATS[quick] if flows <= 1000 else 3
    system, structure = network(streams), analyse(network(streams))
    estimate = reconcile(system, structure)
    known = ~np.isnan(estimate.value)
    measured = system.is_measured
    raw = np.sqrt(np.mean(np.square((system.measured - truth)[measured] / np.sqrt(system.variance[measured]))))
    better = np.sqrt(np.mean(np.square((estimate.value - truth)[measured] / np.sqrt(system.variance[measured]))))
    return {
        "whole_s": _least(lambda: _whole(streams), repeats),
        "next_s": _least(lambda: _tests(system, structure), repeats),
        "nodes": system.matrix.shape[0],
        "redundancy": structure.redundancy,
        "told": int(np.count_nonzero(known)),
        "rms_raw_sd": round(float(raw), 4),
        "rms_reconciled_sd": round(float(better), 4),
        **_peer(system, estimate.value, flows <= _PEER_UP_TO[quick]),
    }


def _whole(streams: list[Stream]) -> None:
    system = network(streams)
    _tests(system, analyse(system))


def _tests(system: LinearSystem, structure: Any) -> None:
    estimate = reconcile(system, structure)
    screen(estimate)
    global_test(estimate)


def _peer(system: LinearSystem, value: FloatArray, run: bool) -> dict[str, Any]:
    """The same by scipy.optimize.lsq_linear over a dense null space: values only, no covariance, no tests."""
    if not run:
        return {
            "peer_s": None,
            "peer_s_why": "the dense solver is not run at this size, its time grows with the cube",
            "peer_difference": None,
            "peer_difference_why": "see peer_s_why",
        }
    began = time.perf_counter()
    ways = null_space(system.matrix.toarray())
    measured = system.is_measured
    weight = 1.0 / np.sqrt(system.variance[measured])
    fit = lsq_linear(weight[:, None] * ways[measured], weight * system.measured[measured], tol=1e-14)
    took = time.perf_counter() - began
    apart = np.nanmax(np.abs(ways @ fit.x - value) / (1.0 + np.abs(value)))
    return {"peer_s": round(took, 4), "peer_difference": float(f"{apart:.2g}")}


def _growth(by_size: dict[str, dict[str, Any]]) -> float:
    """Exponent of the time between the last size and a tenth of it or so: 1 is linear."""
    last = int(list(by_size)[-1])
    small = min(by_size, key=lambda size: abs(int(size) - last / 10))
    ratio = by_size[str(last)]["whole_s"] / by_size[small]["whole_s"]
    return round(float(np.log(ratio) / np.log(last / int(small))), 2)


def _least(work: Callable[[], None], repeats: int) -> float:
    """The least of some repeats: what else the machine does only ever adds."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return round(min(took), 5)


if __name__ == "__main__":
    print(json.dumps(measure(quick="--quick" in sys.argv)))
