"""A database filled by plain SQL with three hours of the example hub, so that every panel has something to show."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from sidestream_contracts.hubcheck import load_hub
from sidestream_store.hub_apply import apply_hub

HUB = Path(str(files("sidestream_simulators") / "hubs" / "kvinesdal_like" / "hub.yaml"))

_READINGS = """
SELECT sidestream.ensure_partitions(now() - interval '4 hours', now());
INSERT INTO sidestream.reading
SELECT t, sensor_id, CASE role WHEN 'supply_temperature' THEN 85 WHEN 'return_temperature' THEN 45 ELSE 10 END
    + sin(extract(epoch FROM t) / 600), CASE WHEN extract(minute FROM t) = 7 THEN 2 ELSE 0 END, 1
FROM sidestream.sensor, generate_series(now() - interval '3 hours', now(), interval '30 seconds') t
WHERE quantity <> 'scan' AND role <> 'other';
SELECT sidestream.refresh_rollups(array_agg(sensor_id), now() - interval '3 hours', now()) FROM sidestream.sensor;
INSERT INTO sidestream.latest
SELECT DISTINCT ON (sensor_id) sensor_id,
    time - CASE WHEN s.role = 'mass_flow' THEN interval '1 hour' ELSE interval '0' END, r.value, NULL::text, quality, false, now(), frame_id
FROM sidestream.reading r JOIN sidestream.sensor s USING (sensor_id) ORDER BY sensor_id, time DESC;
"""

_TWIN = """
CREATE TEMP TABLE step ON COMMIT DROP AS
SELECT date_bin('60 s', t, timestamptz 'epoch') AS time
FROM generate_series(now() - interval '3 hours', now() - interval '2 minutes', interval '60 s') t;
INSERT INTO sidestream.twin_value
SELECT 'stream', x.stream, q.quantity, time, 60, q.value + 1e4 * sin(extract(epoch FROM time) / 900), 2e3, 1e4,
    CASE WHEN extract(minute FROM time) < 10 THEN 'estimated' ELSE 'reconciled' END, 0.98, 2, '["a"]', '[]', now()
FROM (SELECT DISTINCT stream FROM sidestream.sensor WHERE role = 'volume_flow') x
CROSS JOIN (VALUES ('heat_flow', 1.2e6), ('register_heat_flow', 1.19e6)) q (quantity, value), step
WHERE q.quantity = 'heat_flow' OR x.stream LIKE 'fish%' OR x.stream LIKE 'net%';
INSERT INTO sidestream.twin_value
SELECT 'stream', stream, 'mass_flow', time, 60, 40, 0.2, 0.4, 'measured', 1, 2, '[]', '[]', now()
FROM sidestream.sensor, step WHERE role = 'mass_flow';
INSERT INTO sidestream.twin_value
SELECT 'node', n.id, 'stock_mass', time, 60, COALESCE(n.max_kg, 9000) * 0.6, 20, 40,
    CASE WHEN extract(minute FROM time) < 30 THEN 'measured' ELSE 'estimated' END, 1, 2, '[]', '["meter_gap"]', now()
FROM sidestream.node n, step WHERE n.kind IN ('stock', 'store');
INSERT INTO sidestream.twin_sum (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank, valued_s)
SELECT subject, quantity, date_bin('15 min', time, timestamptz 'epoch'), sum(value * 60), 1e6, 1e6, 900, 2, count(*) * 60
FROM sidestream.twin_value WHERE subject_kind = 'stream' GROUP BY 1, 2, 3;
INSERT INTO sidestream.twin_sum_1h
SELECT subject, quantity, date_bin('1 hour', bucket, timestamptz 'epoch'), sum(total), 1e6, 1e6, 3600, 2, sum(valued_s)
FROM sidestream.twin_sum GROUP BY 1, 2, 3;
INSERT INTO sidestream.twin_sum_6h
SELECT subject, quantity, date_bin('6 hours', bucket, timestamptz 'epoch'), sum(total), 1e6, 1e6, 21600, 2, sum(valued_s)
FROM sidestream.twin_sum_1h GROUP BY 1, 2, 3;
INSERT INTO sidestream.twin_sum_1d
SELECT subject, quantity, date_bin('1 day', bucket, timestamptz 'epoch'), sum(total), 1e6, 1e6, 86400, 2, sum(valued_s)
FROM sidestream.twin_sum_6h GROUP BY 1, 2, 3;
INSERT INTO sidestream.twin_latest
SELECT DISTINCT ON (subject_kind, subject, quantity) subject_kind, subject, quantity, time, step_s, value, sd_random,
    sd_systematic, origin, completeness, inputs, flags, computed_at
FROM sidestream.twin_value ORDER BY subject_kind, subject, quantity, time DESC;
INSERT INTO sidestream.agreement_status
SELECT id, date_trunc('day', now()) - d * interval '1 day', date_trunc('day', now()) + (1 - d) * interval '1 day', 1e11, 5e10, 4.6e10,
    1e8, 5e8, 'reconciled', 0.97, CASE WHEN id = 'heat-to-fishfarm' THEN 'at_risk' ELSE 'on_track' END, 'below_not_sure', '{}', now()
FROM sidestream.agreement, generate_series(0, 2) d;
INSERT INTO sidestream.stock_checkpoint
SELECT id, now() - interval '2 minutes', '{"mass_kg": 9000, "sources": ["silo-level", "silo-mass"], "biases": [0.4, -0.2],
    "covariance": [[100, 1, 1], [1, 0.3, 0], [1, 0, 0.4]]}'
