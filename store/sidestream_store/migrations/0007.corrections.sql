-- Corrections as an overlay on raw readings, published figures that stay readable, readings that people enter.
-- depends: 0005.twin_state

-- Corrections: raw rows are never changed ------------------------------------------------------------------------------
-- A correction says what the readings of a sensor in [from_at, to_at) mean from now on. It is never edited and never
-- deleted; it can be withdrawn, which is on record beside it. Of several in force at an instant the newest alone counts
-- (the highest number): corrections don't stack, each starts from the raw reading.
CREATE TABLE sidestream.correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sensor_id int NOT NULL REFERENCES sidestream.sensor,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    action text NOT NULL CHECK (action IN ('void', 'set', 'adjust')),
    value double precision,        -- set: what every reading in the range is
    factor double precision,       -- adjust: raw * factor + offset_value, in the sensor's unit
    offset_value double precision,
    code text,                     -- void of scans: only reads of this code
    reason text NOT NULL CHECK (btrim(reason) <> ''),
    author text NOT NULL CHECK (btrim(author) <> ''),
    made_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz,
    withdrawn_by text,
    withdrawn_why text,
    CHECK (from_at < to_at),
    CHECK (CASE action WHEN 'set' THEN abs(value) <= 1e30 AND num_nulls(factor, offset_value, code) = 3
                       WHEN 'adjust' THEN abs(factor) BETWEEN 1e-6 AND 1e6 AND abs(offset_value) <= 1e30
                           AND num_nulls(value, code) = 2
                       ELSE num_nulls(value, factor, offset_value) = 3 END),
    CHECK (num_nulls(withdrawn_at, withdrawn_by, withdrawn_why) IN (0, 3))
);
CREATE INDEX correction_in_force ON sidestream.correction (sensor_id, from_at) WHERE withdrawn_at IS NULL;

-- The corrections in force of a sensor as a step function of time: from cuts[i] until cuts[i + 1] cut_corrections[i] holds
-- (NULL: none). Derived, and on the sensor's row because every query of readings has that row in hand: looking an instant up
-- is a binary search in memory, and costs nothing where `cuts` is NULL. cut_factors: NULL void, 0 set, else adjust.
ALTER TABLE sidestream.sensor
    ADD COLUMN cuts timestamptz[],
    ADD COLUMN cut_corrections bigint[],
    ADD COLUMN cut_factors double precision[],
    ADD COLUMN cut_offsets double precision[],
    ADD COLUMN corrected boolean NOT NULL DEFAULT false,
    ADD COLUMN manual boolean NOT NULL DEFAULT false;

CREATE FUNCTION sidestream.lay_overlay(of_sensor int) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtext('sidestream.lay_overlay'), of_sensor);
    WITH mine AS MATERIALIZED (
        SELECT * FROM sidestream.correction WHERE sensor_id = of_sensor AND withdrawn_at IS NULL
    ), steps AS (
        SELECT array_agg(cut ORDER BY cut) AS cuts, array_agg(c.correction_id ORDER BY cut) AS corrections,
               array_agg(CASE c.action WHEN 'adjust' THEN c.factor WHEN 'set' THEN 0 END ORDER BY cut) AS factors,
               array_agg(CASE c.action WHEN 'adjust' THEN c.offset_value WHEN 'set' THEN c.value END ORDER BY cut) AS offsets
        FROM (SELECT from_at AS cut FROM mine WHERE code IS NULL UNION SELECT to_at FROM mine WHERE code IS NULL) bounds
        LEFT JOIN LATERAL (
            SELECT * FROM mine WHERE code IS NULL AND from_at <= cut AND to_at > cut ORDER BY correction_id DESC LIMIT 1
        ) c ON true
    )
    UPDATE sidestream.sensor SET cuts = steps.cuts, cut_corrections = steps.corrections, cut_factors = steps.factors,
        cut_offsets = steps.offsets, corrected = EXISTS (SELECT FROM mine)
    FROM steps WHERE sensor_id = of_sensor;
$$;

