"""What is out of order in the tables at a moment: the rows that a finding can be made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from sidestream_store.connect import Connection
from sidestream_store.read.meters import RegisterEvent


@dataclass(frozen=True, slots=True)
class Flagged:
    """A flag on the newest figure of a stream or node, with the figure in SI and the node's limits, kg."""

    subject_kind: str
    subject: str
    name: str
    quantity: str
    flag: str
    time: datetime
    step_s: int
    value: float | None
    sd: float | None
    completeness: float
    min_kg: float | None
    max_kg: float | None


@dataclass(frozen=True, slots=True)
class OffTrack:
    """An agreement at risk in the running period, or breached in the one that ended last; amounts in its unit."""

    agreement: str
    name: str
    status: str
    reason: str
    delivered: float | None
    expected: float
    unit: str
    period_from: datetime
    day: str
    over: bool


@dataclass(frozen=True, slots=True)
class BadSensor:
    """A sensor whose newest reading can't be trusted: `mark` is stale, bad or out_of_range."""

    sensor: str
    name: str
    device: str
    mark: str
    time: datetime
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Away:
    """A device that is offline since `at`, and how many sensors it has."""

    device: str
    name: str
    at: datetime
    sensors: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """A flow whose meter the balance of the newest interval names as wrong, with what it shows too much; SI."""

    subject_kind: str
    subject: str
    name: str
    quantity: str
    time: datetime
    bias: float | None
    bias_sd: float | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A limit that a stock is expected to reach: when likeliest, and between which times with 90 %."""

    node: str
    name: str
    event: str
    issued_at: datetime
    q05_at: datetime | None
    q50_at: datetime
    q95_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stuck:
    """A sensor that has shown one value since `since_at`, longer than it can by chance."""

    sensor: str
    name: str
    unit: str
    value: float
    since_at: datetime
    stuck_s: float


@dataclass(frozen=True, slots=True)
class TwoHeats:
    """A day's heat of a stream as computed and as its meter's register says, over the same steps; J with deviations."""

    stream: str
    name: str
    quantity: str
    since_at: datetime
    hours: int
    computed: float
    computed_random: float
    computed_systematic: float
    registered: float
    registered_random: float
    registered_systematic: float


def two_heats(connection: Connection, now_at: datetime) -> list[TwoHeats]:
    """Of every live stream that has both figures in four hours of the last day at least."""
    return _rows(connection, TwoHeats, _TWO_HEATS, {"now": now_at})


def meter_events(connection: Connection, now_at: datetime) -> list[RegisterEvent]:
    """What registers did: of the last week what left something unseen, of the last day the rest."""
    return _rows(connection, RegisterEvent, _METER_EVENTS, {"now": now_at})


def stuck(connection: Connection, now_at: datetime) -> list[Stuck]:
    """Sensors that stand still although they must move; not those of streams that are not live."""
    return _rows(connection, Stuck, _STUCK, {"now": now_at})


def flagged(connection: Connection) -> list[Flagged]:
    """Every flag of a newest figure; of a stream only while it is live."""
    return _rows(connection, Flagged, _FLAGGED, {})


def off_track(connection: Connection, now_at: datetime) -> list[OffTrack]:
    """Agreements at risk now, and those that were breached in the period that ended last."""
    return _rows(connection, OffTrack, _OFF_TRACK, {"now": now_at})


def bad_sensors(connection: Connection, now_at: datetime) -> list[BadSensor]:
    """Sensors not to be trusted; not those of recordings, of streams that are not live, or of a device that is offline."""
    return _rows(connection, BadSensor, _SENSORS, {"now": now_at})


def away(connection: Connection) -> list[Away]:
    """Devices that say, or of which the broker says, that they are offline."""
    return _rows(connection, Away, _AWAY, {})


def suspects(connection: Connection) -> list[Suspect]:
    """Flows whose meter is persistently singled out in the newest interval of its balance."""
    return _rows(connection, Suspect, _SUSPECTS, {})


def foreseen(connection: Connection, now_at: datetime) -> list[Foreseen]:
    """Stocks that likelier than not reach a limit within a day, by their newest forecast, not an hour old."""
    return _rows(connection, Foreseen, _FORESEEN, {"now": now_at})


def _rows(connection: Connection, record: Any, query: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor(row_factory=class_row(record)) as cursor:
        return cursor.execute(query, values).fetchall()


_FLAGGED = """
SELECT l.subject_kind, l.subject, COALESCE(s.name, n.name, l.subject) AS name, l.quantity, flag, l.time, l.step_s, l.value, l.sd,
       l.completeness, n.min_kg, n.max_kg
FROM sidestream_v.twin_latest l
CROSS JOIN LATERAL jsonb_array_elements_text(l.flags) AS flag
LEFT JOIN sidestream_v.stream s ON l.subject_kind = 'stream' AND s.id = l.subject
LEFT JOIN sidestream_v.node n ON l.subject_kind = 'node' AND n.id = l.subject
WHERE jsonb_array_length(l.flags) > 0 AND (s.id IS NULL OR s.state = 'live')
ORDER BY 1, 2, 4, 5
"""
_OFF_TRACK = """
SELECT a.agreement, a.name, a.status, a.reason, a.delivered, a.expected_so_far AS expected, a.unit, a.period_from,
       to_char(a.period_from AT TIME ZONE h.timezone, 'YYYY-MM-DD') AS day, a.period_to <= %(now)s AS over
