"""The flows as Prefect sees them: thin, asynchronous, tried again when the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from prefect import flow, get_run_logger, tags

from sidestream_flows.records import delete_old_runs
from sidestream_flows.work import CURRENT, Day, Hour
from sidestream_twin.update import UpdateReport

REFRESH = "refresh-twin"


@flow(
    name=REFRESH,
    flow_run_name=lambda: f"twin-{datetime.now(UTC):%Y%m%d-%H%M%S}",
    retries=2,
    retry_delay_seconds=1,
    persist_result=False,
    validate_parameters=False,
)
async def refresh_twin() -> UpdateReport:
    """Bring the twin up to date with what changed since the last run."""
    report = await asyncio.to_thread(CURRENT.get().refresh)
    _tell([str(report), *report.problems])
    return report


@flow(name="every-hour", retries=3, retry_delay_seconds=20, persist_result=False, validate_parameters=False)
async def every_hour() -> Hour:
    """Make partitions ahead, see which sensors were silent, delete records of runs that nobody will look at."""
    found = await asyncio.to_thread(CURRENT.get().hour)
    _tell([*found.remarks(), f"{await delete_old_runs(REFRESH)} old records of runs deleted"])
    return found


@flow(name="every-day", retries=3, retry_delay_seconds=60, persist_result=False, validate_parameters=False)
async def every_day() -> Day:
    """Close yesterday's periods, thin out what the twin remembers, drop what is too old, say what is in quarantine."""
    found = await asyncio.to_thread(CURRENT.get().day)
    _tell(found.remarks())
    return found


async def refresh_as_run() -> UpdateReport:
    """A run of the fast flow, tagged so that its records can be told from all others and deleted sooner."""
    with tags(REFRESH, "sidestream"):
        return await refresh_twin()


def _tell(lines: Iterable[str]) -> None:
    log = get_run_logger()
    for line in lines:
        log.info("%s", line)
