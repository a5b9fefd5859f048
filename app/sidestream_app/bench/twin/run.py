"""`sidestream bench twin`: parts that each measure some keys; a key that no part measured is null and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sidestream_app.bench.twin.live_update import update_part
from sidestream_app.bench.twin.reconcile_speed import reconcile_part

KEYS = ("reconcile_s", "update_500_s", "replay_speedup")
"""What the answer always has."""


class Part(Protocol):
    """Measures some keys of the answer; further keys of its own are welcome."""

    def __call__(self, *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]: ...


PARTS: tuple[Part, ...] = (reconcile_part, update_part)


def bench_twin(*, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Every part's keys; with `quick` each part scales itself down and says what it scaled."""
    found: dict[str, Any] = {"quick": quick}
    for part in PARTS:
        found |= part(quick=quick, say=say)
    for key in KEYS:
        if key not in found:
            found |= {key: None, f"{key}_why": "no part of this version measures it"}
    return found