FROM (
    SELECT DISTINCT ON (agreement, period_to <= %(now)s) * FROM sidestream_v.agreement_status WHERE period_from <= %(now)s
    ORDER BY agreement, period_to <= %(now)s, period_from DESC
) a CROSS JOIN sidestream_v.hub h
WHERE (a.status = 'breached') OR (a.status = 'at_risk' AND a.period_to > %(now)s)
ORDER BY 1, 8
"""
_SENSORS = """
SELECT * FROM (
    SELECT l.sensor, l.name, l.device, l.time, l.value, l.unit,
           CASE WHEN l.time < %(now)s - make_interval(secs => GREATEST(5 * COALESCE(s.period_s, 12), 15)) THEN 'stale'
                WHEN l.quality >= 2 OR l.value IS NULL THEN 'bad'
                WHEN sidestream.out_of_range(l.quantity, l.value, s.range_low, s.range_high) THEN 'out_of_range' END AS mark
    FROM sidestream_v.latest l
    JOIN sidestream_v.sensor s ON s.sensor_id = l.sensor_id
    LEFT JOIN sidestream_v.stream x ON x.id = l.stream
    LEFT JOIN sidestream_v.device d ON d.device = l.device AND d.party = l.party
    WHERE l.time IS NOT NULL AND l.freshness <> 'recorded' AND l.quantity <> 'scan' AND (x.id IS NULL OR x.state = 'live')
        AND d.state IS DISTINCT FROM 'offline'
) judged WHERE mark IS NOT NULL ORDER BY sensor
"""
_AWAY = """
SELECT d.device, d.name, COALESCE(d.at, d.received_at) AS at,
       (SELECT count(*) FROM sidestream_v.sensor s WHERE s.device = d.device AND s.party = d.party) AS sensors
FROM sidestream_v.device d WHERE d.state = 'offline' ORDER BY 1
"""
# the newest interval of one balance after the other by the primary key: a year has 35 040 of each
_SUSPECTS = """
WITH RECURSIVE b AS (
    (SELECT balance, time FROM sidestream_v.balance ORDER BY balance DESC, time DESC LIMIT 1)
    UNION ALL
    SELECT before.* FROM b CROSS JOIN LATERAL (
        SELECT x.balance, x.time FROM sidestream_v.balance x WHERE x.balance < b.balance
        ORDER BY x.balance DESC, x.time DESC LIMIT 1
    ) before
)
SELECT p.subject_kind, p.subject, p.name, p.quantity, p.time, p.bias, p.bias_sd
FROM sidestream_v.balance_part p
JOIN b USING (balance, time)
WHERE p.suspect ORDER BY 1, 2, 4
"""
_FORESEEN = """
SELECT n.id AS node, n.name, f.event, f.issued_at, f.q05_at, f.q50_at, f.q95_at
FROM sidestream_v.node n CROSS JOIN unnest(ARRAY['overflow', 'run_dry']) AS e (event) CROSS JOIN LATERAL (
    SELECT * FROM sidestream_v.stock_forecast_history x
    WHERE x.node = n.id AND x.event = e.event AND x.issued_at > %(now)s - interval '1 hour' AND x.issued_at <= %(now)s
    ORDER BY issued_at DESC LIMIT 1
) f
WHERE f.outcome = 'expected' AND f.q50_at > %(now)s AND f.q50_at <= %(now)s + interval '1 day'
ORDER BY 1, 3
"""
_METER_EVENTS = """
SELECT e.sensor, e.name, e.unit, e.kind, e.at, e.from_at, e.to_at, e.before, e.after, e.rise, e.unseen_from, e.unseen_to, e.note
FROM sidestream_v.meter_event e LEFT JOIN sidestream_v.stream x ON x.id = e.stream
WHERE e.at <= %(now)s AND e.at > %(now)s - CASE WHEN e.rise IS NULL THEN interval '7 days' ELSE interval '1 day' END
    AND (x.id IS NULL OR x.state = 'live')
ORDER BY e.at, e.sensor
"""
_STUCK = """
SELECT s.sensor, s.name, s.unit, s.value, s.since_at, s.stuck_s
FROM sidestream_v.stuck_at(%(now)s) s LEFT JOIN sidestream_v.stream x ON x.id = s.stream
WHERE x.id IS NULL OR x.state = 'live' ORDER BY 1
"""
# deviations of the whole hours, as sure in proportion as what of them is compared
_TWO_HEATS = """
SELECT x.id AS stream, x.name, q.quantity, d.*
FROM sidestream_v.stream x CROSS JOIN unnest(ARRAY['heat_flow', 'heat_flow_receiver']) AS q (quantity) CROSS JOIN LATERAL (
    SELECT min(c.bucket) AS since_at, count(*)::int AS hours,
           sum(c.paired_total) AS computed, sqrt(sum(c.variance_random)) AS computed_random,
           sum(c.sd_systematic * LEAST(abs(c.paired_total / NULLIF(c.total, 0)), 1)) AS computed_systematic,
           sum(r.paired_total) AS registered, sqrt(sum(r.variance_random)) AS registered_random,
           sum(r.sd_systematic * LEAST(abs(r.paired_total / NULLIF(r.total, 0)), 1)) AS registered_systematic
    FROM sidestream_v.twin_sum_pair c
    JOIN sidestream_v.twin_sum_pair r ON r.level = 'hour' AND r.subject = c.subject AND r.bucket = c.bucket
        AND r.quantity = 'register_' || c.quantity
    WHERE c.level = 'hour' AND c.subject = x.id AND c.quantity = q.quantity AND c.paired_total <> 0 AND r.paired_total <> 0
        AND c.bucket >= date_trunc('hour', %(now)s - interval '1 day') AND c.bucket + interval '1 hour' <= %(now)s
) d
WHERE x.state = 'live' AND d.hours >= 4 AND d.computed_systematic IS NOT NULL AND d.registered_systematic IS NOT NULL
ORDER BY 1, 3
"""
