"""Prefect's records of runs: kept as long as someone may look at them, because a run every ten seconds is many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client

_COMPLETED_FOR = timedelta(hours=2)
_OTHERS_FOR = timedelta(days=7)
_BATCH = 50  # the most that the server deletes at a time


async def delete_old_runs(fast_flow: str) -> int:
    """Completed runs of the fast flow older than two hours are gone, and any flow's ended runs older than a week."""
    now_at = datetime.now(UTC)
    boring = {
        "state": {"type": {"any_": ["COMPLETED"]}},
        "end_time": {"before_": (now_at - _COMPLETED_FOR).isoformat()},
    }
    old = {
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}},
        "end_time": {"before_": (now_at - _OTHERS_FOR).isoformat()},
    }
    return await _delete(boring | {"tags": {"all_": [fast_flow]}}) + await _delete(old)


async def _delete(runs: dict[str, Any]) -> int:
    total = 0
    async with get_client() as client:
        while True:
            # No method of the client's own deletes in bulk; its routes are typed without this one, too.
            response = await client.request("POST", "/flow_runs/bulk_delete", json={"flow_runs": runs, "limit": _BATCH})  # type: ignore[arg-type]
            deleted = len(response.json()["deleted"])
            total += deleted
            if deleted < _BATCH:
                return total
