"""The newest reading of each sensor, with the mark that says whether it may be trusted now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from sidestream_store.read.pool import Pool, query

Mark = Annotated[
    str,
    Field(description="good, uncertain, bad, out_of_range, stale, recorded (a replay) or none (never seen)"),
]


@dataclass(frozen=True, slots=True)
class Latest:
    """A sensor's newest reading in its own unit, or a scan's code; `time` is None where it was never seen."""

    sensor: str
    name: str
    device: str
    party: str
    quantity: str
    unit: Annotated[str, Field(description="UCUM code of `value` and `sd`")]
    role: str
    stream: str | None
    node: str | None
    time: Annotated[datetime | None, Field(description="of the measurement itself, ISO 8601 UTC")]
    value: Annotated[float | None, Field(description="null: the source gave no number, or the sensor was never seen")]
    sd: Annotated[
        float | None,
        Field(description="standard deviation as entered, else by the declared accuracy; null without one"),
    ]
    code: Annotated[str | None, Field(description="what a scanner or RFID reader read")]
    quality: Annotated[int | None, Field(description="what the source said: 0 good, 1 uncertain, 2 bad")]
    freshness: Annotated[str, Field(description="fresh, stale, recorded or none")]
    mark: Mark
    received_at: Annotated[datetime | None, Field(description="when the hub got it, ISO 8601 UTC")]


async def latest(pool: Pool, sensors: Sequence[str] | None = None) -> list[Latest]:
    """The newest reading of each of `sensors` (None: of all), by sensor id; one round trip."""
    return await query(
        pool,
        Latest,
        """
        SELECT l.sensor, l.name, l.device, l.party, l.quantity, l.unit, l.role, l.stream, l.node, l.time, l.value,
               COALESCE(
                   CASE WHEN s.manual THEN (
                       SELECT e.sd FROM sidestream_v.manual_entry e WHERE e.sensor_id = l.sensor_id AND e.frame_id = l.frame_id
                   ) END,
                   CASE WHEN s.limit_pct + s.limit_abs + s.random_pct + s.random_abs > 0 THEN sqrt(
                       ((s.limit_pct / 100 * l.value) ^ 2 + s.limit_abs ^ 2) / 3
                       + (s.random_pct / 100 * l.value) ^ 2 + s.random_abs ^ 2) END) AS sd,
               l.code, l.quality, l.freshness, l.mark, l.received_at
        FROM sidestream_v.latest l JOIN sidestream_v.sensor s USING (sensor_id)
        WHERE %(sensors)s::text[] IS NULL OR l.sensor = ANY (%(sensors)s::text[])
        ORDER BY l.sensor
        """,
        sensors=None if sensors is None else list(sensors),
    )
