"""What every part of one pass works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sidestream_store.connect import Connection
from sidestream_twin.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A pass in its transaction: the hub's plan, and the moment it computes for.

    `horizon` is the first step that has not ended yet; nothing from there on is computed.
    """

    connection: Connection
    plan: Plan
    now_at: datetime
    horizon: int

    @property
    def step_s(self) -> int:
        """Length of the twin's steps."""
        return self.plan.hub.step_s

    @property
    def balance_s(self) -> int:
        """Length of the intervals over which balances are closed."""
        return self.plan.hub.balance_s

    @property
    def zone(self) -> ZoneInfo:
        """The hub's time zone."""
        return ZoneInfo(self.plan.hub.timezone)
