"""A gap between two subscriptions: it is always said, and filled from the server's history where there is one.

Nothing doubles: of a sensor only what is newer than everything taken before is taken from the history, page by page, and each
page is durable together with the mark of how far it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import ua
from asyncua.client.ua_session import UaSession

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.opcua import history
from sidestream_edge.drivers.opcua.intake import Intake

SHORTEST_US = 1_000_000
_AHEAD_US = 86_400_000_000
"""The history is asked for up to a day from now, for the source's clock may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From when the server was last heard until the new subscription, µs UTC."""

    since_us: int
    until_us: int

    @classmethod
    def since(cls, heard_us: int | None, until_us: int) -> Gap | None:
        """The gap; None at the very first start, and where it is shorter than a second."""
        return cls(heard_us, until_us) if heard_us is not None and until_us - heard_us >= SHORTEST_US else None

    @property
    def words(self) -> str:
        """`from 2026-11-22 10:00:00Z to 10:05:00Z (300 s)`."""
        since, until = (datetime.fromtimestamp(t / 1e6, UTC) for t in (self.since_us, self.until_us))
        return f"from {since:%Y-%m-%d %H:%M:%SZ} to {until:%Y-%m-%d %H:%M:%SZ} ({(self.until_us - self.since_us) / 1e6:.0f} s)"


async def fill(
    gap: Gap,
    session: UaSession,
    config: OpcUaDriver,
    nodes: Mapping[str, ua.NodeId],
    *,
    intake: Intake,
    context: DriverContext,
) -> None:
    """Reads the gap from the server's history, and says what came of it."""
    context.count("gaps")
    found, without = 0, dict.fromkeys(nodes, "`history` is off") if config.history == "off" else {}
    for sensor_id, node in nodes.items() if config.history == "gap" else ():
        newest = intake.newest_us(sensor_id)
        since = gap.since_us if newest is None else newest
        try:
            async for page in history.pages(session, node, since, gap.until_us + _AHEAD_US):
                found += intake.past(sensor_id, page, since)
        except ContractError as error:
            without[sensor_id] = str(error)
    context.count("from_history", found)
    context.note(
        "gap",
        f"OPC UA server {config.id} did not keep what we watch {gap.words}. {_outcome(found, without, len(nodes))}",
    )


def _outcome(found: int, without: Mapping[str, str], asked: int) -> str:
    if not without:
        return f"{found} readings of that time were taken from its history."
    first, why = next(iter(without.items()))
    lost = f"Of {len(without)} of {asked} sensors there is no history ({first}: {why}): their readings of that time are missing."
    return f"{lost} {found} readings of the others were taken." if len(without) < asked else lost