-- A reading's value and quality as corrected. A voided value is unknown and bad; one that was set is not what the source
-- said, and uncertain.
CREATE FUNCTION sidestream.overlaid(
    raw double precision, at timestamptz, cuts timestamptz[], corrections bigint[], factors double precision[],
    offsets double precision[]
) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN corrections[width_bucket(at, cuts)] IS NULL THEN raw
                WHEN factors[width_bucket(at, cuts)] = 0 THEN offsets[width_bucket(at, cuts)]
                -- a product too small for a number would be an error, and every query of the sensor with it
                WHEN abs(raw) < 1e-200 THEN offsets[width_bucket(at, cuts)]
                ELSE raw * factors[width_bucket(at, cuts)] + offsets[width_bucket(at, cuts)] END
$$;
CREATE FUNCTION sidestream.overlaid_quality(
    raw smallint, at timestamptz, cuts timestamptz[], corrections bigint[], factors double precision[]
) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN corrections[width_bucket(at, cuts)] IS NULL THEN raw
                WHEN factors[width_bucket(at, cuts)] IS NULL THEN 2::smallint
                WHEN factors[width_bucket(at, cuts)] = 0 THEN 1::smallint
                ELSE raw END
$$;

CREATE FUNCTION sidestream.keep_corrections() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.withdrawn_at IS NOT NULL OR NEW.withdrawn_at IS NULL OR
        (to_jsonb(NEW) - '{withdrawn_at,withdrawn_by,withdrawn_why}'::text[])
        <> (to_jsonb(OLD) - '{withdrawn_at,withdrawn_by,withdrawn_why}'::text[]) THEN
        RAISE EXCEPTION 'correction % stays as it was made; it can only be withdrawn, once', OLD.correction_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_corrections BEFORE UPDATE OR DELETE ON sidestream.correction
    FOR EACH ROW EXECUTE FUNCTION sidestream.keep_corrections();

-- Whoever writes a correction, the overlay and the ranges to recompute are committed with it. A range is cut to where the
-- sensor has roll-ups, because readings that have none yet are dirty themselves.
CREATE FUNCTION sidestream.apply_correction() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sidestream.lay_overlay(NEW.sensor_id);
    INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)
    SELECT NEW.sensor_id, part.from_at, part.to_at - interval '1 microsecond' FROM (
        SELECT GREATEST(NEW.from_at, min(bucket)) AS from_at, LEAST(NEW.to_at, max(bucket) + interval '25 hours') AS to_at
        FROM sidestream.rollup_1d WHERE sensor_id = NEW.sensor_id HAVING count(*) > 0
        UNION ALL
        SELECT NEW.from_at, NEW.to_at FROM sidestream.sensor WHERE sensor_id = NEW.sensor_id AND quantity = 'scan'
    ) part WHERE part.from_at < part.to_at;
    RETURN NULL;
END $$;
CREATE TRIGGER apply_correction AFTER INSERT OR UPDATE ON sidestream.correction
    FOR EACH ROW EXECUTE FUNCTION sidestream.apply_correction();

-- The one place in SQL that says what a plausible range means: a register only ever grows, so a range says nothing of it.
-- NULL (not outside) where value or limit is not known.
CREATE FUNCTION sidestream.out_of_range(quantity text, value double precision, low double precision, high double precision)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT quantity NOT IN ('energy', 'volume', 'volume_temperature') AND (value < low OR value > high)
$$;

-- Readings that people enter -------------------------------------------------------------------------------------------
-- They are readings like any other (frame, ledger, `reading`); here is what a device could not tell: who, how sure, why.
CREATE TABLE sidestream.manual_entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    frame_id bigint NOT NULL UNIQUE,
    sensor_id int NOT NULL REFERENCES sidestream.sensor,
    time timestamptz NOT NULL,
    value double precision NOT NULL,         -- in the sensor's unit
    sd double precision,                     -- in the sensor's unit, as the author gave it
    given_value text NOT NULL,               -- as it was written, in `given_unit`
    given_unit text NOT NULL,
    author text NOT NULL,
    note text,
    entered_at timestamptz NOT NULL DEFAULT now(),
    entered_by text NOT NULL                 -- who was logged in
);
CREATE INDEX manual_entry_sensor_time ON sidestream.manual_entry (sensor_id, time);

