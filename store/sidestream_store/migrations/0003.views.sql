-- The named views: all that dashboards, web and twin read. Values keep the sensor's unit; twin values are SI.
-- depends: 0001.tables

CREATE VIEW sidestream_v.hub AS
SELECT id, name, timezone, synthetic, step_s, late_s, early_s, version_id FROM sidestream.hub;
CREATE VIEW sidestream_v.party AS SELECT id, name FROM sidestream.party;
CREATE VIEW sidestream_v.material AS SELECT id, name, phase, ewc, aliases FROM sidestream.material;
CREATE VIEW sidestream_v.lot_type AS SELECT id, name, prefix, material, mass_kg, sd_kg FROM sidestream.lot_type;
CREATE VIEW sidestream_v.tag AS SELECT code, place FROM sidestream.tag;

CREATE VIEW sidestream_v.node AS
SELECT n.id, n.party, p.name AS party_name, n.kind, n.name, n.material, n.min_kg, n.max_kg, n.start_kg, n.start_sd_kg, n.start_at
FROM sidestream.node n LEFT JOIN sidestream.party p ON p.id = n.party;

-- `state` is the lifecycle stage in force today in the hub's zone; only `live` counts as flowing.
CREATE VIEW sidestream_v.stream AS
SELECT s.id, s.name, s.source, s.target, s.material, m.phase, s.meter_position, s.pressure_pa,
       a.party AS source_party, b.party AS target_party, a.party IS DISTINCT FROM b.party AS crosses_border,
       COALESCE(g.state, 'idea') AS state, g.since
FROM sidestream.stream s
CROSS JOIN sidestream.hub h
LEFT JOIN sidestream.material m ON m.id = s.material
LEFT JOIN sidestream.node a ON a.id = s.source
LEFT JOIN sidestream.node b ON b.id = s.target
LEFT JOIN LATERAL (
    SELECT state, since FROM sidestream.stream_stage x
    WHERE x.stream = s.id AND x.since <= (now() AT TIME ZONE h.timezone)::date ORDER BY since DESC LIMIT 1
) g ON true;

CREATE VIEW sidestream_v.stream_stage AS SELECT stream, since, state FROM sidestream.stream_stage;

CREATE VIEW sidestream_v.sensor AS
SELECT s.sensor_id, s.id, d.id AS device, d.party, s.name, s.quantity, s.unit, s.si_unit, s.si_factor, s.si_offset, s.role,
       s.stream, s.node, s.limit_pct, s.limit_abs, s.random_pct, s.random_abs, s.range_low, s.range_high, s.period_s
FROM sidestream.sensor s JOIN sidestream.device d USING (device_id)
WHERE s.removed_at IS NULL;

CREATE VIEW sidestream_v.agreement AS
SELECT id, name, stream, supplier, receiver, amount, unit, quantity, si_factor, period, tolerance_pct, valid_from, valid_to, disclosure
FROM sidestream.agreement;

CREATE VIEW sidestream_v.reading AS
SELECT r.time, s.id AS sensor, r.sensor_id, r.value, s.unit, r.quality, false AS recorded, r.frame_id
FROM sidestream.reading r JOIN sidestream.sensor s USING (sensor_id)
UNION ALL
SELECT r.time, s.id, r.sensor_id, r.value, s.unit, r.quality, true, r.frame_id
FROM sidestream.reading_recorded r JOIN sidestream.sensor s USING (sensor_id);

CREATE VIEW sidestream_v.scan AS
SELECT c.time, s.id AS sensor, c.sensor_id, s.node, c.code, c.rssi, c.quality, c.recorded, c.frame_id
FROM sidestream.scan c JOIN sidestream.sensor s USING (sensor_id);

-- `freshness`: none (never seen), recorded (replay), stale (older than five periods and 15 s), fresh.
-- `mark`: what a reader must know before trusting the value.
CREATE VIEW sidestream_v.latest AS
SELECT s.sensor_id, s.id AS sensor, s.name, d.id AS device, d.party, s.quantity, s.unit, s.role, s.stream, s.node,
       l.time, l.value, l.code, l.quality, l.received_at, l.frame_id,
       f.freshness,
       CASE
           WHEN f.freshness <> 'fresh' THEN f.freshness
           WHEN l.quality >= 2 OR (l.value IS NULL AND l.code IS NULL) THEN 'bad'
           WHEN s.quantity NOT IN ('energy', 'volume', 'volume_temperature')
                AND (l.value < s.range_low OR l.value > s.range_high) THEN 'out_of_range'
           WHEN l.quality = 1 THEN 'uncertain'
           ELSE 'good'
       END AS mark
FROM sidestream.sensor s
JOIN sidestream.device d USING (device_id)
LEFT JOIN sidestream.latest l USING (sensor_id)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN l.time IS NULL THEN 'none'
        WHEN l.recorded THEN 'recorded'
        WHEN s.quantity = 'scan' THEN 'fresh'
        WHEN l.time < now() - make_interval(secs => GREATEST(5 * COALESCE(s.period_s, 12), 15)) THEN 'stale'
        ELSE 'fresh'
    END AS freshness
) f
WHERE s.removed_at IS NULL;

