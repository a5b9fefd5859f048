-- Roll-ups recomputed from raw readings for one sensor and range: idempotent, so it may run twice or at any time.
-- `n` readings were used; `bad` ones were not: no value, called bad by their source, or outside the sensor's range.
-- Sums are taken in order of time, so that the order of arrival changes no bit of them.
-- A counter's rate comes from first/last of neighbouring buckets; `mean` is the mean of samples. Days are the hub's days.
-- depends: 0001.tables

CREATE FUNCTION sidestream.refresh_rollups(sensors int[], from_at timestamptz, to_at timestamptz) RETURNS void
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    zone text := (SELECT timezone FROM sidestream.hub);
    m0 timestamptz := date_trunc('minute', from_at);
    m1 timestamptz := date_trunc('minute', to_at) + interval '1 minute';
    h0 timestamptz := date_trunc('hour', from_at);
    h1 timestamptz := date_trunc('hour', to_at) + interval '1 hour';
    d0 timestamptz := date_trunc('day', from_at, zone);
    d1 timestamptz := date_add(date_trunc('day', to_at, zone), interval '1 day', zone);
    -- Where midnight is not on a full hour of UTC (India, Nepal, central Australia), that hour's minutes belong to two days.
    shared_hours timestamptz[] := ARRAY(
        SELECT date_trunc('hour', midnight, 'UTC') FROM generate_series(d0, d1, interval '1 day', zone) AS midnight
        WHERE midnight <> date_trunc('hour', midnight, 'UTC')
    );
BEGIN
    DELETE FROM sidestream.rollup_1m WHERE sensor_id = ANY (sensors) AND bucket >= m0 AND bucket < m1;
    INSERT INTO sidestream.rollup_1m
    SELECT sensor_id, date_trunc('minute', time), count(used), count(*) - count(used), avg(used ORDER BY time, used), min(used), max(used),
           (array_agg(used ORDER BY time, used) FILTER (WHERE used IS NOT NULL))[1],
           min(time) FILTER (WHERE used IS NOT NULL),
           (array_agg(used ORDER BY time DESC, used DESC) FILTER (WHERE used IS NOT NULL))[1],
           max(time) FILTER (WHERE used IS NOT NULL),
           now()
    FROM (
        -- a register only ever grows, so a plausible range says nothing of it
        SELECT r.time, r.sensor_id,
               CASE WHEN r.quality < 2 AND (s.quantity IN ('energy', 'volume', 'volume_temperature')
                   OR (r.value >= COALESCE(s.range_low, r.value) AND r.value <= COALESCE(s.range_high, r.value)))
               THEN r.value END AS used
        FROM (
            SELECT time, sensor_id, value, quality FROM sidestream.reading
            WHERE sensor_id = ANY (sensors) AND time >= m0 AND time < m1
            UNION ALL
            SELECT time, sensor_id, value, quality FROM sidestream.reading_recorded
            WHERE sensor_id = ANY (sensors) AND time >= m0 AND time < m1
        ) r JOIN sidestream.sensor s USING (sensor_id)
    ) judged
    GROUP BY sensor_id, date_trunc('minute', time);

    DELETE FROM sidestream.rollup_1h WHERE sensor_id = ANY (sensors) AND bucket >= h0 AND bucket < h1;
    INSERT INTO sidestream.rollup_1h
    SELECT sensor_id, date_trunc('hour', bucket), sum(n), sum(bad), sum(mean * n ORDER BY bucket) / NULLIF(sum(n), 0), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at), now()
    FROM sidestream.rollup_1m
    WHERE sensor_id = ANY (sensors) AND bucket >= h0 AND bucket < h1
    GROUP BY sensor_id, date_trunc('hour', bucket);

    DELETE FROM sidestream.rollup_1d WHERE sensor_id = ANY (sensors) AND bucket >= d0 AND bucket < d1;
    INSERT INTO sidestream.rollup_1d
    SELECT sensor_id, date_trunc('day', bucket, zone), sum(n), sum(bad), sum(mean * n ORDER BY bucket) / NULLIF(sum(n), 0), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at), now()
    FROM (
        SELECT * FROM sidestream.rollup_1h
        WHERE sensor_id = ANY (sensors) AND bucket >= d0 AND bucket < d1 AND bucket <> ALL (shared_hours)
        UNION ALL
        SELECT m.* FROM unnest(shared_hours) AS shared (hour)
        JOIN sidestream.rollup_1m m ON m.bucket >= shared.hour AND m.bucket < shared.hour + interval '1 hour'
        WHERE m.sensor_id = ANY (sensors) AND m.bucket >= d0 AND m.bucket < d1
    ) parts
    GROUP BY sensor_id, date_trunc('day', bucket, zone);
END $$;
