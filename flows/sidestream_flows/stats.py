"""What the flows process has done, for its heartbeat and its metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidestream_contracts.metrics import Sample

if TYPE_CHECKING:
    from sidestream_store.workers import Figure
    from sidestream_twin.update import UpdateReport

_PREFIX = "sidestream_flows_"


@dataclass(slots=True)
class Stats:
    """Sums since the process began, and the last pass; written by one thread, read by others."""

    done: int = 0
    failed: int = 0
    changes: int = 0
    figures: int = 0
    last_pass_s: float = 0.0
    last_pass_at: datetime | None = None
    trouble: str | None = None

    def refreshed(self, report: UpdateReport, began_s: float) -> None:
        """A pass, or several in a row, ended well."""
        self.done += report.passes
        self.changes += report.claimed
        self.figures += report.steps
        self.last_pass_s = time.monotonic() - began_s
        self.last_pass_at = datetime.now(UTC)
        self.trouble = report.problems[0] if report.problems else None

    def figures_told(self) -> dict[str, Figure]:
        """What the heartbeat says."""
        return {
            "passes": self.done,
            "failed": self.failed,
            "changes": self.changes,
            "figures": self.figures,
            "last_pass_s": round(self.last_pass_s, 3),
            "last_pass_at": self.last_pass_at.isoformat() if self.last_pass_at else None,
            "trouble": self.trouble,
        }

    def samples(self) -> Iterator[Sample]:
        """Everything that `docs/metrics.md` lists for the flows; may be called from any thread."""
        yield Sample(f"{_PREFIX}passes_total", self.done, ("done",))
        yield Sample(f"{_PREFIX}passes_total", self.failed, ("failed",))
        yield Sample(f"{_PREFIX}pass_seconds", self.last_pass_s)
        at = self.last_pass_at
        yield Sample(f"{_PREFIX}last_pass_timestamp_seconds", at.timestamp() if at else 0.0)
        yield Sample(f"{_PREFIX}changes_total", self.changes)
        yield Sample(f"{_PREFIX}figures_total", self.figures)
