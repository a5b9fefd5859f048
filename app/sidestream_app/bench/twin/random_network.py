"""Networks of any size with a hidden truth: a chain of nodes with by-passes, loops, inlets and outlets near each other.

About 0.4 nodes per flow, four of five flows measured and all observable, deviations over a factor of fifty. Every flow lies on ways through
the plant that carry something, so the truth balances and nothing runs backwards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.reconcile import Knowledge, Stream, analyse, network
from sidestream_twin.core.uncertain import Uncertain

_NODES_PER_FLOW = 0.4
_MEASURED = 0.8
_NEAR = 8


def random_network(flows: int, seed: int) -> tuple[list[Stream], FloatArray]:
    """Return streams with measurements, and the true flows (kg/s); the same for the same seed."""
    random = np.random.default_rng(seed)
    ends = _ends(flows, random)
    truth = _balanced(ends, random)
    streams, meters = [], []
    for at, (source, target) in enumerate(ends):
        sd = float(truth[at]) * float(random.uniform(0.002, 0.1)) + 0.01
        part = float(random.uniform(0.3, 0.9))
        shown = float(truth[at] + sd * random.normal())
        meters.append(Uncertain(shown, sd * part, sd * float(np.sqrt(1 - part**2))))
        has_meter = random.random() < _MEASURED
        streams.append(Stream(f"s{at}", _name(source), _name(target), meters[at] if has_meter else None, lower=0.0))
    known = analyse(network(streams)).knowledge
    lost = [at for at, each in enumerate(known) if each is Knowledge.UNOBSERVABLE]
    for at in lost:
        streams[at] = replace(streams[at], measured=meters[at])
    return streams, truth


def _name(node: int) -> str | None:
    return None if node < 0 else f"n{node}"


def _ends(flows: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """From and to, -1 for the outside; the chain first."""
    nodes = max(2, int(flows * _NODES_PER_FLOW))
    ends = [(-1, 0), *((at - 1, at) for at in range(1, nodes)), (nodes - 1, -1)]
    while len(ends) < flows:
        source = int(random.integers(0, nodes))
        target = int(np.clip(source + random.integers(-_NEAR, _NEAR + 1), 0, nodes - 1))
        kind = random.random()
        if kind < 0.15:
            ends.append((-1, target))
        elif kind < 0.3:
            ends.append((source, -1))
        elif source != target:
            ends.append((source, target))
    return ends[:flows]


def _balanced(ends: list[tuple[int, int]], random: np.random.Generator) -> FloatArray:
    """Over every flow goes a way of its own, along the chain to where it begins and from where it ends."""
    nodes = max(max(pair) for pair in ends) + 1
    truth = np.zeros(len(ends))
    for index, (source, target) in enumerate(ends):
        amount = float(random.lognormal(1.0, 0.7))
        truth[: source + 1] += amount
        truth[index] += amount
        if target >= 0:
            truth[target + 1 : nodes + 1] += amount
    return truth
