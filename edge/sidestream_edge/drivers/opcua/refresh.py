"""Asks again for values of which the server says nothing, where `edge.yaml` wants that: a steady value is then not taken for a stale one.

What the server answers is a statement of its own, made at the time that it tells (ServerTimestamp of a read with a maximum age:
OPC 10000-4, 7.7.4 and 5.11.2); nothing is said at a time that only this gateway knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from asyncua import ua
from asyncua.client.ua_session import UaSession

from sidestream_edge.drivers.opcua import words
from sidestream_edge.drivers.opcua.address_space import pieces
from sidestream_edge.drivers.opcua.intake import Intake

MAX_AGE_MS = 1000
"""How old the server's own copy may be. Not 0: node-opcua then tells the year 9999 as its time, and so to everybody from then on."""


async def refresh(session: UaSession, nodes: Mapping[str, ua.NodeId], intake: Intake, every_s: float) -> None:
    """Reads quiet variables every `every_s` until it is cancelled or the line is cut, which others see and tell."""
    with contextlib.suppress(*words.FAILURES):
        while True:
            await asyncio.sleep(every_s)
            for some in pieces([name for name in intake.quiet(every_s) if name in nodes]):
                values = await _read(session, [nodes[name] for name in some])
                intake.confirm(list(zip(some, values, strict=True)))


async def _read(session: UaSession, nodes: list[ua.NodeId]) -> list[ua.DataValue]:
    found: list[ua.DataValue] = await session.read(
        ua.ReadParameters(
            MaxAge=MAX_AGE_MS, TimestampsToReturn=ua.TimestampsToReturn.Both,
            NodesToRead=[ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value) for node in nodes],
        )
    )  # fmt: skip
    return found
