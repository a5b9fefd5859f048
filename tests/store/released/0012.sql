-- As 0005, by the code of schema 0012, with steps of half an hour, a power meter that the twin has not come to yet, a stock whose
-- filter remembers effects of biases, and a flow beside that of its register.
INSERT INTO sidestream.hub_version (hub, hash, content, applied_by)
VALUES ('h', 'aa', '{"version": 1, "hub": {"id": "h", "name": "Test hub", "timezone": "Europe/Oslo"}}', 'kari');
INSERT INTO sidestream.hub (id, name, timezone, synthetic, step_s, late_s, early_s, version_id)
VALUES ('h', 'Test hub', 'Europe/Oslo', true, 1800, 34560000, 300, 1);
INSERT INTO sidestream.party VALUES ('a', 'A'), ('b', 'B');
INSERT INTO sidestream.material VALUES ('slag', 'Slag', 'solid', NULL, '{}'), ('water', 'Hot water', 'water', NULL, '{}'),
    ('electricity', 'Electricity', 'electricity', NULL, '{}');
INSERT INTO sidestream.node (id, party, kind, name, material) VALUES
    ('boiler', 'a', 'process', 'Boiler', NULL), ('farm', 'b', 'exchanger', 'Fish farm', NULL), ('silo', 'a', 'stock', 'Silo', 'slag');
INSERT INTO sidestream.stream VALUES ('heat', 'Heat', 'boiler', 'farm', 'water', 'supply', 600000);
INSERT INTO sidestream.stream VALUES ('cable', 'Cable', 'boiler', 'farm', 'electricity', 'supply', 600000);
INSERT INTO sidestream.stream_stage VALUES ('heat', '2020-01-01', 'live'), ('cable', '2020-01-01', 'live');
UPDATE sidestream.node SET start_kg = 1000, start_sd_kg = 50, start_at = '2026-11-20 00:00Z' WHERE id = 'silo';
INSERT INTO sidestream.device (party, id, name) VALUES ('a', 'gw', 'Gateway'), ('b', 'gw2', 'Other gateway');
INSERT INTO sidestream.sensor (id, device_id, name, quantity, unit, si_unit, si_factor, si_offset, role, stream, node,
    limit_pct, limit_abs, random_pct, random_abs, range_low, range_high, period_s) VALUES
    ('flow', 1, 'Flow', 'volume_flow', 'm3/h', 'm3/s', 0.0002777777777777778, 0, 'volume_flow', 'heat', NULL, 2, 0, 1, 0, 0, 500, 1),
    ('watts', 1, 'Power', 'power', 'kW', 'W', 1000, 0, 'power', 'cable', NULL, 1, 0, 1, 0, 0, 500, 600),
    ('gate', 1, 'Gate', 'scan', '1', '1', 1, 0, 'scan', NULL, 'silo', 0, 0, 0, 0, NULL, NULL, NULL);
SELECT sidestream.ensure_partitions('2026-11-20 00:00Z', '2026-11-22 00:00Z');
INSERT INTO sidestream.frame (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at, extra) VALUES
    (1, '01234567-89ab-cdef-0123-456789abcdef', 'l', 1, '\x01', 'readings', false, 2, '2026-11-20 12:00:02Z', NULL),
    (1, '01234567-89ab-cdef-0123-456789abcdef', 'l', 2, '\x02', 'readings', false, 1, '2026-11-20 12:00:03Z', '{"new": 1}'),
    (1, '01234567-89ab-cdef-0123-456789abcdef', 'l', 4, '\x04', 'unusable', false, 0, '2026-11-20 12:00:04Z', NULL),
    (1, '01234567-89ab-cdef-0123-456789abcdef', 's', 1, '\x05', 'scans', false, 1, '2026-11-20 12:00:05Z', NULL);
INSERT INTO sidestream.frame_mark (device_id, epoch, lane, held) VALUES
    (1, '01234567-89ab-cdef-0123-456789abcdef', 'l', '{[1,3),[4,5)}'), (1, '01234567-89ab-cdef-0123-456789abcdef', 's', '{[1,2)}');
INSERT INTO sidestream.reading (time, sensor_id, value, quality, frame_id) VALUES
    ('2026-11-20 12:00:00Z', 1, 10, 0, 1), ('2026-11-20 12:00:01Z', 1, 12, 0, 1), ('2026-11-20 12:00:02Z', 1, NULL, 2, 2);
INSERT INTO sidestream.scan (time, sensor_id, code, rssi, quality, recorded, frame_id)
VALUES ('2026-11-20 12:00:04Z', 3, 'BAG-1', NULL, 0, false, 4);
INSERT INTO sidestream.latest (sensor_id, time, value, code, quality, recorded, received_at, frame_id) VALUES
    (1, '2026-11-20 12:00:02Z', NULL, NULL, 2, false, '2026-11-20 12:00:03Z', 2),
    (3, '2026-11-20 12:00:04Z', NULL, 'BAG-1', 0, false, '2026-11-20 12:00:05Z', 4);
SELECT sidestream.refresh_rollups(ARRAY[1], '2026-11-20 12:00Z', '2026-11-20 12:01Z');
INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) VALUES (3, '2026-11-20 12:00:04Z', '2026-11-20 12:00:04Z');
INSERT INTO sidestream.quarantine (device, reason, hash, detail, sensor, topic, properties, raw, first_at, last_at, count, readings)
VALUES ('h/a/gw', 'not_json', 'ff', 'Payload is not JSON (3 bytes).', NULL, 'sidestream/v1/h/a/gw/readings',
    '[["epoch", "0123456789abcdef0123456789abcdef"], ["lane", "live"], ["seq", "4"], ["hash", "ff"]]', '\x7b7b7b',
    '2026-11-20 12:00:04Z', '2026-11-20 12:00:04Z', 1, 0);
INSERT INTO sidestream.twin_value (subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic, origin,
    completeness, n, inputs, flags, computed_at)
VALUES ('stream', 'heat', 'heat_flow', '2026-11-20 12:00Z', 10, 1000, 10, 20, 'measured', 1, 2, '{"sensors": ["flow"]}', '[]', '2026-11-20 12:00:20Z');
INSERT INTO sidestream.reading (time, sensor_id, value, quality, frame_id)
SELECT '2026-11-20 09:00Z'::timestamptz + n * interval '5 min', 2, 100, 0, 1 FROM generate_series(0, 24) n;
INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) VALUES (2, '2026-11-20 09:00Z', '2026-11-20 11:00Z');
INSERT INTO sidestream.twin_mark VALUES (true, 1);
INSERT INTO sidestream.stock_checkpoint (node, at, state) VALUES ('silo', '2026-11-20 08:00Z',
    '{"mass_kg": 1000, "variance_kg2": 2500, "systematic_kg": [["scale", 5]], "rejected_in_row": 0}');
INSERT INTO sidestream.twin_sum (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank, valued_s) VALUES
    ('heat', 'heat_flow', '2026-11-20 12:00Z', 1800000, 1, 2, 1800, 1, 1800),
    ('heat', 'register_heat_flow', '2026-11-20 12:00Z', 1790000, 1, 2, 1800, 1, 1800);
INSERT INTO sidestream.twin_sum_1h SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank, valued_s
FROM sidestream.twin_sum;