-- Published figures ----------------------------------------------------------------------------------------------------
-- A figure is published once it has stood for `hub.settle_s`, counted from the end of its period or from when it was first
-- known, whichever is later; or as soon as its period is over, once someone made or withdrew a correction after it was known.
-- A published figure that changes is kept in its history with `superseded_at`, and the new one has the next revision. Until
-- then new data change it in place: a gateway that drains for an hour would else leave a revision for every pass. What did
-- not change is not written, so computing again writes nothing and `known_at` tells since when the figure is what it is.
ALTER TABLE sidestream.hub ADD COLUMN settle_s double precision NOT NULL DEFAULT 900;
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rollup_1m', 'rollup_1h', 'rollup_1d', 'twin_value', 'agreement_status'] LOOP
        EXECUTE format('ALTER TABLE sidestream.%I ADD COLUMN revision int NOT NULL DEFAULT 1', name);
        IF name NOT LIKE 'rollup%' THEN
            EXECUTE format('ALTER TABLE sidestream.%I ADD COLUMN known_at timestamptz', name);
            EXECUTE format('UPDATE sidestream.%I SET known_at = computed_at', name);
            EXECUTE format('ALTER TABLE sidestream.%I ALTER COLUMN known_at SET NOT NULL, ALTER COLUMN known_at SET DEFAULT now()',
                name);
        END IF;
        EXECUTE format('CREATE TABLE sidestream.%I (LIKE sidestream.%I, superseded_at timestamptz NOT NULL)',
            name || '_history', name);
    END LOOP;
END $$;
ALTER TABLE sidestream.rollup_1m_history ADD PRIMARY KEY (sensor_id, bucket, revision);
ALTER TABLE sidestream.rollup_1h_history ADD PRIMARY KEY (sensor_id, bucket, revision);
ALTER TABLE sidestream.rollup_1d_history ADD PRIMARY KEY (sensor_id, bucket, revision);
ALTER TABLE sidestream.twin_value_history ADD PRIMARY KEY (subject_kind, subject, quantity, time, revision);
ALTER TABLE sidestream.agreement_status_history ADD PRIMARY KEY (agreement, period_from, revision);

-- When a correction was last made or withdrawn; long ago where none ever was.
CREATE FUNCTION sidestream.last_corrected_at() RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT COALESCE(max(GREATEST(made_at, withdrawn_at)), '-infinity') FROM sidestream.correction
$$;

