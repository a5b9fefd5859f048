-- Flows added up per six hours and per day as well, so that a month of a hundred streams is 12 000 rows or 3 000 and not
-- 72 000; and beside each sum what of it can be compared with the stream's other figure.
-- depends: 0009.twin_sums

-- `paired_total`: the part of `total` in steps for which the stream has the other of a pair of figures too, the twin's own
-- (heat_flow, power) and that of the meter's register (register_heat_flow, register_power). 0 where there are none.
ALTER TABLE sidestream.twin_sum ADD COLUMN paired_total double precision NOT NULL DEFAULT 0;
ALTER TABLE sidestream.twin_sum_1h ADD COLUMN paired_total double precision NOT NULL DEFAULT 0;

-- Where both have a figure for the same length of time, all of it; where one has a hole, as the steps say that are still kept.
UPDATE sidestream.twin_sum s SET paired_total = s.total
FROM sidestream.twin_sum o
WHERE o.subject = s.subject AND o.bucket = s.bucket AND o.valued_s = s.valued_s
    AND o.quantity IN ('register_' || s.quantity, substring(s.quantity FROM '^register_(.*)'));
UPDATE sidestream.twin_sum s SET paired_total = p.total
FROM (
    SELECT s.subject, s.quantity, s.bucket, o.quantity AS other
    FROM sidestream.twin_sum s
    JOIN sidestream.twin_sum o ON o.subject = s.subject AND o.bucket = s.bucket AND LEAST(o.valued_s, s.valued_s) < 900
        AND o.quantity IN ('register_' || s.quantity, substring(s.quantity FROM '^register_(.*)'))
) b CROSS JOIN sidestream.hub h CROSS JOIN LATERAL (
    -- OFFSET 0: bucket by bucket, and never all steps of all streams beside each other
    SELECT sum(v.value * v.step_s ORDER BY v.time) AS total
    FROM sidestream.twin_value v JOIN sidestream.twin_value w ON w.subject_kind = 'stream' AND w.subject = b.subject
        AND w.quantity = b.other AND w.time = v.time AND w.value IS NOT NULL
    WHERE v.subject_kind = 'stream' AND v.subject = b.subject AND v.quantity = b.quantity AND v.time >= b.bucket
        AND v.time < b.bucket + make_interval(secs => GREATEST(900, h.step_s)) AND v.value IS NOT NULL OFFSET 0
) p
WHERE p.total IS NOT NULL AND s.subject = b.subject AND s.quantity = b.quantity AND s.bucket = b.bucket;
UPDATE sidestream.twin_sum_1h h SET paired_total = q.total
FROM (
    SELECT subject, quantity, date_bin('1 hour', bucket, timestamptz 'epoch') AS hour, sum(paired_total ORDER BY bucket) AS total
    FROM sidestream.twin_sum WHERE paired_total <> 0 GROUP BY 1, 2, 3
) q WHERE q.subject = h.subject AND q.quantity = h.quantity AND q.hour = h.bucket;

-- Six hours and days of UTC: a day of the hub's own calendar is added up from hours or quarters.
CREATE TABLE sidestream.twin_sum_6h (LIKE sidestream.twin_sum_1h INCLUDING ALL);
CREATE TABLE sidestream.twin_sum_1d (LIKE sidestream.twin_sum_1h INCLUDING ALL);
INSERT INTO sidestream.twin_sum_6h
SELECT subject, quantity, date_bin('6 hours', bucket, timestamptz 'epoch'), sum(total ORDER BY bucket),
       sum(variance_random ORDER BY bucket), sum(sd_systematic ORDER BY bucket), sum(seen_s ORDER BY bucket),
       max(origin_rank), sum(valued_s ORDER BY bucket), sum(paired_total ORDER BY bucket)
FROM sidestream.twin_sum_1h GROUP BY 1, 2, 3;
INSERT INTO sidestream.twin_sum_1d
SELECT subject, quantity, date_bin('1 day', bucket, timestamptz 'epoch'), sum(total ORDER BY bucket),
       sum(variance_random ORDER BY bucket), sum(sd_systematic ORDER BY bucket), sum(seen_s ORDER BY bucket),
       max(origin_rank), sum(valued_s ORDER BY bucket), sum(paired_total ORDER BY bucket)
FROM sidestream.twin_sum_6h GROUP BY 1, 2, 3;

CREATE VIEW sidestream_v.twin_sum_6h AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted, origin_rank,
       paired_total
FROM sidestream.twin_sum_6h;
CREATE VIEW sidestream_v.twin_sum_1d AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted, origin_rank,
       paired_total
FROM sidestream.twin_sum_1d;
-- The sums of all widths beside each other, for what takes the coarsest that fits into a time and finer ones at its edges.
CREATE VIEW sidestream_v.twin_sum_pair AS
SELECT 'quarter' AS level, subject, quantity, bucket, total, variance_random, sd_systematic, paired_total FROM sidestream.twin_sum
UNION ALL
SELECT 'hour', subject, quantity, bucket, total, variance_random, sd_systematic, paired_total FROM sidestream.twin_sum_1h
UNION ALL
SELECT 'six_hours', subject, quantity, bucket, total, variance_random, sd_systematic, paired_total FROM sidestream.twin_sum_6h
UNION ALL
SELECT 'day', subject, quantity, bucket, total, variance_random, sd_systematic, paired_total FROM sidestream.twin_sum_1d;
GRANT SELECT ON sidestream_v.twin_sum_6h, sidestream_v.twin_sum_1d, sidestream_v.twin_sum_pair TO sidestream_viewer;

-- Open quarantine of each device, found by its whole name: another party's device of the same name is another one.
CREATE OR REPLACE VIEW sidestream_v.device AS
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
    WHERE state = 'open' AND device = (SELECT id FROM sidestream.hub) || '/' || d.party || '/' || d.id
) q ON true
WHERE d.removed_at IS NULL;
