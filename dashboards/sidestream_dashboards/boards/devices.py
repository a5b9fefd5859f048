"""Gateways: whether they are there, what they send, and what still waits in their outboxes."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.model import Panel

DEVICES_SQL: Final = """
SELECT d.name, d.device, p.name AS party, d.state, d.received_at AS status_at, d.last_frame_at,
    d.frames_last_hour / 60.0 AS frames_per_minute, COALESCE(d.open_quarantine, 0) AS open_quarantine,
    o.frames AS outbox_frames, extract(epoch FROM d.received_at - o.oldest_at) AS outbox_age_s,
    (d.body ->> 'parked')::bigint AS parked,
    (
        SELECT string_agg((x ->> 'id') || ': ' || (x ->> 'state') || COALESCE(', ' || (x ->> 'error'), ''), '; ')
        FROM jsonb_array_elements(d.body -> 'drivers') x WHERE x ->> 'state' IN ('failed', 'hung')
    ) AS broken_drivers,
    d.body ->> 'agent' AS agent
FROM sidestream_v.device d
LEFT JOIN sidestream_v.party p ON p.id = d.party
LEFT JOIN LATERAL (
    SELECT sum((x ->> 'frames')::bigint) AS frames, min((x ->> 'oldest_at')::timestamptz) AS oldest_at
    FROM jsonb_array_elements(d.body -> 'outbox') x
) o ON true
WHERE d.device IN ($device)
ORDER BY d.state = 'online', d.name
"""

DRIVERS_SQL: Final = """
SELECT d.name AS device, x ->> 'id' AS driver, x ->> 'type' AS type, x ->> 'state' AS state,
    (x -> 'counters' ->> 'polls_due')::bigint AS polls_due, (x -> 'counters' ->> 'polls_done')::bigint AS polls_done,
    (x ->> 'last_good_at')::timestamptz AS last_good_at, (x ->> 'restarts')::bigint AS restarts,
    COALESCE(x ->> 'trouble', x ->> 'error') AS error, d.received_at AS status_at
FROM sidestream_v.device d
CROSS JOIN LATERAL jsonb_array_elements(d.body -> 'drivers') x
WHERE d.device IN ($device)
ORDER BY (x ->> 'trouble') IS NULL AND x ->> 'state' IN ('running', 'finished'), d.name, 2
"""

FRAMES_SQL: Final = """
SELECT name AS device, frames_last_hour / 60.0 AS frames_per_minute FROM sidestream_v.device
WHERE device IN ($device) ORDER BY name
"""

OUTBOX_SQL: Final = """
SELECT d.name || ', lane ' || (x ->> 'lane') AS lane, (x ->> 'frames')::bigint AS frames
FROM sidestream_v.device d
CROSS JOIN LATERAL jsonb_array_elements(d.body -> 'outbox') x
WHERE d.device IN ($device)
ORDER BY 2 DESC, 1
"""

_READINGS: Final = """
    SELECT c.* FROM level l CROSS JOIN LATERAL (
        SELECT s.device, date_bin(GREATEST($__interval_ms * interval '1 ms', interval '{width}'), r.bucket, timestamptz 'epoch') AS time,
            sum((r.n + r.bad)::float8) AS readings, GREATEST($__interval_ms / 60000.0, {minutes})::float8 AS minutes
        FROM sending s
        JOIN sidestream_v.rollup_{level} r ON r.sensor_id = s.sensor_id
        WHERE l.level = '{level}' AND $__timeFilter(r.bucket) AND r.bucket <= date_trunc('minute', now()) - interval '{width}'
        GROUP BY 1, 2 OFFSET 0
    ) c
"""
_LEVEL: Final = """
WITH level AS MATERIALIZED (
    SELECT CASE WHEN minutes <= 100000 THEN '1m' WHEN minutes / 60 <= 100000 THEN '1h' ELSE '1d' END AS level
    FROM (
        SELECT count(*) * extract(epoch FROM $__timeTo()::timestamptz - $__timeFrom()::timestamptz) / 60 AS minutes
        FROM sidestream_v.sensor
    ) rows
),
sending AS MATERIALIZED (SELECT sensor_id, device FROM sidestream_v.sensor WHERE device IN ($device)),
named AS MATERIALIZED (SELECT device, name FROM sidestream_v.device),
counted AS ("""
READINGS_SQL: Final = (
    _LEVEL
    + _READINGS.format(level="1m", width="1 minute", minutes=1)
    + "    UNION ALL"
    + _READINGS.format(level="1h", width="1 hour", minutes=60)
    + "    UNION ALL"
    + _READINGS.format(level="1d", width="1 day", minutes=1440)
    + """)