-- Whether a figure of a period that ends at `ended_at`, known since `known_at`, is published at `at`.
CREATE FUNCTION sidestream.is_published(ended_at timestamptz, known_at timestamptz, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT at >= GREATEST(ended_at, known_at) + make_interval(secs => COALESCE((SELECT settle_s FROM sidestream.hub), 900))
        OR (at >= ended_at AND known_at <= sidestream.last_corrected_at())
$$;

-- Since when a figure that is computed at `at` and replaces one known since `known_at` will be known: a first figure that
-- was never published is known as it is only from now; a later one keeps the place of the one that it mends.
CREATE FUNCTION sidestream.known_from(published boolean, revision int, known_at timestamptz, at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN revision > 1 AND NOT published THEN known_at ELSE GREATEST(known_at, at) END
$$;

-- What roll-ups are: figures of raw readings as the overlay corrects them. Callers run in UTC.
CREATE TYPE sidestream.rollup_figure AS (
    sensor_id int, bucket timestamptz, n bigint, bad bigint, mean double precision, low double precision,
    high double precision, first double precision, first_at timestamptz, last double precision, last_at timestamptz
);

-- `value` and `quality` as corrected, `raw_value` as it came, `correction_id`: which correction counts (NULL: none).
-- `entered_by`, `note`: of a reading that a person entered.
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
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END AS note
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
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END
FROM sidestream.reading_recorded r JOIN sidestream.sensor s USING (sensor_id);

-- A scan can only be voided: it is shown with its correction and counts as bad.
CREATE OR REPLACE VIEW sidestream_v.scan AS
SELECT c.time, s.id AS sensor, c.sensor_id, s.node, c.code, c.rssi,
       CASE WHEN v.correction_id IS NULL THEN c.quality ELSE 2::smallint END AS quality, c.recorded, c.frame_id,
       v.correction_id
FROM sidestream.scan c JOIN sidestream.sensor s USING (sensor_id)
CROSS JOIN LATERAL (SELECT CASE WHEN s.corrected THEN (
    SELECT max(x.correction_id) FROM sidestream.correction x
    WHERE x.sensor_id = c.sensor_id AND x.withdrawn_at IS NULL AND x.from_at <= c.time AND x.to_at > c.time
        AND (x.code IS NULL OR x.code = c.code)
) END AS correction_id) v;

-- The newest reading as it counts: `value` corrected, `raw_value` as it came, `correction_id` where the two differ.
-- `freshness`: none (never seen), recorded (replay), stale (older than five periods and 15 s), fresh.
-- `mark`: what a reader must know before trusting the value; one that was voided is `bad`, one that was set `uncertain`.
CREATE OR REPLACE VIEW sidestream_v.latest AS
SELECT s.sensor_id, s.id AS sensor, s.name, d.id AS device, d.party, s.quantity, s.unit, s.role, s.stream, s.node,
       l.time, v.value, l.code, v.quality, l.received_at, l.frame_id,
       f.freshness,
       CASE
           WHEN f.freshness <> 'fresh' THEN f.freshness
           WHEN v.quality >= 2 OR (v.value IS NULL AND l.code IS NULL) THEN 'bad'
           WHEN sidestream.out_of_range(s.quantity, v.value, s.range_low, s.range_high) THEN 'out_of_range'
           WHEN v.quality = 1 THEN 'uncertain'
           ELSE 'good'
       END AS mark,
       l.value AS raw_value, v.correction_id, s.manual,
       CASE WHEN s.manual THEN (SELECT e.author FROM sidestream.manual_entry e WHERE e.frame_id = l.frame_id) END AS entered_by
FROM sidestream.sensor s
JOIN sidestream.device d USING (device_id)
LEFT JOIN sidestream.latest l USING (sensor_id)
LEFT JOIN LATERAL (
    SELECT max(x.correction_id) AS correction_id FROM sidestream.correction x
    WHERE s.corrected AND l.code IS NOT NULL AND x.sensor_id = l.sensor_id AND x.withdrawn_at IS NULL
        AND x.from_at <= l.time AND x.to_at > l.time AND (x.code IS NULL OR x.code = l.code)
) c ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN s.cuts IS NULL OR l.code IS NOT NULL THEN l.value
               ELSE sidestream.overlaid(l.value, l.time, s.cuts, s.cut_corrections, s.cut_factors, s.cut_offsets) END AS value,
           CASE WHEN c.correction_id IS NOT NULL THEN 2::smallint WHEN s.cuts IS NULL OR l.code IS NOT NULL THEN l.quality
               ELSE sidestream.overlaid_quality(l.quality, l.time, s.cuts, s.cut_corrections, s.cut_factors) END AS quality,
           CASE WHEN l.code IS NOT NULL THEN c.correction_id
               WHEN s.cuts IS NOT NULL THEN s.cut_corrections[width_bucket(l.time, s.cuts)] END AS correction_id
) v
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

CREATE OR REPLACE VIEW sidestream_v.sensor AS
SELECT s.sensor_id, s.id, d.id AS device, d.party, s.name, s.quantity, s.unit, s.si_unit, s.si_factor, s.si_offset, s.role,
       s.stream, s.node, s.limit_pct, s.limit_abs, s.random_pct, s.random_abs, s.range_low, s.range_high, s.period_s,
       s.manual
FROM sidestream.sensor s JOIN sidestream.device d USING (device_id)
WHERE s.removed_at IS NULL;

CREATE VIEW sidestream_v.correction AS
SELECT c.correction_id, s.id AS sensor, s.unit, c.from_at, c.to_at, c.action, c.value, c.factor, c.offset_value, c.code, c.reason,
       c.author, c.made_at, c.withdrawn_at, c.withdrawn_by, c.withdrawn_why, c.withdrawn_at IS NULL AS in_force
FROM sidestream.correction c JOIN sidestream.sensor s USING (sensor_id);

-- `value` and `sd` in the sensor's unit as entered; `correction_id`: since then voided, set or adjusted.
CREATE VIEW sidestream_v.manual_entry AS
SELECT e.entry_id, s.id AS sensor, e.sensor_id, e.time, e.value, e.sd, s.unit, e.given_value, e.given_unit, e.author, e.note,
       e.entered_at, e.entered_by, e.frame_id,
       s.cut_corrections[width_bucket(e.time, s.cuts)] AS correction_id
FROM sidestream.manual_entry e JOIN sidestream.sensor s USING (sensor_id);

-- Roll-ups -------------------------------------------------------------------------------------------------------------
-- `n` readings were used; `bad` ones were not: no value, called bad by their source, voided, or outside the sensor's range.
-- Sums are taken in order of time, so that the order of arrival changes no bit of them.
CREATE FUNCTION sidestream.fresh_1m(sensors int[], from_at timestamptz, to_at timestamptz)
RETURNS SETOF sidestream.rollup_figure LANGUAGE sql STABLE AS $$
    SELECT sensor_id, date_trunc('minute', time), count(used), count(*) - count(used), avg(used ORDER BY time, used),
           min(used), max(used),
           (array_agg(used ORDER BY time, used) FILTER (WHERE used IS NOT NULL))[1],
           min(time) FILTER (WHERE used IS NOT NULL),
           (array_agg(used ORDER BY time DESC, used DESC) FILTER (WHERE used IS NOT NULL))[1],
           max(time) FILTER (WHERE used IS NOT NULL)
    FROM (
        SELECT r.time, r.sensor_id,
               CASE WHEN r.quality < 2
                   AND sidestream.out_of_range(s.quantity, r.value, s.range_low, s.range_high) IS NOT TRUE THEN r.value END AS used
        FROM (
            -- OFFSET 0 keeps the overlay's expression from being put in place of each `value` above, and worked out as often
            SELECT time, sensor_id, value, quality FROM sidestream_v.reading
            WHERE sensor_id = ANY (sensors) AND time >= from_at AND time < to_at OFFSET 0
        ) r JOIN sidestream.sensor s USING (sensor_id)
    ) judged
    GROUP BY sensor_id, date_trunc('minute', time)
$$;

CREATE FUNCTION sidestream.fresh_1h(sensors int[], from_at timestamptz, to_at timestamptz)
RETURNS SETOF sidestream.rollup_figure LANGUAGE sql STABLE AS $$
    SELECT sensor_id, date_trunc('hour', bucket), sum(n)::bigint, sum(bad)::bigint,
           sum(mean * n ORDER BY bucket) / NULLIF(sum(n), 0), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at)
    FROM sidestream.rollup_1m
    WHERE sensor_id = ANY (sensors) AND bucket >= from_at AND bucket < to_at
    GROUP BY sensor_id, date_trunc('hour', bucket)
