-- Flows added up per hour as well, so that a month of a hundred streams is drawn from 72 000 rows and not four million.
-- depends: 0009.storage

-- For how many seconds of the bucket there is a figure; the mean flow is total / valued_s.
ALTER TABLE sidestream.twin_sum ADD COLUMN valued_s double precision NOT NULL DEFAULT 0;
UPDATE sidestream.twin_sum s SET valued_s = v.valued_s
FROM (
    SELECT t.subject, t.quantity, s.bucket, sum(t.step_s) AS valued_s
    FROM sidestream.twin_sum s CROSS JOIN sidestream.hub h
    JOIN sidestream.twin_value t ON t.subject_kind = 'stream' AND t.subject = s.subject AND t.quantity = s.quantity
        AND t.time >= s.bucket AND t.time < s.bucket + make_interval(secs => GREATEST(900, h.step_s)) AND t.value IS NOT NULL
    GROUP BY t.subject, t.quantity, s.bucket
) v WHERE v.subject = s.subject AND v.quantity = s.quantity AND v.bucket = s.bucket;

CREATE TABLE sidestream.twin_sum_1h (
    subject text NOT NULL,
    quantity text NOT NULL,
    bucket timestamptz NOT NULL,
    total double precision NOT NULL,
    variance_random double precision NOT NULL,
    sd_systematic double precision NOT NULL,
    seen_s double precision NOT NULL,
    origin_rank int NOT NULL,
    valued_s double precision NOT NULL,
    PRIMARY KEY (subject, quantity, bucket)
);
INSERT INTO sidestream.twin_sum_1h
SELECT subject, quantity, date_bin('1 hour', bucket, timestamptz 'epoch'), sum(total ORDER BY bucket),
       sum(variance_random ORDER BY bucket), sum(sd_systematic ORDER BY bucket), sum(seen_s ORDER BY bucket),
       max(origin_rank), sum(valued_s)
FROM sidestream.twin_sum GROUP BY 1, 2, 3;

-- J or kg per bucket. `trusted`: every step of the bucket rests on an observation of itself.
CREATE VIEW sidestream_v.twin_sum AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted
FROM sidestream.twin_sum;
CREATE VIEW sidestream_v.twin_sum_1h AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted
FROM sidestream.twin_sum_1h;
GRANT SELECT ON sidestream_v.twin_sum, sidestream_v.twin_sum_1h TO sidestream_viewer;

-- The newest scans are asked for, not only those of a day.
CREATE INDEX scan_newest ON sidestream.scan (time);
DROP INDEX sidestream.scan_time;
