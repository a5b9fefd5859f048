-- Shapes of vessels, so that levels observe stocks; forecasts of stocks; planned stops; what an agreement's judgement rests on.
-- depends: 0012.underflow

-- How a level becomes a mass: volume over height, straight between the points. Apart from `node`, whose row is the graph's.
CREATE TABLE sidestream.vessel (
    node text PRIMARY KEY,
    heights_m double precision[] NOT NULL,
    volumes_m3 double precision[] NOT NULL,
    density_kg_m3 double precision NOT NULL,
    density_sd_kg_m3 double precision NOT NULL
);
CREATE VIEW sidestream_v.vessel AS
SELECT node, heights_m, volumes_m3, density_kg_m3, density_sd_kg_m3 FROM sidestream.vessel;

-- What each stock's filter believes of its instruments, newest first step: `bias` in the instrument's own standard
-- deviations (class limit / sqrt(3)), positive where it reads high; `sd` 1 is all that its class says, less was learned.
CREATE VIEW sidestream_v.stock_bias AS
SELECT c.node, s.source, (c.state -> 'biases' ->> (s.place - 1)::int)::double precision AS bias,
       sqrt(GREATEST((c.state -> 'covariance' -> s.place::int ->> s.place::int)::double precision, 0)) AS sd, c.at
FROM (SELECT DISTINCT ON (node) node, at, state FROM sidestream.stock_checkpoint ORDER BY node, at DESC) c
CROSS JOIN LATERAL jsonb_array_elements_text(COALESCE(c.state -> 'sources', '[]')) WITH ORDINALITY AS s (source, place)
WHERE s.source NOT LIKE 'unseen:%';

-- Forecasts: when a stock reaches a limit, as judged at `issued_at`. One row an hour stays of those that are superseded.
-- Times are quantiles of the first crossing; NULL lies beyond the horizon. `outcome`: expected (likelier than not within
-- the horizon), possible, not_within_horizon, reached (beyond the limit already), unknown (`reason` says why).
CREATE TABLE sidestream.stock_forecast (
    node text NOT NULL,
    event text NOT NULL CHECK (event IN ('overflow', 'run_dry')),
    issued_at timestamptz NOT NULL,
    from_at timestamptz,
    horizon_at timestamptz,
    outcome text NOT NULL,
    reason text,
    limit_kg double precision NOT NULL,
    mass_kg double precision,
    sd_kg double precision,
    net_flow_kg_s double precision,
    net_flow_sd_kg_s double precision,
    probability double precision,
    q05_at timestamptz,
    q25_at timestamptz,
    q50_at timestamptz,
    q75_at timestamptz,
    q95_at timestamptz,
    basis jsonb NOT NULL,
    origin text NOT NULL DEFAULT 'forecast' CHECK (origin = 'forecast'),
    PRIMARY KEY (node, event, issued_at)
);
CREATE VIEW sidestream_v.stock_forecast_history AS SELECT * FROM sidestream.stock_forecast;
CREATE VIEW sidestream_v.stock_forecast AS
SELECT DISTINCT ON (f.node, f.event) f.*, n.name, n.party,
       f.issued_at < now() - make_interval(secs => GREATEST(900, 3 * h.step_s)) AS stale
FROM sidestream.stock_forecast f JOIN sidestream.node n ON n.id = f.node CROSS JOIN sidestream.hub h
ORDER BY f.node, f.event, f.issued_at DESC;

-- Planned stops: while one lasts, nothing is expected of what it stops. Never deleted: taken back, with who and why.
-- `hub_id`: of a stop that hub.yaml says. `judged`: the agreements it touches have been judged with it.
CREATE TABLE sidestream.planned_stop (
    stop_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hub_id text,
    node text,
    stream text,
    from_at timestamptz NOT NULL,
    to_at timestamptz,
    why text NOT NULL CHECK (btrim(why) <> ''),
    author text NOT NULL CHECK (btrim(author) <> ''),
    made_at timestamptz NOT NULL DEFAULT now(),
    ended_by text,
    ended_at timestamptz,
    withdrawn_at timestamptz,
    withdrawn_by text,
    judged boolean NOT NULL DEFAULT false,
    CHECK (num_nonnulls(node, stream) = 1),
    CHECK (to_at IS NULL OR from_at < to_at),
    CHECK (num_nulls(withdrawn_at, withdrawn_by) IN (0, 2))
);
CREATE UNIQUE INDEX planned_stop_of_hub ON sidestream.planned_stop (hub_id) WHERE hub_id IS NOT NULL AND withdrawn_at IS NULL;
CREATE VIEW sidestream_v.planned_stop AS
SELECT stop_id, hub_id, node, stream, from_at, to_at, why, author, made_at, ended_by, ended_at, withdrawn_at, withdrawn_by,
       CASE WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN from_at > now() THEN 'planned'
            WHEN to_at IS NULL OR to_at > now() THEN 'running' ELSE 'over' END AS state
FROM sidestream.planned_stop;

-- The amount of one delivery where a period's amount comes in loads; NULL where it flows.
ALTER TABLE sidestream.agreement ADD COLUMN load_amount double precision;
CREATE OR REPLACE VIEW sidestream_v.agreement AS
SELECT id, name, stream, supplier, receiver, amount, unit, quantity, si_factor, period, tolerance_pct, valid_from, valid_to,
       disclosure, load_amount
FROM sidestream.agreement;
-- What was agreed of the quality: limits of a sensor, in its own unit, and for which share of the time they hold.
CREATE TABLE sidestream.agreement_spec (
    agreement text NOT NULL,
    sensor text NOT NULL,
    low double precision,
    high double precision,
    share double precision NOT NULL,
    PRIMARY KEY (agreement, sensor)
);
CREATE VIEW sidestream_v.agreement_spec AS
SELECT x.agreement, x.sensor, s.name, s.unit, x.low, x.high, x.share
FROM sidestream.agreement_spec x LEFT JOIN sidestream.sensor s ON s.id = x.sensor;

-- As in migration 0012, and what the judgement rests on: probability of standing within the tolerance, planned stops, evidence.
CREATE OR REPLACE VIEW sidestream_v.agreement_status AS
SELECT s.agreement, a.name, a.stream, a.supplier, a.receiver, a.unit, a.quantity, a.period, a.tolerance_pct,
       s.period_from, s.period_to, s.agreed / a.si_factor AS agreed, s.expected_so_far / a.si_factor AS expected_so_far,
       s.delivered / a.si_factor AS delivered,
       sidestream.root_sum_square(s.sd_random, s.sd_systematic) / a.si_factor AS sd, s.origin, s.completeness, s.status, s.reason,
       s.reason_numbers, s.computed_at, s.revision, s.known_at,
       (s.reason_numbers ->> 'probability')::double precision AS probability,
       (s.reason_numbers ->> 'low')::double precision / a.si_factor AS low,
       (s.reason_numbers ->> 'high')::double precision / a.si_factor AS high,
       (s.reason_numbers ->> 'stopped_s')::double precision AS stopped_s,
       COALESCE(s.reason_numbers -> 'evidence', '{}') AS evidence
FROM sidestream.agreement_status s JOIN sidestream.agreement a ON a.id = s.agreement;

GRANT SELECT ON sidestream_v.vessel, sidestream_v.stock_bias, sidestream_v.stock_forecast, sidestream_v.stock_forecast_history,
    sidestream_v.planned_stop, sidestream_v.agreement_spec TO sidestream_viewer;
