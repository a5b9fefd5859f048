"""What a chaos run found, as one JSON object and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidestream_app.chaos.memory import Memory
from sidestream_app.demo.counting import Count

MOST_GROWTH = 0.10


@dataclass(slots=True)
class Struck:
    """One fault as it happened, seconds after the load began."""

    time_s: float
    number: int
    kind: str
    target: str
    did: str
    ok: bool | None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a run found."""

    seed: int
    seconds: float
    quick: bool
    faults: tuple[Struck, ...]
    count: Count
    quarantine: dict[str, int]
    drained_s: float | None
    memory: Memory
    processes: tuple[str, ...]
    rerun: str

    def complaints(self) -> list[str]:
        """Why the run failed, a sentence each; empty when everything held."""
        found = []
        if self.drained_s is None:
            found.append("not everything was acknowledged in time")
        if self.count.lost or self.count.doubled:
            found.append(f"lost {self.count.lost}, doubled {self.count.doubled} readings")
        if self.memory.growth_share >= MOST_GROWTH:
            found.append(f"memory grew by {self.memory.growth_share:.0%}; allowed is less than {MOST_GROWTH:.0%}")
        found += [f"fault {f.number} ({f.kind}): {f.wrong or f.did}" for f in self.faults if f.ok is False]
        return found


def as_object(outcome: Outcome) -> dict[str, Any]:
    """The keys of BENCH and more; times in s, memory in MB."""
    count, memory = outcome.count, outcome.memory
    return {
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "quick": outcome.quick,
        "synthetic": True,
        "ok": not outcome.complaints(),
        "complaints": outcome.complaints(),
        "faults": [_fault(fault) for fault in outcome.faults],
        "sent": count.sent,
        "committed": count.committed,
        "quarantined": count.quarantined,
        "quarantine_reasons": outcome.quarantine,
        "lost": count.lost,
        "doubled": count.doubled,
        "rate": round(count.sent / outcome.seconds, 1),
        "drained_s": None if outcome.drained_s is None else round(outcome.drained_s, 1),
        **({"drained_s_why": "frames were still unacknowledged at the deadline"} if outcome.drained_s is None else {}),
        "memory_growth_mb": round(sum(memory.growth_mb.values()), 1),
        "memory_growth_share": round(memory.growth_share, 4),
        "memory_growth_mb_by_process": {name: round(mb, 1) for name, mb in sorted(memory.growth_mb.items())},
        "memory_mb": {"start": round(sum(memory.at_start.values()), 1), "peak": round(memory.peak_mb, 1)},
        "processes": list(outcome.processes),
        "rerun": outcome.rerun,
    }


def _fault(fault: Struck) -> dict[str, Any]:
    found = {
        "time_s": round(fault.time_s, 2),
        "kind": fault.kind,
        "number": fault.number,
        "target": fault.target,
        "did": fault.did,
        "ok": fault.ok,
    }
    return {**found, "wrong": fault.wrong} if fault.wrong else found


def as_text(outcome: Outcome) -> str:
    """The same for people; at failure with the command that runs it again."""
    count, memory = outcome.count, outcome.memory
    kinds = len({fault.number for fault in outcome.faults if fault.ok is not None})
    drained = "not drained" if outcome.drained_s is None else f"drained in {outcome.drained_s:.1f} s"
    lines = [
        f"seed {outcome.seed}: {len(outcome.faults)} faults of {kinds} kinds in {outcome.seconds:.0f} s (synthetic figures)",
        (
            f"sent {count.sent} ({count.sent / outcome.seconds:.0f}/s), committed {count.committed}, quarantined "
            f"{count.quarantined}, lost {count.lost}, doubled {count.doubled}; {drained}"
        ),
        (
            f"memory {sum(memory.at_start.values()):.0f} MB at the start of load, grew by {sum(memory.growth_mb.values()):.1f} MB "
            f"({memory.growth_share:.1%}), peak {memory.peak_mb:.0f} MB"
        ),
        *(f"  not done here: fault {f.number} ({f.kind}): {f.did}" for f in outcome.faults if f.ok is None),
    ]
    wrong = outcome.complaints()
    if wrong:
        lines += ["FAILED:", *(f"  - {line}" for line in wrong), f"again: {outcome.rerun}"]
    return "\n".join(lines)