$$;

-- Days are the hub's days, so they have 23 or 25 hours twice a year. Where midnight is not on a full hour of UTC (India,
-- Nepal, central Australia), that hour's minutes belong to two days and are taken one by one.
CREATE FUNCTION sidestream.fresh_1d(sensors int[], from_at timestamptz, to_at timestamptz)
RETURNS SETOF sidestream.rollup_figure LANGUAGE sql STABLE AS $$
    WITH shared AS MATERIALIZED (
        SELECT date_trunc('hour', midnight, 'UTC') AS hour
        FROM sidestream.hub h, generate_series(from_at, to_at, interval '1 day', h.timezone) AS midnight
        WHERE midnight <> date_trunc('hour', midnight, 'UTC')
    ), parts AS (
        SELECT sensor_id, bucket, n, bad, mean, low, high, first, first_at, last, last_at FROM sidestream.rollup_1h
        WHERE sensor_id = ANY (sensors) AND bucket >= from_at AND bucket < to_at AND bucket NOT IN (SELECT hour FROM shared)
        UNION ALL
        SELECT m.sensor_id, m.bucket, m.n, m.bad, m.mean, m.low, m.high, m.first, m.first_at, m.last, m.last_at
        FROM shared JOIN sidestream.rollup_1m m ON m.bucket >= shared.hour AND m.bucket < shared.hour + interval '1 hour'
        WHERE m.sensor_id = ANY (sensors) AND m.bucket >= from_at AND m.bucket < to_at
    )
    SELECT sensor_id, date_trunc('day', bucket, (SELECT timezone FROM sidestream.hub)) AS day, sum(n)::bigint, sum(bad)::bigint,
           sum(mean * n ORDER BY bucket) / NULLIF(sum(n), 0), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at)
    FROM parts GROUP BY sensor_id, day