CREATE VIEW sidestream_v.rollup_1m AS
SELECT s.id AS sensor, s.unit, r.* FROM sidestream.rollup_1m r JOIN sidestream.sensor s USING (sensor_id);
CREATE VIEW sidestream_v.rollup_1h AS
SELECT s.id AS sensor, s.unit, r.* FROM sidestream.rollup_1h r JOIN sidestream.sensor s USING (sensor_id);
CREATE VIEW sidestream_v.rollup_1d AS
SELECT s.id AS sensor, s.unit, r.* FROM sidestream.rollup_1d r JOIN sidestream.sensor s USING (sensor_id);

CREATE VIEW sidestream_v.twin_value AS
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,
       sqrt(sd_random ^ 2 + sd_systematic ^ 2) AS sd, origin, completeness, n, inputs, flags, computed_at
FROM sidestream.twin_value;

-- A state older than three steps and 30 s is `stale`, whatever its origin was.
CREATE VIEW sidestream_v.twin_latest AS
SELECT t.subject_kind, t.subject, t.quantity, t.time, t.step_s, t.value, t.sd_random, t.sd_systematic,
       sqrt(t.sd_random ^ 2 + t.sd_systematic ^ 2) AS sd, t.origin, t.completeness, t.inputs, t.flags, t.computed_at,
       t.time + make_interval(secs => t.step_s) < now() - make_interval(secs => GREATEST(3 * t.step_s, 30)) AS stale
FROM sidestream.twin_latest t;

-- Heat and mass exchanges with their state now; a stream that is not live shows no flow, whatever a meter says.
CREATE VIEW sidestream_v.exchange AS
SELECT s.id AS stream, s.name, s.source, s.target, s.source_party, s.target_party, s.material, s.phase, s.state, s.since,
       t.quantity, t.time, CASE WHEN s.state = 'live' THEN t.value END AS value,
       CASE WHEN s.state = 'live' THEN t.sd END AS sd, t.origin, t.completeness, t.stale, t.flags
FROM sidestream_v.stream s
LEFT JOIN sidestream_v.twin_latest t
    ON t.subject_kind = 'stream' AND t.subject = s.id AND t.quantity IN ('heat_flow', 'mass_flow', 'power');

CREATE VIEW sidestream_v.stock AS
SELECT n.id AS node, n.name, n.party, n.party_name, n.kind, n.material, n.min_kg, n.max_kg,
       t.time + make_interval(secs => t.step_s) AS time, t.value AS mass_kg, t.sd AS sd_kg, t.sd_random AS sd_random_kg,
       t.sd_systematic AS sd_systematic_kg, t.origin, t.stale, t.flags, t.inputs
FROM sidestream_v.node n
LEFT JOIN sidestream_v.twin_latest t ON t.subject_kind = 'node' AND t.subject = n.id AND t.quantity = 'stock_mass'
WHERE n.kind IN ('stock', 'store');

CREATE VIEW sidestream_v.lot AS
SELECT l.code, l.lot_type, t.name AS lot_type_name, t.material, t.mass_kg, t.sd_kg, l.place, n.name AS place_name,
       n.party, l.since_at, l.last_seen_at, l.scans, l.place IS NULL AS place_unknown
FROM sidestream.lot l
LEFT JOIN sidestream.lot_type t ON t.id = l.lot_type
LEFT JOIN sidestream.node n ON n.id = l.place;
CREATE VIEW sidestream_v.lot_stay AS SELECT code, from_at, to_at, place, scans FROM sidestream.lot_stay;

CREATE VIEW sidestream_v.agreement_status AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / a.si_factor AS agreed, s.expected_so_far / a.si_factor AS expected_so_far,
       s.delivered / a.si_factor AS delivered,
       sqrt(s.sd_random ^ 2 + s.sd_systematic ^ 2) / a.si_factor AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at
FROM sidestream.agreement_status s JOIN sidestream.agreement a ON a.id = s.agreement;

CREATE VIEW sidestream_v.quarantine AS
SELECT quarantine_id, device, reason, detail, sensor, topic, first_at, last_at, count, readings, state,
       length(raw) AS raw_bytes, left(encode(raw, 'escape'), 4000) AS raw_text
FROM sidestream.quarantine;

CREATE VIEW sidestream_v.device AS
SELECT d.device_id, d.id AS device, d.party, d.name, COALESCE(x.state, 'never seen') AS state, x.epoch, x.at, x.received_at, x.body,
       f.last_frame_at, f.frames_last_hour, q.open_quarantine
FROM sidestream.device d
LEFT JOIN sidestream.device_status x USING (device_id)
LEFT JOIN LATERAL (
    SELECT max(received_at) AS last_frame_at, count(*) AS frames_last_hour
    FROM sidestream.frame WHERE device_id = d.device_id AND received_at > now() - interval '1 hour'
) f ON true
LEFT JOIN LATERAL (
    SELECT sum(readings) AS open_quarantine FROM sidestream.quarantine
    WHERE state = 'open' AND split_part(device, '/', 3) = d.id
) q ON true
WHERE d.removed_at IS NULL;
-- The view above asks for one device's last hour, for each device.
CREATE INDEX frame_received ON sidestream.frame (device_id, received_at);

-- Reads the views, nothing else. Web and Grafana log in as members of it.
DO $$ BEGIN
    CREATE ROLE sidestream_viewer NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    RAISE NOTICE 'role sidestream_viewer is already there';
END $$;
GRANT USAGE ON SCHEMA sidestream_v TO sidestream_viewer;
GRANT SELECT ON ALL TABLES IN SCHEMA sidestream_v TO sidestream_viewer;
