-- What readers of figures were not told: the deviation that a person gave, and that a roll-up rests on a correction.
-- And a bound on what one lane's gaps may cost.
-- depends: 0012.underflow 0017.notes

-- As in migration 0017, and `entered_sd`: the standard deviation that the person who entered the reading gave, in the sensor's unit; NULL: none was
-- given, or nobody entered it, and the sensor's declared accuracy holds.
CREATE OR REPLACE VIEW sidestream_v.reading AS
SELECT r.time, s.id AS sensor, r.sensor_id,
       CASE WHEN s.cuts IS NULL THEN r.value
            ELSE sidestream.overlaid(r.value, r.time, s.cuts, s.cut_corrections, s.cut_factors, s.cut_offsets) END AS value,
       s.unit,
       CASE WHEN s.cuts IS NULL THEN r.quality
            ELSE sidestream.overlaid_quality(r.quality, r.time, s.cuts, s.cut_corrections, s.cut_factors) END AS quality,
       false AS recorded, r.frame_id, r.value AS raw_value,
       CASE WHEN s.cuts IS NOT NULL THEN s.cut_corrections[width_bucket(r.time, s.cuts)] END AS correction_id,
       CASE WHEN s.manual THEN (SELECT e.author FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END AS entered_by,
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END AS note,
       r.quality AS raw_quality,
       CASE WHEN s.manual THEN (SELECT e.sd FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END AS entered_sd
FROM sidestream.reading r JOIN sidestream.sensor s USING (sensor_id)
UNION ALL
SELECT r.time, s.id, r.sensor_id,
       CASE WHEN s.cuts IS NULL THEN r.value
            ELSE sidestream.overlaid(r.value, r.time, s.cuts, s.cut_corrections, s.cut_factors, s.cut_offsets) END,
       s.unit,
       CASE WHEN s.cuts IS NULL THEN r.quality
            ELSE sidestream.overlaid_quality(r.quality, r.time, s.cuts, s.cut_corrections, s.cut_factors) END,
       true, r.frame_id, r.value,
       CASE WHEN s.cuts IS NOT NULL THEN s.cut_corrections[width_bucket(r.time, s.cuts)] END,
       CASE WHEN s.manual THEN (SELECT e.author FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END,
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END,
       r.quality,
       CASE WHEN s.manual THEN (SELECT e.sd FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END
FROM sidestream.reading_recorded r JOIN sidestream.sensor s USING (sensor_id);

-- `corrected`: the figure rests on readings that somebody corrected. Of a superseded figure: when it became known.
DO $$
DECLARE
    level text;
    bucket_end text;
BEGIN
    FOREACH level IN ARRAY ARRAY['1m', '1h', '1d'] LOOP
        bucket_end := CASE level WHEN '1m' THEN 'r.bucket + interval ''1 minute''' WHEN '1h' THEN 'r.bucket + interval ''1 hour'''
            ELSE 'date_add(r.bucket, ''1 day'', (SELECT timezone FROM sidestream_v.hub))' END;
        EXECUTE format($sql$
            CREATE OR REPLACE VIEW sidestream_v.rollup_%1$s AS
            SELECT s.id AS sensor, s.unit, r.*,
                   s.corrected AND EXISTS (
                       SELECT FROM sidestream.correction c WHERE c.sensor_id = r.sensor_id AND c.withdrawn_at IS NULL
                           AND c.from_at < %2$s AND c.to_at > r.bucket
                   ) AS corrected
            FROM sidestream.rollup_%1$s r JOIN sidestream.sensor s USING (sensor_id);
            CREATE OR REPLACE VIEW sidestream_v.rollup_%1$s_history AS
            SELECT s.id AS sensor, s.unit, r.*,
                   EXISTS (
                       SELECT FROM sidestream.correction c WHERE c.sensor_id = r.sensor_id AND c.from_at < %2$s
                           AND c.to_at > r.bucket AND c.made_at <= r.known_at
                           AND (c.withdrawn_at IS NULL OR c.withdrawn_at > r.known_at)
                   ) AS corrected
            FROM sidestream.rollup_%1$s_history r JOIN sidestream.sensor s USING (sensor_id);
            DROP FUNCTION sidestream_v.rollup_%1$s_as_known(timestamptz);
            CREATE FUNCTION sidestream_v.rollup_%1$s_as_known(as_known_at timestamptz) RETURNS TABLE (
                sensor text, unit text, sensor_id int, bucket timestamptz, n bigint, bad bigint, mean double precision,
                low double precision, high double precision, first double precision, first_at timestamptz,
                last double precision, last_at timestamptz, known_at timestamptz, revision int, superseded_at timestamptz,
                corrected boolean
            ) LANGUAGE sql STABLE AS $body$
                SELECT r.sensor, r.unit, r.sensor_id, r.bucket, r.n, r.bad, r.mean, r.low, r.high, r.first, r.first_at,
                       r.last, r.last_at, r.known_at, r.revision, NULL::timestamptz, EXISTS (
                           SELECT FROM sidestream_v.correction c WHERE c.sensor = r.sensor AND c.from_at < %2$s
                               AND c.to_at > r.bucket AND c.made_at <= as_known_at
                               AND (c.withdrawn_at IS NULL OR c.withdrawn_at > as_known_at)
                       )
                FROM sidestream_v.rollup_%1$s r WHERE r.known_at <= as_known_at
                UNION ALL
                SELECT r.sensor, r.unit, r.sensor_id, r.bucket, r.n, r.bad, r.mean, r.low, r.high, r.first, r.first_at,
                       r.last, r.last_at, r.known_at, r.revision, r.superseded_at, r.corrected
                FROM sidestream_v.rollup_%1$s_history r WHERE r.known_at <= as_known_at AND r.superseded_at > as_known_at
            $body$
        $sql$, level, bucket_end);
    END LOOP;
END $$;

-- As in migration 0006, but rows of a lane with `most_ranges` ranges or more in `held` stay as they are: a sender that
-- leaves gaps for ever would else make each of its acknowledgements dearer than the one before.
CREATE OR REPLACE FUNCTION sidestream.fold_ledger(older_than timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    moved bigint;
    most_ranges CONSTANT int := 2000;
BEGIN
    PERFORM pg_advisory_xact_lock(1566965766);
    WITH gappy AS MATERIALIZED (
        SELECT device_id, epoch, lane FROM sidestream.frame_mark m
        WHERE (SELECT count(*) FROM unnest(m.held)) >= most_ranges
    ), old AS MATERIALIZED (
        SELECT f.* FROM sidestream.device d
        CROSS JOIN LATERAL (
            SELECT device_id, epoch, lane, seq FROM sidestream.frame
            WHERE device_id = d.device_id AND received_at < older_than AND extra IS NULL
                AND (device_id, epoch, lane) NOT IN (SELECT device_id, epoch, lane FROM gappy)
            ORDER BY received_at LIMIT most
        ) f LIMIT most
    ), gone AS (
        DELETE FROM sidestream.frame f USING old o
        WHERE (f.device_id, f.epoch, f.lane, f.seq) = (o.device_id, o.epoch, o.lane, o.seq)
        RETURNING f.*
    ), marked AS (
        INSERT INTO sidestream.frame_mark AS m (device_id, epoch, lane, held)
        SELECT device_id, epoch, lane, range_agg(int8range(seq, seq, '[]')) FROM gone
        GROUP BY device_id, epoch, lane ORDER BY device_id, epoch, lane
        ON CONFLICT (device_id, epoch, lane) DO UPDATE SET held = m.held + excluded.held
    ), kept AS (
        INSERT INTO sidestream.frame_fold AS o
        SELECT device_id, epoch, lane, date_trunc('hour', received_at), min(frame_id), max(frame_id), count(*),
               count(*) FILTER (WHERE clock_sync <> 's'), sum(readings), min(received_at), max(received_at)
        FROM gone GROUP BY device_id, epoch, lane, date_trunc('hour', received_at)
        ON CONFLICT (device_id, epoch, lane, hour) DO UPDATE SET
            frame_from = LEAST(o.frame_from, excluded.frame_from), frame_to = GREATEST(o.frame_to, excluded.frame_to),
            frames = o.frames + excluded.frames, unsynced = o.unsynced + excluded.unsynced,
            readings = o.readings + excluded.readings,
            received_from = LEAST(o.received_from, excluded.received_from),
            received_to = GREATEST(o.received_to, excluded.received_to)
    )
    SELECT count(*) INTO moved FROM gone;
    RETURN moved;
END $$;
