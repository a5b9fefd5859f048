"""What time it was when a reader stamped a read: its own UTC clock where that is right, else the gateway's.

The smallest difference between a report's arrival and its stamp is the clocks' difference, a few milliseconds of network
excepted. A reader that counts from its start (uptime), or whose clock is off, is translated by it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

TRUSTED_US = 2_000_000
"""A reader's clock that is less than this away from the gateway's is taken as it is."""

STEP_US = 60_000_000
"""A difference that grows by more than this at once is a clock that was set, not a report that was late."""

_SPAN_US = 300_000_000
"""The smallest difference is that of this time or up to twice as long, so that a drift is followed."""


@dataclass(slots=True)
class ReaderClock:
    """One reader's clock during one connection; times in µs."""

    is_uptime: bool = False
    _least_us: int | None = None
    _before_us: int | None = None
    _since_us: int = 0

    def heard(self, stamp_us: int, arrived_us: int, *, uptime: bool) -> None:
        """A read with this stamp arrived at this time of the gateway."""
        difference_us = arrived_us - stamp_us
        offset_us = self.offset_us
        if uptime != self.is_uptime or offset_us is None or abs(difference_us - offset_us) > STEP_US:
            self.is_uptime, self._least_us, self._before_us, self._since_us = uptime, difference_us, None, arrived_us
            return
        if arrived_us - self._since_us > _SPAN_US:
            self._before_us, self._least_us, self._since_us = self._least_us, difference_us, arrived_us
        elif self._least_us is None or difference_us < self._least_us:
            self._least_us = difference_us

    @property
    def offset_us(self) -> int | None:
        """Gateway's time minus the reader's; None before the first read."""
        known = [us for us in (self._least_us, self._before_us) if us is not None]
        return min(known, default=None)

    @property
    def is_trusted(self) -> bool:
        """Whether stamps are told as they are."""
        return not self.is_uptime and abs(self.offset_us or 0) <= TRUSTED_US

    @property
    def described(self) -> str:
        """In words, for a person."""
        off_s = (self.offset_us or 0) / 1e6
        if self.is_uptime:
            return "counts from its start"
        if self.is_trusted:
            return f"right within {TRUSTED_US / 1e6:g} s"
        return f"{abs(off_s):,.0f} s {'behind' if off_s > 0 else 'ahead'}"

    def utc_us(self, stamp_us: int) -> int:
        """Time of the read."""
        return stamp_us if self.is_trusted else stamp_us + (self.offset_us or 0)

    def now_us(self, gateway_us: int) -> int:
        """The gateway's time in the clock in which reads are told."""
        return gateway_us - (self.offset_us or 0) if self.is_trusted else gateway_us
