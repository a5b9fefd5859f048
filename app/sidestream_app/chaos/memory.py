"""Memory of the product over the run: from the start of load to when all has drained."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

_SAMPLES = 3
_APART_S = 0.4
_STEADY_EVERY_S, _STEADY_LOOKS, _STEADY_SHARE = 1.0, 4, 0.01
"""Steady is what grew by less than a hundredth in four seconds."""
Reading = Mapping[str, float]


@dataclass(slots=True)
class Memory:
    """MB by process: at the start of load after warm-up, at the end, and the most that all had together."""

    measure: Callable[[], Reading]
    at_start: dict[str, float] = field(default_factory=dict)
    at_end: dict[str, float] = field(default_factory=dict)
    peak_mb: float = 0.0

    def begin(self, within_s: float, stop: threading.Event) -> None:
        """The load runs: waits until all together grow no more (or `within_s` is over), and that is the start."""
        deadline_s = time.monotonic() + within_s
        totals = [sum(self.measure().values())]
        while time.monotonic() < deadline_s and not stop.wait(_STEADY_EVERY_S):
            totals.append(sum(self.measure().values()))
            if len(totals) > _STEADY_LOOKS and totals[-1] < totals[-1 - _STEADY_LOOKS] * (1 + _STEADY_SHARE):
                break
        self.at_start = self._settled()

    def look(self) -> None:
        """Once in a while, for the peak."""
        self.peak_mb = max(self.peak_mb, sum(self.measure().values()))

    def end(self) -> None:
        """Everything has drained."""
        self.at_end = self._settled()

    @property
    def growth_mb(self) -> dict[str, float]:
        """Of each process that was there at both times; what a fault started later has nothing to be compared with."""
        return {name: self.at_end[name] - mb for name, mb in self.at_start.items() if self.at_end.get(name)}

    @property
    def growth_share(self) -> float:
        """Growth of the whole as a share of what it was."""
        grown = self.growth_mb
        before_mb = sum(self.at_start[name] for name in grown)
        return sum(grown.values()) / before_mb if before_mb else 0.0

    def _settled(self) -> dict[str, float]:
        samples = []
        for _ in range(_SAMPLES):
            samples.append(self.measure())
            time.sleep(_APART_S)
        self.peak_mb = max(self.peak_mb, *(sum(sample.values()) for sample in samples))
        return {name: median(sample.get(name, 0.0) for sample in samples) for name in samples[0]}
