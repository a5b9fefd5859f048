-- Meters as they are: how a register counts, when its meter was exchanged, which values are not to be believed; and what
-- was found of both, as events and marks. Raw readings stay as they came.
-- depends: 0018.newest

-- As hub.yaml says it; times and numbers in the sensor's own unit. `stuck_s`: so long without a change means stuck.
ALTER TABLE sidestream.sensor
    ADD COLUMN resolution double precision,
    ADD COLUMN counter jsonb,
    ADD COLUMN checks jsonb,
    ADD COLUMN stuck_s double precision;

-- What a register did that is no plain rise. A function of the readings and of hub.yaml, like every figure of the twin.
-- `at`: of a swap its time, else the later one of the two readings (`from_at`, `to_at`) between which it happened.
-- `before`, `after`: what the register showed; of a swap what the old and the new meter showed, NULL where nobody read it.
-- `rise`: how much it is taken to have risen from `from_at` to `to_at`; NULL: not known, and then what flowed between
-- `unseen_from` and `unseen_to` is not known.
CREATE TABLE sidestream.meter_event (
    sensor_id int NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('rollover', 'reset', 'jump', 'swap')),
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    before double precision,
    after double precision,
    rise double precision,
    unseen_from timestamptz,
    unseen_to timestamptz,
    PRIMARY KEY (sensor_id, at)
);
CREATE VIEW sidestream_v.meter_event AS
SELECT s.id AS sensor, s.name, d.party, s.stream, s.node, s.unit, e.at, e.kind, e.from_at, e.to_at, e.before, e.after, e.rise,
       e.unseen_from, e.unseen_to, s.counter -> 'rollover_at' AS rollover_at,
       (SELECT w ->> 'note' FROM jsonb_array_elements(s.counter -> 'swaps') w
        WHERE (w ->> 'at')::timestamptz = e.at LIMIT 1) AS note
FROM sidestream.meter_event e
JOIN sidestream.sensor s USING (sensor_id)
JOIN sidestream.device d USING (device_id);

-- Values that a check does not believe, added up per step of the twin: how many, from when to when, and between which.
-- `left_out`: no figure rests on them.
CREATE TABLE sidestream.sensor_mark (
    sensor_id int NOT NULL,
    time timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('range', 'spike', 'rate')),
    n int NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    low double precision NOT NULL,
    high double precision NOT NULL,
    left_out boolean NOT NULL,
    PRIMARY KEY (sensor_id, time, kind)
);
CREATE VIEW sidestream_v.sensor_mark AS
SELECT s.id AS sensor, s.name, d.party, s.unit, m.time, m.kind, m.n, m.first_at, m.last_at, m.low, m.high, m.left_out
FROM sidestream.sensor_mark m
JOIN sidestream.sensor s USING (sensor_id)
JOIN sidestream.device d USING (device_id);

-- As in migration 0007, and what the checks go by.
CREATE OR REPLACE VIEW sidestream_v.sensor AS
SELECT s.sensor_id, s.id, d.id AS device, d.party, s.name, s.quantity, s.unit, s.si_unit, s.si_factor, s.si_offset, s.role,
       s.stream, s.node, s.limit_pct, s.limit_abs, s.random_pct, s.random_abs, s.range_low, s.range_high, s.period_s,
       s.manual, s.resolution, s.counter, s.checks, s.stuck_s
FROM sidestream.sensor s JOIN sidestream.device d USING (device_id)
WHERE s.removed_at IS NULL;

-- Sensors that have not moved by half of their smallest step for `stuck_s`, by the minute roll-ups, as of any time. Half of
-- the readings that were due must be there: silence is no proof of anything.
CREATE FUNCTION sidestream_v.stuck_at(as_of timestamptz) RETURNS TABLE (
    sensor text, name text, unit text, stream text, value double precision, since_at timestamptz, stuck_s double precision,
    readings bigint
) LANGUAGE sql STABLE AS $$
    SELECT s.id, s.name, s.unit, s.stream, r.low, r.first_at, s.stuck_s, r.n
    FROM sidestream_v.sensor s CROSS JOIN LATERAL (
        SELECT min(low) AS low, max(high) AS high, min(first_at) AS first_at, max(last_at) AS last_at, sum(n)::bigint AS n
        FROM sidestream_v.rollup_1m
        WHERE sensor_id = s.sensor_id AND n > 0 AND bucket <= as_of AND bucket > as_of - make_interval(secs => s.stuck_s + 120)
    ) r
    WHERE s.stuck_s > 0 AND r.high - r.low <= COALESCE(s.resolution, 0) / 2
        AND r.last_at - r.first_at >= make_interval(secs => s.stuck_s)
        AND r.n >= 0.5 * s.stuck_s / COALESCE(s.period_s, 12)
$$;

GRANT SELECT ON sidestream_v.meter_event, sidestream_v.sensor_mark, sidestream_v.sensor TO sidestream_viewer;
