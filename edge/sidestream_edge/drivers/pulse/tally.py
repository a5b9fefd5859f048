"""The count that is kept: from pulses and counter values to a register and a rate, across restarts. Pure.

What was counted is exact. What nobody counted (while the agent was off, or before a counter fell back) is not guessed:
it is a gap, and is told as one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sidestream_contracts.edge_pulse import PER_S, PulseDriver


@dataclass(frozen=True, slots=True)
class Kept:
    """What the outbox keeps: pulses counted ever, the counter's last value, when (µs UTC), and the boot in which."""

    pulses: int = 0
    value: int | None = None
    at: int | None = None
    boot: str | None = None

    @classmethod
    def parse(cls, cursor: str | None) -> Kept:
        """What `text` made; nothing counted yet for None."""
        return cls(**json.loads(cursor)) if cursor is not None else cls()

    def text(self) -> str:
        """As a cursor for the outbox."""
        body = {"pulses": self.pulses, "value": self.value, "at": self.at, "boot": self.boot}
        return json.dumps(body, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Step:
    """How a counter got from one value to the next: `pulses` are certain; `gap` says what is not known."""

    pulses: int
    gap: str | None = None
    rolled_over: bool = False


def step(kept: Kept, value: int, *, boot: str | None, bits: int | None) -> Step:
    """From the counter's kept value to `value`. `boot`: given where the counter starts at 0 with the machine."""
    if kept.value is None:
        return Step(0)
    if boot is not None and boot != kept.boot:
        return Step(value, "the machine was started again; pulses between the last reading and then are not known")
    if value >= kept.value:
        return Step(value - kept.value)
    if bits is not None and kept.value < 2**bits and kept.value - value > 2 ** (bits - 1):
        return Step(value + 2**bits - kept.value, rolled_over=True)
    return Step(value, f"the counter fell from {kept.value} to {value}: it was reset, pulses before that are not known")


class Rate:
    """Units per time from the spacing of pulses, so that a slow meter's rate does not jump between 0 and 1 pulse."""

    def __init__(self, config: PulseDriver) -> None:
        self._factor = PER_S[config.rate.per if config.rate else "h"] / config.per_unit
        self._last_us: int | None = None
        self._rate: float | None = None

    def see(self, pulses: int, last_us: int, now_us: int) -> tuple[float | None, bool]:
        """The rate now, and whether it is measured: between pulses it is only known to be no more than this.

        `pulses` came since the last call, the last of them at `last_us`.
        """
        if pulses:
            before, self._last_us = self._last_us, last_us
            if before is not None and last_us > before:
                self._rate = pulses / ((last_us - before) / 1e6) * self._factor
            return self._rate, True
        if self._last_us is None or self._rate is None or now_us <= self._last_us:
            return self._rate, False
        ceiling = self._factor / ((now_us - self._last_us) / 1e6)
        return min(self._rate, ceiling), ceiling >= self._rate

    def forget(self) -> None:
        """After a gap the next pulse begins anew."""
        self._last_us = self._rate = None