FROM sidestream.node WHERE kind = 'stock';
INSERT INTO sidestream.stock_forecast (node, event, issued_at, from_at, horizon_at, outcome, limit_kg, mass_kg, sd_kg,
    net_flow_kg_s, net_flow_sd_kg_s, probability, q05_at, q25_at, q50_at, basis)
SELECT id, 'overflow', now(), now(), now() + interval '7 days', 'expected', 16000, 9000, 50, 0.1, 0.02, 0.7,
    now() + interval '2 days', now() + interval '3 days', now() + interval '5 days', '{}'
FROM sidestream.node WHERE kind = 'stock';
"""

_LOTS = """
INSERT INTO sidestream.balance SELECT 'energy', t, 900, 1, 2.0, 0.16, true FROM generate_series(
    date_bin('15 min', now() - interval '3 hours', timestamptz 'epoch'), now() - interval '16 min', interval '15 min') t;
INSERT INTO sidestream.balance_part SELECT balance, 'stream', 'heat', 'heat_flow', time, step_s, 1000.0, 5.0, 10.0, 'measured', 1, NULL,
    1010.0, 8.0, 'redundant', 0.3, 0.8, 60.0, 1.5, false, false, 12.0, 15.0, NULL, '[]', '{"sensors": ["flow"]}'
FROM sidestream.balance;
INSERT INTO sidestream.balance_node SELECT balance, 'farm', 'node', time, step_s, 20.0, 5.0, 12.0, true, '[]' FROM sidestream.balance;
INSERT INTO sidestream.scan
SELECT now() - n * interval '1 minute', s.sensor_id, 'SS-BAG-' || n, -60, 0, n > 90, 1
FROM generate_series(1, 100) n JOIN sidestream.sensor s ON s.id = CASE WHEN n % 2 = 0 THEN 'scan-gate' ELSE 'scan-yard' END;
INSERT INTO sidestream.lot
SELECT 'SS-BAG-' || n, CASE WHEN n < 95 THEN 'big-bag' END, CASE WHEN n % 9 = 0 THEN NULL WHEN n % 2 = 0 THEN 'gate' ELSE 'yard' END,
    now() - n * interval '1 minute', now() - n * interval '30 s', 3, now()
FROM generate_series(1, 100) n;
"""

_FINDINGS = """
INSERT INTO sidestream.finding (kind, subject, occurrence, subject_kind, subject_id, severity, sentence, remedy, about, since_at, raised_at)
VALUES ('sensor_stale', 'a', 1, 'sensor', 'a', 'warning', 'a has sent nothing.', 'Look at it.', 'sensor/a', now(), now()),
       ('stock_overflow', 'slag-silo', 1, 'node', 'slag-silo', 'alarm', 'Too full.', 'Fetch it.', 'node/slag-silo/stock_mass', now(), now());
INSERT INTO sidestream.finding_action (kind, subject, occurrence, action, until_at, reason, author)
VALUES ('stock_overflow', 'slag-silo', 1, 'shelve', now() + interval '1 hour', 'being emptied', 'kari');
INSERT INTO sidestream.note (subject_kind, subject, from_at, to_at, text, author)
VALUES ('node', 'slag-silo', now() - interval '1 hour', now() - interval '30 minutes', 'Level sensor cleaned.', 'kari'),
       ('hub', '', now() - interval '2 hours', now() - interval '2 hours', 'Storm.', 'ola');
"""

_DEVICES = """
INSERT INTO sidestream.frame (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at)
SELECT device_id, gen_random_uuid(), 'l', 1, '\\x00', 'readings', false, 50, now() - n * interval '20 s'
FROM sidestream.device, generate_series(1, 100) n;
INSERT INTO sidestream.device_status
SELECT device_id, 'online', 'e', now(), now(), jsonb_build_object(
    'agent', 'sidestream 0.1', 'parked', 1,
    'outbox', jsonb_build_array(
        jsonb_build_object('lane', 'live', 'frames', 12, 'oldest_at', now() - interval '40 s'),
        jsonb_build_object('lane', 'scan', 'frames', 0, 'oldest_at', NULL)),
    'drivers', jsonb_build_array(jsonb_build_object('id', 'plc', 'type', 'modbus', 'state', 'failed',
        'error', 'no answer', 'trouble', 'no answer', 'restarts', 3, 'last_good_at', now() - interval '5 minutes',
        'counters', jsonb_build_object('polls_due', 60, 'polls_done', 55))))
FROM sidestream.device;
INSERT INTO sidestream.quarantine
    (device, reason, hash, detail, sensor, topic, properties, raw, first_at, last_at, count, readings)
SELECT 'h/smelter/gw-smelter', CASE WHEN n % 2 = 0 THEN 'unknown_sensor' ELSE 'not_a_number' END, 'h' || n, 'sentence', NULL, 't', '[]',
    '\\xff00', now() - n * interval '5 minutes', now() - n * interval '4 minutes', 2, 3
FROM generate_series(1, 12) n;
"""


@pytest.fixture
def applied(database: str) -> str:
    """The example hub, without any data."""
    apply_hub(database, load_hub(HUB), HUB.parent)
    return database


@pytest.fixture
def filled(applied: str) -> str:
    """The example hub with three hours of readings, twin values, scans, devices and quarantine."""
    with psycopg.connect(applied) as connection:
        for part in (_READINGS, _TWIN, _LOTS, _FINDINGS, _DEVICES):
            connection.execute(part)
    return applied
