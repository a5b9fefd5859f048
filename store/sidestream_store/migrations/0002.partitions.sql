-- Weekly partitions of `reading` for the plain profile; with Timescale the extension makes chunks and this does nothing.
-- depends: 0001.tables

CREATE FUNCTION sidestream.ensure_partitions(from_at timestamptz, to_at timestamptz) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    week timestamptz := date_trunc('week', from_at, 'UTC');
    part text;
    made int := 0;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'sidestream.reading'::regclass) <> 'p' THEN
        RETURN 0;
    END IF;
    WHILE week <= to_at LOOP
        part := 'reading_' || to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD');
        IF to_regclass('sidestream.' || part) IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('sidestream.ensure_partitions'));
            IF to_regclass('sidestream.' || part) IS NULL THEN
                EXECUTE format('CREATE TABLE sidestream.%I PARTITION OF sidestream.reading FOR VALUES FROM (%L) TO (%L)',
                    part, week, week + interval '7 days');
                made := made + 1;
            END IF;
        END IF;
        week := week + interval '7 days';
    END LOOP;
    RETURN made;
END $$;
