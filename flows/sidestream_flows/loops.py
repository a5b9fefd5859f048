"""The two loops: the fast one that refreshes the twin, and the one that carries out what Prefect's schedules make due."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

from sidestream_contracts.errors import SidestreamError
from sidestream_flows.link import PrefectLink
from sidestream_flows.work import Day, Hour, Work

if TYPE_CHECKING:
    from sidestream_flows.schedules import Deployed
    from sidestream_twin.update import UpdateReport

_log = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 60.0
_ASK_EVERY_S = 5.0
_LATE = 1.25


async def keep_refreshing(work: Work, link: PrefectLink, every_s: float) -> None:
    """A pass every `every_s` for ever, the next at once while there is a backlog; after a failure with longer pauses."""
    pause_s = 1.0
    while True:
        began = time.monotonic()
        try:
            report = await link.do(_refresh_as_run, work.refresh)
        except SidestreamError as error:
            _log.warning("The twin was not refreshed: %s Next try in %.0f s.", error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            continue
        pause_s = 1.0
        _log.info("twin: %s", report)
        if not report.more:
            await asyncio.sleep(max(every_s - (time.monotonic() - began), 0.0))


async def _refresh_as_run() -> UpdateReport:
    definitions = await _module("definitions")
    report: UpdateReport = await definitions.refresh_as_run()
    return report


async def _module(name: str) -> ModuleType:
    """A module of ours that imports Prefect, loaded where it holds up nothing."""
    return await asyncio.to_thread(importlib.import_module, f"sidestream_flows.{name}")


@dataclass(slots=True)
class Job:
    """Work with a schedule: the flow's name in `definitions`, and the same without Prefect."""

    flow: str
    cron: str
    period_s: float
    plainly: Callable[[], Hour | Day]
    done_at: float | None = None

    def overdue(self) -> bool:
        """Not done since the process began, or for longer than the schedule should ever leave."""
        return self.done_at is None or time.monotonic() - self.done_at > _LATE * self.period_s

    def done(self) -> None:
        """Done just now."""
        self.done_at = time.monotonic()


async def keep_schedules(work: Work, link: PrefectLink) -> None:
    """Hourly and daily work is done when Prefect's schedule says, at the start, and when Prefect fails to say for long."""
    jobs = [
        Job("every_hour", "5 * * * *", 3600.0, work.hour),
        Job("every_day", "15 0 * * *", 86400.0, work.day),
    ]
    deployed: list[Deployed] = []
    while True:
        try:
            for job in jobs:
                if job.overdue():
                    await _do_now(link, job)
                    deployed = []
            deployed = await link.try_with(partial(_do_due, work, jobs, deployed)) or []
        except SidestreamError as error:
            _log.warning("Scheduled work was not done: %s", error)
        await asyncio.sleep(_ASK_EVERY_S)


async def _do_now(link: PrefectLink, job: Job) -> None:
    async def as_run() -> Hour | Day:
        found: Hour | Day = await getattr(await _module("definitions"), job.flow)()
        return found

    found = await link.do(as_run, job.plainly)
    job.done()
    _log.info("%s: %s", job.flow, "; ".join(found.remarks()))


async def _do_due(work: Work, jobs: list[Job], deployed: list[Deployed]) -> list[Deployed]:
    """Carry out what is due of the deployments, which are made where there are none yet."""
    definitions, schedules = await _module("definitions"), await _module("schedules")
    if not deployed:
        zone = await asyncio.to_thread(work.timezone)
        deployed = [await schedules.deploy(getattr(definitions, job.flow), job.cron, zone) for job in jobs]
    by_name = {getattr(definitions, job.flow).name: job for job in jobs}
    for flow, run in await schedules.due(deployed):
        await schedules.carry_out(flow, run)
        by_name[flow.name].done()
    return deployed
