"""A meter with a pulse output: counts energy into a file, as a counter of the kernel does, and gives edges as the kernel tells them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_EVENT = struct.Struct("=QIIII24x")
FALLING = 2


@dataclass(slots=True)
class PulseMeter:
    """`pulses` so far; a counter of `bits` shows them modulo its size."""

    pulses: int = 0
    bits: int = 32

    def run(self, pulses: int) -> None:
        """So many pulses go by."""
        self.pulses += pulses

    def show(self, path: Path) -> None:
        """The counter's file, replaced in one step, so that nobody reads half a number."""
        beside = path.with_suffix(".new")
        beside.write_text(f"{self.pulses % 2**self.bits}\n", encoding="ascii")
        beside.replace(path)

    def edges(self, pulses: int, last_ns: int, spacing_ns: int, *, line: int = 17, dropped: int = 0) -> bytes:
        """The events of so many further pulses (struct gpio_v2_line_event), without the first `dropped` of them."""
        first = self.pulses
        self.run(pulses)
        return b"".join(
            _EVENT.pack(last_ns - (pulses - 1 - n) * spacing_ns, FALLING, line, first + n + 1, first + n + 1)
            for n in range(dropped, pulses)
        )
