"""Loads what balances are computed from: all that was heard in some intervals, and which streams were live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from sidestream_store.twin import balances as store_balances
from sidestream_store.twin.balances import FlowSum, LotSum
from sidestream_store.twin.stocks import Seen
from sidestream_store.twin.values import Subject
from sidestream_twin.balance_measure import Heard
from sidestream_twin.context import Pass
from sidestream_twin.lifecycle import live_at
from sidestream_twin.steps import Span, merged


def live_streams(now: Pass, intervals: Sequence[int]) -> dict[int, frozenset[str]]:
    """The streams that are live when an interval begins or just before it ends."""
    starts = np.array(intervals, dtype=np.float64) * now.balance_s
    found: dict[int, set[str]] = {n: set() for n in intervals}
    for stream in now.plan.hub.streams:
        live = live_at(stream, starts, now.zone) | live_at(stream, starts + (now.balance_s - 1), now.zone)
        for n, flows in zip(intervals, live.tolist(), strict=True):
            if flows:
                found[n].add(stream.id)
    return {n: frozenset(names) for n, names in found.items()}


class Hearing:
    """All that was heard in some intervals, asked for run by run."""

    def __init__(self, now: Pass, intervals: Sequence[int]) -> None:
        self._length_s = now.balance_s
        parts = [part for balance in now.plan.balances for part in balance.parts]
        subjects = sorted({p.subject for p in parts if p.figure}, key=lambda s: (s.kind, s.id, s.quantity))
        places = sorted({part.lots for part in parts if part.lots})
        nodes = sorted({part.subject.id for part in parts if part.observers})
        self._flows: dict[int, dict[Subject, FlowSum]] = defaultdict(dict)
        self._lots: dict[int, dict[tuple[str, str], LotSum]] = defaultdict(dict)
        self._seen: dict[int, dict[tuple[str, str], Seen]] = defaultdict(dict)
        connection, balance_s = now.connection, now.balance_s
        for run in merged(Span(n, n + 1) for n in intervals):
            for (n, subject), flow in store_balances.load_sums(
                connection, subjects, run.first, run.stop, balance_s
            ).items():
                self._flows[n][subject] = flow
            if places:
                lots = store_balances.load_lots(connection, places, run.first, run.stop, balance_s)
                for (n, node, material), lot in lots.items():
                    self._lots[n][node, material] = lot
        if nodes:
            bounds = sorted({m for n in intervals for m in (n, n + 1)})
            seen = store_balances.load_bounds(connection, nodes, bounds, balance_s, now.step_s)
            for (n, node, sensor), sight in seen.items():
                self._seen[n][node, sensor] = sight

    def of(self, n: int) -> Heard:
        """Everything that was heard in interval n."""
        return Heard(self._length_s, self._flows[n], self._lots[n], self._seen[n], self._seen[n + 1])
