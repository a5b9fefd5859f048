-- What retention dropped, so that nothing is ever computed again from readings that are gone.
-- depends: 0002.partitions 0004.rollups 0005.twin_state

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

-- As the function that it takes the place of, but what was dropped keeps the roll-ups made while its readings were there.
DO $$
DECLARE
    recompute regprocedure := (SELECT oid FROM pg_proc WHERE pronamespace = 'sidestream'::regnamespace AND proname = 'refresh_rollups');
    more text := (SELECT CASE pronargs WHEN 4 THEN ', computed_at' ELSE '' END FROM pg_proc WHERE oid = recompute);
BEGIN
    EXECUTE format('ALTER FUNCTION %s RENAME TO recompute_rollups', recompute);
    EXECUTE format($sql$
        CREATE FUNCTION sidestream.refresh_rollups(
            sensors int[], from_at timestamptz, to_at timestamptz, computed_at timestamptz DEFAULT now()
        ) RETURNS void LANGUAGE plpgsql AS $body$
        DECLARE
            alike record;
        BEGIN
            FOR alike IN
                SELECT array_agg(s.id) AS ids, p.part_from, p.part_to
                FROM unnest(sensors) AS s (id) CROSS JOIN LATERAL sidestream.not_dropped(s.id, from_at, to_at) p
                GROUP BY p.part_from, p.part_to
            LOOP
                PERFORM sidestream.recompute_rollups(alike.ids, alike.part_from, alike.part_to%s);
            END LOOP;
        END $body$
    $sql$, more);
END $$;
