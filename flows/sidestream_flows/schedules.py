"""Hourly and daily work on Prefect's schedules, carried out in this very process.

Prefect's own `serve` starts a subprocess for each run: two seconds of processor time, 92 MB, and a child to leave behind.
So the deployments are registered as it would, the server makes their runs, and what is due is asked for here and run by
Prefect's engine in our loop. Runs, retries and "run now" look the same in its user interface.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow_async
from prefect.schedules import Cron
from prefect.states import Cancelled

_log = logging.getLogger(__name__)

AnyFlow = Flow[..., Any]
_MANY = 200


@dataclass(frozen=True, slots=True)
class Deployed:
    """A flow with its deployment on the server."""

    flow: AnyFlow
    deployment_id: UUID


async def deploy(flow: AnyFlow, cron: str, timezone: str) -> Deployed:
    """The server has a deployment of the flow on this schedule; the same one however often this is called."""
    deployment = await flow.ato_deployment(
        name="sidestream", schedule=Cron(cron, timezone=timezone), tags=["sidestream"], description=flow.description
    )
    return Deployed(flow, await deployment.aapply())


async def due(deployed: Sequence[Deployed]) -> list[tuple[AnyFlow, FlowRun]]:
    """Of each deployment the newest run that is due. Older ones, left from a time when nobody ran them, are cancelled.

    One run does all that is due, so doing the older ones as well would do the same again.
    """
    flows = {entry.deployment_id: entry.flow for entry in deployed}
    newest: dict[UUID, FlowRun] = {}
    async with get_client() as client:
        runs = await client.get_scheduled_flow_runs_for_deployments(
            list(flows), scheduled_before=datetime.now(UTC), limit=_MANY
        )
        for run in sorted(runs, key=lambda run: run.next_scheduled_start_time or datetime.now(UTC)):
            if run.deployment_id is None or run.deployment_id not in flows:
                continue
            older = newest.get(run.deployment_id)
            newest[run.deployment_id] = run
            if older is not None:
                await client.set_flow_run_state(older.id, Cancelled(message="A later run does its work."), force=True)
    return [(flows[deployment_id], run) for deployment_id, run in newest.items()]


async def carry_out(flow: AnyFlow, run: FlowRun) -> None:
    """The run is done, retries and all, and its end is on the server; what the flow raised comes out."""
    _log.info("%s: run %s", flow.name, run.name)
    await run_flow_async(flow, flow_run=run, parameters=run.parameters)
