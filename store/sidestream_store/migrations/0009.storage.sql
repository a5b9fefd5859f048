-- What retention dropped, so that nothing is ever computed again from readings that are gone.
-- depends: 0002.partitions 0005.twin_state 0007.corrections 0008.quarantine

-- Live readings of the sensor in [from_at, before) were dropped; its roll-ups of that time stay as they were. A replayed
-- file of an older year lies before `from_at`, or has no row here at all, and is computed as ever.
CREATE TABLE sidestream.dropped (
    sensor_id int PRIMARY KEY,
    from_at timestamptz NOT NULL,
    before timestamptz NOT NULL
);
CREATE VIEW sidestream_v.dropped AS
SELECT s.id AS sensor, d.sensor_id, d.from_at, d.before FROM sidestream.dropped d JOIN sidestream.sensor s USING (sensor_id);
GRANT SELECT ON sidestream_v.dropped TO sidestream_viewer;

-- The parts of [from_at, to_at], ends included, in which the sensor's readings are all there.
CREATE FUNCTION sidestream.not_dropped(sensor int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (part_from timestamptz, part_to timestamptz) LANGUAGE sql STABLE AS $$
    SELECT lower(part), CASE WHEN upper_inc(part) THEN upper(part) ELSE upper(part) - interval '1 us' END
    FROM (SELECT COALESCE(
        (SELECT tstzmultirange(tstzrange(d.from_at, d.before)) FROM sidestream.dropped d WHERE d.sensor_id = $1), '{}'
    ) AS gone) x, unnest(tstzmultirange(tstzrange($2, $3, '[]')) - x.gone) AS part
$$;

ALTER FUNCTION sidestream.refresh_rollups(int[], timestamptz, timestamptz, timestamptz) RENAME TO recompute_rollups;

-- As `recompute_rollups`, but what was dropped keeps the roll-ups made while its readings were there.
CREATE FUNCTION sidestream.refresh_rollups(
    sensors int[], from_at timestamptz, to_at timestamptz, computed_at timestamptz DEFAULT now()
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    alike record;
BEGIN
    FOR alike IN
        SELECT array_agg(s.id) AS ids, p.part_from, p.part_to
        FROM unnest(sensors) AS s (id) CROSS JOIN LATERAL sidestream.not_dropped(s.id, from_at, to_at) p
        GROUP BY p.part_from, p.part_to
    LOOP
        PERFORM sidestream.recompute_rollups(alike.ids, alike.part_from, alike.part_to, computed_at);
    END LOOP;
END $$;
