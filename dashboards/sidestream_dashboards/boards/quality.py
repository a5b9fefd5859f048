"""Data quality and devices: which reading can't be trusted and why, what was put aside, and how the gateways are doing."""

from __future__ import annotations

from typing import Final

from sidestream_dashboards import look
from sidestream_dashboards.boards.devices import DEVICES, DRIVERS, FRAMES, OUTBOX, READINGS
from sidestream_dashboards.boards.quality_balances import METERS, PLACES
from sidestream_dashboards.model import Dashboard, Panel, Row, Step, Variable
from sidestream_dashboards.parts import banner
from sidestream_dashboards.source import QUALITY

DEVICE_CHOICE_SQL: Final = "SELECT name AS __text, device AS __value FROM sidestream_v.device ORDER BY name"

SENSORS_SQL: Final = """
SELECT l.sensor, l.name, l.device, l.mark, l.freshness, l.value, v.sd * 2 AS two_sd, l.unit, l.code, l.time AS measured_at,
    l.received_at, s.period_s, s.range_low, s.range_high
FROM sidestream_v.latest l
JOIN sidestream_v.sensor s ON s.sensor_id = l.sensor_id
CROSS JOIN LATERAL (
    SELECT sqrt(
        (s.random_pct / 100 * l.value) ^ 2 + s.random_abs ^ 2
        + ((s.limit_pct / 100 * l.value) ^ 2 + s.limit_abs ^ 2) / 3
    ) AS sd
) v
WHERE l.device IN ($device)
ORDER BY l.mark = 'good', l.mark, l.device, l.sensor
"""

MARKS_SQL: Final = """
SELECT mark, count(*) AS sensors FROM sidestream_v.latest WHERE device IN ($device) GROUP BY mark ORDER BY mark
"""

COMPLETENESS_SQL: Final = """
WITH bounds AS (
    SELECT x.unit, date_trunc(x.unit, $__timeFrom()::timestamptz + ('1 ' || x.unit)::interval - interval '1 us', x.timezone) AS from_at,
        LEAST($__timeTo()::timestamptz, date_trunc(x.unit, now(), x.timezone)) AS to_at
    FROM (
        -- minutes, unless they would be too many to add up while somebody waits
        SELECT h.timezone, CASE WHEN minutes <= 60000 THEN 'minute' WHEN minutes / 60 <= 60000 THEN 'hour' ELSE 'day' END AS unit
        FROM sidestream_v.hub h CROSS JOIN (
            SELECT count(*) * extract(epoch FROM $__timeTo()::timestamptz - $__timeFrom()::timestamptz) / 60 AS minutes
            FROM sidestream_v.sensor
        ) rows
    ) x
),
counted AS (
    SELECT r.sensor_id, sum(r.n) AS n, sum(r.bad) AS bad
    FROM sidestream_v.rollup_1m r CROSS JOIN bounds b
    WHERE (SELECT unit FROM bounds) = 'minute' AND r.bucket >= b.from_at AND r.bucket < b.to_at
    GROUP BY r.sensor_id
    UNION ALL
    SELECT r.sensor_id, sum(r.n), sum(r.bad)
    FROM sidestream_v.rollup_1h r CROSS JOIN bounds b
    WHERE (SELECT unit FROM bounds) = 'hour' AND r.bucket >= b.from_at AND r.bucket < b.to_at
    GROUP BY r.sensor_id
    UNION ALL
    SELECT r.sensor_id, sum(r.n), sum(r.bad)
    FROM sidestream_v.rollup_1d r CROSS JOIN bounds b
    WHERE (SELECT unit FROM bounds) = 'day' AND r.bucket >= b.from_at AND r.bucket < b.to_at
    GROUP BY r.sensor_id
),
first AS (SELECT sensor_id, date_trunc('minute', min(COALESCE(first_at, bucket))) AS at FROM sidestream_v.rollup_1d GROUP BY sensor_id)
SELECT s.id AS sensor, s.name, s.device, s.period_s, x.expected, COALESCE(m.n, 0) AS usable, COALESCE(m.bad, 0) AS bad,
    LEAST(100 * COALESCE(m.n, 0) / x.expected, 100) AS completeness_pct
FROM sidestream_v.sensor s
CROSS JOIN bounds b
JOIN first f ON f.sensor_id = s.sensor_id
CROSS JOIN LATERAL (
    SELECT floor(extract(epoch FROM b.to_at - GREATEST(b.from_at, f.at)) / s.period_s) AS expected
) x
LEFT JOIN counted m ON m.sensor_id = s.sensor_id
WHERE s.period_s IS NOT NULL AND s.device IN ($device) AND x.expected > 0
ORDER BY completeness_pct, s.id
"""

QUARANTINE_TIME_SQL: Final = """
SELECT date_bin(GREATEST($__interval_ms * interval '1 ms', interval '1 minute'), first_at, timestamptz 'epoch') AS time,
    reason AS metric, sum(GREATEST(readings, count)) AS value
FROM sidestream_v.quarantine
WHERE $__timeFilter(first_at)
GROUP BY 1, 2
ORDER BY 1, 2
"""

