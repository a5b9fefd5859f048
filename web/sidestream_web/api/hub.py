"""What the hub is made of, and its devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from sidestream_store.read import hub as read
from sidestream_store.read.pool import Pool
from sidestream_store.read.trouble import Device, devices
from sidestream_web.parameters import pool_of, the_hub

router = APIRouter(tags=["hub"])
ThePool = Annotated[Pool, Depends(pool_of)]


@router.get("/hub", summary="The hub: parties, nodes, streams with their stage, sensors, agreements")
async def the_whole_hub(pool: ThePool) -> read.HubGraph:
    """Everything the applied hub file says, with today's stage of each stream. `hub.synthetic` marks made-up figures."""
    await the_hub(pool)
    graph = await read.hub_graph(pool)
    assert graph is not None
    return graph


@router.get("/devices", summary="Publishing agents and how they are")
async def all_devices(pool: ThePool) -> list[Device]:
    """Each agent with its last status message, the newest reception of a reading, and what waits in quarantine."""
    return await devices(pool)
