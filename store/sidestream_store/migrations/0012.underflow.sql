-- Numbers too small to be squared or divided: 0 instead of an error that takes the whole view or roll-up with it.
-- depends: 0007.corrections 0009.twin_sums 0011.status

-- sqrt(a² + b²), where a square that would be too small for a number counts as 0. NULL where either is NULL.
CREATE FUNCTION sidestream.root_sum_square(a double precision, b double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sqrt(CASE WHEN abs(a) < 1e-150 THEN 0 ELSE a ^ 2 END + CASE WHEN abs(b) < 1e-150 THEN 0 ELSE b ^ 2 END)
$$;

-- total / count, where a quotient that might be too small for a number counts as 0. NULL where there is nothing to count.
CREATE FUNCTION sidestream.mean_of(total double precision, count numeric) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(total) < 1e-250 THEN 0 ELSE total / NULLIF(count, 0) END
$$;

-- As in migration 0007, but for `mean_of`.
CREATE OR REPLACE FUNCTION sidestream.fresh_1h(sensors int[], from_at timestamptz, to_at timestamptz)
RETURNS SETOF sidestream.rollup_figure LANGUAGE sql STABLE AS $$
    SELECT sensor_id, date_trunc('hour', bucket), sum(n)::bigint, sum(bad)::bigint,
           sidestream.mean_of(sum(mean * n ORDER BY bucket), sum(n)), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at)
    FROM sidestream.rollup_1m
    WHERE sensor_id = ANY (sensors) AND bucket >= from_at AND bucket < to_at
    GROUP BY sensor_id, date_trunc('hour', bucket)
$$;
CREATE OR REPLACE FUNCTION sidestream.fresh_1d(sensors int[], from_at timestamptz, to_at timestamptz)
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
           sidestream.mean_of(sum(mean * n ORDER BY bucket), sum(n)), min(low), max(high),
           (array_agg(first ORDER BY bucket) FILTER (WHERE n > 0))[1], min(first_at),
           (array_agg(last ORDER BY bucket DESC) FILTER (WHERE n > 0))[1], max(last_at)
    FROM parts GROUP BY sensor_id, day
$$;

-- As in migrations 0003 and 0007, but for `root_sum_square`.
CREATE OR REPLACE VIEW sidestream_v.twin_value AS
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,
       sidestream.root_sum_square(sd_random, sd_systematic) AS sd, origin, completeness, n, inputs, flags, computed_at, revision, known_at
FROM sidestream.twin_value;
CREATE OR REPLACE VIEW sidestream_v.twin_value_history AS
SELECT subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,
       sidestream.root_sum_square(sd_random, sd_systematic) AS sd, origin, completeness, n, inputs, flags, computed_at, revision, known_at,
       superseded_at
FROM sidestream.twin_value_history;
CREATE OR REPLACE VIEW sidestream_v.twin_latest AS
SELECT t.subject_kind, t.subject, t.quantity, t.time, t.step_s, t.value, t.sd_random, t.sd_systematic,
       sidestream.root_sum_square(t.sd_random, t.sd_systematic) AS sd, t.origin, t.completeness, t.inputs, t.flags, t.computed_at,
       t.time + make_interval(secs => t.step_s) < now() - make_interval(secs => GREATEST(3 * t.step_s, 30)) AS stale
FROM sidestream.twin_latest t;
CREATE OR REPLACE VIEW sidestream_v.agreement_status AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / a.si_factor AS agreed, s.expected_so_far / a.si_factor AS expected_so_far,
       s.delivered / a.si_factor AS delivered,
       sidestream.root_sum_square(s.sd_random, s.sd_systematic) / a.si_factor AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at, s.revision, s.known_at
FROM sidestream.agreement_status s JOIN sidestream.agreement a ON a.id = s.agreement;
CREATE OR REPLACE VIEW sidestream_v.agreement_status_history AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / COALESCE(a.si_factor, 1) AS agreed,
       s.expected_so_far / COALESCE(a.si_factor, 1) AS expected_so_far, s.delivered / COALESCE(a.si_factor, 1) AS delivered,
       sidestream.root_sum_square(s.sd_random, s.sd_systematic) / COALESCE(a.si_factor, 1) AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at, s.revision, s.known_at, s.superseded_at
FROM sidestream.agreement_status_history s LEFT JOIN sidestream.agreement a ON a.id = s.agreement;