$$;

-- The table of one level ('1m', '1h', '1d') says in [from_at, to_at) what `fresh_…` says; only what differs is written, and
-- what was published and differs is kept. Both bounds are bounds of buckets.
CREATE FUNCTION sidestream.publish_rollup(
    level text, width interval, sensors int[], from_at timestamptz, to_at timestamptz, computed_at timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($sql$
        WITH hub AS MATERIALIZED (
            SELECT timezone, make_interval(secs => settle_s) AS settle, sidestream.last_corrected_at() AS corrected_at
            FROM sidestream.hub
        ), differing AS MATERIALIZED (
            SELECT sensor_id, bucket, old.revision, old.known_at, new.n, new.bad, new.mean, new.low, new.high, new.first,
                   new.first_at, new.last, new.last_at,
                   $4 >= GREATEST(date_add(bucket, $5, hub.timezone), old.known_at) + hub.settle
                       OR ($4 >= date_add(bucket, $5, hub.timezone) AND old.known_at <= hub.corrected_at) AS published
            FROM (SELECT * FROM sidestream.rollup_%1$s WHERE sensor_id = ANY ($1) AND bucket >= $2 AND bucket < $3) old
            FULL JOIN (SELECT * FROM sidestream.fresh_%1$s($1, $2, $3)) new USING (sensor_id, bucket)
            CROSS JOIN hub
            WHERE (old.n, old.bad, old.mean, old.low, old.high, old.first, old.first_at, old.last, old.last_at)
                IS DISTINCT FROM (new.n, new.bad, new.mean, new.low, new.high, new.first, new.first_at, new.last, new.last_at)
        ), kept AS (
            INSERT INTO sidestream.rollup_%1$s_history
            SELECT r.*, GREATEST($4, r.known_at) FROM differing d JOIN sidestream.rollup_%1$s r USING (sensor_id, bucket)
            WHERE d.published AND d.revision IS NOT NULL
        ), gone AS (
            DELETE FROM sidestream.rollup_%1$s r USING differing d
            WHERE d.n IS NULL AND r.sensor_id = d.sensor_id AND r.bucket = d.bucket
        )
        INSERT INTO sidestream.rollup_%1$s AS r
        SELECT sensor_id, bucket, n, bad, mean, low, high, first, first_at, last, last_at,
               sidestream.known_from(published, revision, known_at, $4),
               COALESCE(revision + published::int, (
                   SELECT max(h.revision) + 1 FROM sidestream.rollup_%1$s_history h
                   WHERE h.sensor_id = d.sensor_id AND h.bucket = d.bucket), 1)
        FROM differing d WHERE n IS NOT NULL
        ON CONFLICT (sensor_id, bucket) DO UPDATE SET n = excluded.n, bad = excluded.bad, mean = excluded.mean,
            low = excluded.low, high = excluded.high, first = excluded.first, first_at = excluded.first_at,
            last = excluded.last, last_at = excluded.last_at, known_at = excluded.known_at, revision = excluded.revision
    $sql$, level) USING sensors, from_at, to_at, computed_at, width;
END $$;

DROP FUNCTION sidestream.refresh_rollups(int[], timestamptz, timestamptz);
-- Roll-ups of these sensors and this range are those of the readings as they are, corrections applied: idempotent, so it
-- may run twice or at any time. `from_at` and `to_at` are both within what changed.
-- A counter's rate comes from first/last of neighbouring buckets; `mean` is the mean of samples.
CREATE FUNCTION sidestream.refresh_rollups(
    sensors int[], from_at timestamptz, to_at timestamptz, computed_at timestamptz DEFAULT now()
) RETURNS void LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    zone text := (SELECT timezone FROM sidestream.hub);
BEGIN
    -- a clamp of from_at to what raw readings are still kept belongs here
    IF from_at > to_at THEN
        RETURN;
    END IF;
    PERFORM sidestream.publish_rollup('1m', interval '1 minute', sensors,
        date_trunc('minute', from_at), date_trunc('minute', to_at) + interval '1 minute', computed_at);
    PERFORM sidestream.publish_rollup('1h', interval '1 hour', sensors,
        date_trunc('hour', from_at), date_trunc('hour', to_at) + interval '1 hour', computed_at);
    PERFORM sidestream.publish_rollup('1d', interval '1 day', sensors,
        date_trunc('day', from_at, zone), date_add(date_trunc('day', to_at, zone), interval '1 day', zone), computed_at);
END $$;

-- As known on a date ---------------------------------------------------------------------------------------------------
-- `…_history`: superseded figures. `…_as_known(date)`: one figure per bucket, step or period, as it was in force then.
-- Figures younger than the settle time are not published yet, and may have been changed in place since.
DO $$
DECLARE level text;
BEGIN
    FOREACH level IN ARRAY ARRAY['1m', '1h', '1d'] LOOP
        EXECUTE format($sql$
            CREATE OR REPLACE VIEW sidestream_v.rollup_%1$s AS
            SELECT s.id AS sensor, s.unit, r.* FROM sidestream.rollup_%1$s r JOIN sidestream.sensor s USING (sensor_id);
            CREATE VIEW sidestream_v.rollup_%1$s_history AS
            SELECT s.id AS sensor, s.unit, r.* FROM sidestream.rollup_%1$s_history r JOIN sidestream.sensor s USING (sensor_id);
            CREATE FUNCTION sidestream_v.rollup_%1$s_as_known(as_known_at timestamptz) RETURNS TABLE (
                sensor text, unit text, sensor_id int, bucket timestamptz, n bigint, bad bigint, mean double precision,
                low double precision, high double precision, first double precision, first_at timestamptz,
                last double precision, last_at timestamptz, known_at timestamptz, revision int, superseded_at timestamptz
            ) LANGUAGE sql STABLE AS $body$
                SELECT r.sensor, r.unit, r.sensor_id, r.bucket, r.n, r.bad, r.mean, r.low, r.high, r.first, r.first_at,
                       r.last, r.last_at, r.known_at, r.revision, NULL::timestamptz
                FROM sidestream_v.rollup_%1$s r WHERE r.known_at <= as_known_at
                UNION ALL
                SELECT r.sensor, r.unit, r.sensor_id, r.bucket, r.n, r.bad, r.mean, r.low, r.high, r.first, r.first_at,
                       r.last, r.last_at, r.known_at, r.revision, r.superseded_at
                FROM sidestream_v.rollup_%1$s_history r WHERE r.known_at <= as_known_at AND r.superseded_at > as_known_at
            $body$
        $sql$, level);
    END LOOP;
END $$;

CREATE OR REPLACE VIEW sidestream_v.twin_value AS
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,
       sqrt(sd_random ^ 2 + sd_systematic ^ 2) AS sd, origin, completeness, n, inputs, flags, computed_at, revision, known_at
FROM sidestream.twin_value;
CREATE VIEW sidestream_v.twin_value_history AS
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,
       sqrt(sd_random ^ 2 + sd_systematic ^ 2) AS sd, origin, completeness, n, inputs, flags, computed_at, revision, known_at,
       superseded_at
FROM sidestream.twin_value_history;
CREATE FUNCTION sidestream_v.twin_value_as_known(as_known_at timestamptz) RETURNS TABLE (
    subject_kind text, subject text, quantity text, "time" timestamptz, step_s int, value double precision,
    sd_random double precision, sd_systematic double precision, sd double precision, origin text,
    completeness double precision, n bigint, inputs jsonb, flags jsonb, computed_at timestamptz, revision int,
    known_at timestamptz, superseded_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT v.*, NULL::timestamptz FROM (
        SELECT t.subject_kind, t.subject, t.quantity, t.time, t.step_s, t.value, t.sd_random, t.sd_systematic, t.sd, t.origin,
               t.completeness, t.n, t.inputs, t.flags, t.computed_at, t.revision, t.known_at
        FROM sidestream_v.twin_value t WHERE t.known_at <= as_known_at
    ) v
    UNION ALL
    SELECT h.* FROM sidestream_v.twin_value_history h WHERE h.known_at <= as_known_at AND h.superseded_at > as_known_at
$$;

CREATE OR REPLACE VIEW sidestream_v.agreement_status AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / a.si_factor AS agreed, s.expected_so_far / a.si_factor AS expected_so_far,
       s.delivered / a.si_factor AS delivered,
       sqrt(s.sd_random ^ 2 + s.sd_systematic ^ 2) / a.si_factor AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at, s.revision, s.known_at
FROM sidestream.agreement_status s JOIN sidestream.agreement a ON a.id = s.agreement;
-- Of an agreement that hub.yaml no longer has, `unit` is NULL and amounts are in SI (J or kg).
CREATE VIEW sidestream_v.agreement_status_history AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / COALESCE(a.si_factor, 1) AS agreed,
       s.expected_so_far / COALESCE(a.si_factor, 1) AS expected_so_far, s.delivered / COALESCE(a.si_factor, 1) AS delivered,
       sqrt(s.sd_random ^ 2 + s.sd_systematic ^ 2) / COALESCE(a.si_factor, 1) AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at, s.revision, s.known_at, s.superseded_at
FROM sidestream.agreement_status_history s LEFT JOIN sidestream.agreement a ON a.id = s.agreement;
CREATE FUNCTION sidestream_v.agreement_status_as_known(as_known_at timestamptz) RETURNS TABLE (
    agreement text, name text, stream text, supplier text, receiver text, unit text, quantity text, period text,
    tolerance_pct double precision, period_from timestamptz, period_to timestamptz, agreed double precision,
    expected_so_far double precision, delivered double precision, sd double precision, origin text,
    completeness double precision, status text, reason text, reason_numbers jsonb, computed_at timestamptz, revision int,
    known_at timestamptz, superseded_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT v.*, NULL::timestamptz FROM (
        SELECT s.agreement, s.name, s.stream, s.supplier, s.receiver, s.unit, s.quantity, s.period, s.tolerance_pct,
               s.period_from, s.period_to, s.agreed, s.expected_so_far, s.delivered, s.sd, s.origin, s.completeness, s.status,
               s.reason, s.reason_numbers, s.computed_at, s.revision, s.known_at
        FROM sidestream_v.agreement_status s WHERE s.known_at <= as_known_at
    ) v
    UNION ALL
    SELECT h.* FROM sidestream_v.agreement_status_history h WHERE h.known_at <= as_known_at AND h.superseded_at > as_known_at
$$;

GRANT SELECT ON sidestream_v.latest, sidestream_v.correction, sidestream_v.manual_entry, sidestream_v.rollup_1m_history,
    sidestream_v.rollup_1h_history, sidestream_v.rollup_1d_history, sidestream_v.twin_value_history,
    sidestream_v.agreement_status_history TO sidestream_viewer;