QUARANTINE_SQL: Final = """
SELECT last_at, state, reason, detail, device, sensor, count, readings, first_at, raw_bytes, raw_text
FROM sidestream_v.quarantine
WHERE last_at >= $__timeFrom() AND first_at <= $__timeTo()
ORDER BY state <> 'open', last_at DESC
LIMIT 500
"""

_STATE: Final = look.words(
    ("open", "open", look.DOUBT), ("replayed", "replayed", look.GOOD), ("discarded", "discarded", look.OFF)
)
_ENOUGH: Final = (Step(look.WRONG), Step(look.DOUBT, 80), Step(look.GOOD, 95))

_SENSORS: Final = Panel(
    kind="table",
    title="Sensors: latest value and whether to trust it",
    description="The latest value of each sensor as measured, in its own unit, with what a reader must know before trusting "
    "it. Stale: older than five periods (at least 15 s). ± is two standard deviations from the accuracy declared in "
    "hub.yaml (class limit/√3 and random error); 0 where none was declared.",
    sql=SENSORS_SQL,
    width=16,
    height=10,
    fields=(
        look.text("sensor", "Sensor", 190),
        look.coloured("mark", "Trust", look.MARK, 140),
        look.coloured("freshness", "Freshness", look.MARK, 120),
        look.number("value", "Value", look.NUMBER, 3),
        look.number("two_sd", "± value", look.NUMBER, 3),
        look.text("unit", "Unit"),
        look.moment("measured_at", "Measured", ago=True),
        look.moment("received_at", "Received", ago=True),
        look.text("code", "Code (scanners)"),
        look.text("device", "Device"),
        look.text("name", "Name"),
        look.number("period_s", "Period", look.SECONDS),
        look.number("range_low", "Plausible from", look.NUMBER),
        look.number("range_high", "Plausible to", look.NUMBER),
    ),
)

_MARKS: Final = Panel(
    kind="bargauge",
    title="Sensors by trust",
    description="How many sensors carry each mark now; an exact count.",
    sql=MARKS_SQL,
    width=8,
    height=10,
    decimals=0,
    steps=look.NEUTRAL,
    fields=(look.text("mark", "Trust"), look.number("sensors", "Sensors", look.NUMBER, 0)),
)

_COMPLETENESS: Final = Panel(
    kind="table",
    title="Completeness in the chosen time",
    description="Usable readings (quality good or uncertain) against those expected from the sensor's period in hub.yaml, "
    "since the start of the time range or the sensor's first reading, up to the last whole minute (with many sensors or long "
    "times: hour or day). An exact count; more "
    "readings than expected count as 100 %.",
    sql=COMPLETENESS_SQL,
    width=24,
    height=8,
    empty="No sensor with a declared period has been heard for a whole minute",
    fields=(
        look.text("sensor", "Sensor"),
        look.text("name", "Name"),
        look.text("device", "Device"),
        look.number("period_s", "Period", look.SECONDS),
        look.gauge("completeness_pct", "Completeness", _ENOUGH),
        look.number("usable", "Usable", look.NUMBER, 0),
        look.number("bad", "Bad or empty", look.NUMBER, 0),
        look.number("expected", "Expected", look.NUMBER, 0),
    ),
)

_QUARANTINE_TIME: Final = Panel(
    kind="timeseries",
    title="Put into quarantine, by reason",
    description="Readings (a message that couldn't be read at all counts as one) by the time at which each entry first came; "
    "repeats of the same bytes are counted there too. An exact count. Other than the list, it shows dealt-with entries as "
    "well.",
    sql=QUARANTINE_TIME_SQL,
    width=24,
    height=7,
    bars=True,
    stacked=True,
    decimals=0,
    empty="Nothing was put into quarantine in this time",
)

_QUARANTINE: Final = Panel(
    kind="table",
    title="Quarantine",
    description="What could not be used, with the machine-readable reason, a sentence and the bytes as they came (the first "
    "4000 characters). Per device and reason the first 100 are kept raw, further ones are counted in one row. Up to 500 "
    "entries, open ones and the newest first.",
    sql=QUARANTINE_SQL,
    width=24,
    height=9,
    empty="Nothing was put into quarantine in this time",
    fields=(
        look.moment("last_at", "Last came"),
        look.coloured("state", "State", _STATE),
        look.text("reason", "Reason"),
        look.text("detail", "What is wrong", 420),
        look.text("device", "Device"),
        look.text("sensor", "Sensor"),
        look.number("count", "Times", look.NUMBER, 0),
        look.number("readings", "Readings", look.NUMBER, 0),
        look.moment("first_at", "First came"),
        look.number("raw_bytes", "Size", look.BYTES),
        look.text("raw_text", "As it came", 420),
    ),
)

DASHBOARD: Final = Dashboard(
    uid=QUALITY,
    title="Data quality and devices",
    folder="data",
    description="Which reading can't be trusted, why, and how are the gateways doing?",
    variables=(Variable("device", "Device", DEVICE_CHOICE_SQL),),
    parts=(
        banner(),
        _SENSORS,
        _MARKS,
        _COMPLETENESS,
        Row("Balances"),
        METERS,
        PLACES,
        Row("Quarantine"),
        _QUARANTINE_TIME,
        _QUARANTINE,
        Row("Devices"),
        DEVICES,
        DRIVERS,
        FRAMES,
        OUTBOX,
        READINGS,
    ),
    time_from="now-6h",
)