SELECT c.time, n.name AS metric, c.readings / c.minutes AS value
FROM counted c
JOIN named n ON n.device = c.device
ORDER BY 1, 2
"""
)

DEVICES: Final = Panel(
    kind="table",
    title="Devices",
    description="Each gateway as its own status message told it, and what the hub has from it. Outbox: frames written on the "
    "gateway's disk that the hub had not acknowledged when it last reported, and the age of the oldest then; counts from "
    "the gateway, no older than 'Status of'. Parked: frames that the broker would not carry.",
    sql=DEVICES_SQL,
    width=24,
    height=7,
    fields=(
        look.text("name", "Device", 200),
        look.coloured("state", "State", look.DEVICE_STATE),
        look.moment("status_at", "Status of", ago=True),
        look.moment("last_frame_at", "Last frame (last hour)", ago=True),
        look.number("frames_per_minute", "Frames", look.PER_MINUTE, 1),
        look.number("outbox_frames", "Outbox, frames", look.NUMBER, 0),
        look.number("outbox_age_s", "Oldest in outbox", look.SECONDS, 0),
        look.number("parked", "Parked", look.NUMBER, 0),
        look.number("open_quarantine", "Open quarantine, readings", look.NUMBER, 0),
        look.text("broken_drivers", "Broken drivers", 260),
        look.text("party", "Party"),
        look.text("device", "Id"),
        look.text("agent", "Agent"),
    ),
)

DRIVERS: Final = Panel(
    kind="table",
    title="What gateways read",
    description="Each driver of each gateway as the gateway last told it: polls due and done since its agent started, when its device last "
    "gave a good answer, and what is wrong now, or was wrong last with its data. Those in trouble stand first. No newer than 'Status of'.",
    sql=DRIVERS_SQL,
    width=24,
    height=7,
    empty="No gateway has reported a driver",
    fields=(
        look.text("device", "Device", 180),
        look.text("driver", "Driver", 140),
        look.coloured("state", "State", look.DRIVER_STATE),
        look.number("polls_due", "Polls due", look.NUMBER, 0),
        look.number("polls_done", "Polls done", look.NUMBER, 0),
        look.moment("last_good_at", "Last good", ago=True),
        look.number("restarts", "Restarts", look.NUMBER, 0),
        look.text("error", "What is wrong", 420),
        look.text("type", "Type"),
        look.moment("status_at", "Status of", ago=True),
    ),
)

FRAMES: Final = Panel(
    kind="bargauge",
    title="Frames per minute, mean of the last hour",
    description="Frames committed from each device in the last hour, divided by 60; an exact count of the ledger, whatever "
    "time is chosen above.",
    sql=FRAMES_SQL,
    width=8,
    height=8,
    unit=look.PER_MINUTE,
    decimals=1,
    steps=look.NEUTRAL,
    fields=(look.text("device", "Device"), look.number("frames_per_minute", "Frames", look.PER_MINUTE, 1)),
)

OUTBOX: Final = Panel(
    kind="bargauge",
    title="Waiting in outboxes",
    description="Frames in each lane of each gateway's outbox that the hub had not acknowledged when the gateway last "
    "reported; the gateway's own count, as old as its status.",
    sql=OUTBOX_SQL,
    width=8,
    height=8,
    decimals=0,
    steps=look.NEUTRAL,
    empty="No gateway has reported its outbox",
    fields=(look.text("lane", "Lane"), look.number("frames", "Frames", look.NUMBER, 0)),
)

READINGS: Final = Panel(
    kind="timeseries",
    title="Readings per minute",
    description="Readings of each device by the minute in which they were measured (usable and bad); over long times the mean of whole "
    "hours or days; an "
    "exact count. Scans are not in it.",
    sql=READINGS_SQL,
    width=8,
    height=8,
    unit=look.PER_MINUTE,
    decimals=0,
    empty="No reading of a whole minute in this time",
)
