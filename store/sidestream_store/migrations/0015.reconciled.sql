-- Balances: what the graph says must add up, interval by interval, and what that tells of each meter.
-- depends: 0012.underflow

-- The graph's rules, as last applied from hub.yaml ----------------------------------------------------------------------
ALTER TABLE sidestream.hub ADD COLUMN balance_s int NOT NULL DEFAULT 900;
ALTER TABLE sidestream.material
    ADD COLUMN family text,
    ADD COLUMN contents jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN limits jsonb NOT NULL DEFAULT '[]';
ALTER TABLE sidestream.node
    ADD COLUMN conserves text[],              -- NULL: what its kind says
    ADD COLUMN hold_up_kg double precision,
    ADD COLUMN loss jsonb,
    ADD COLUMN yields jsonb NOT NULL DEFAULT '[]';
ALTER TABLE sidestream.stream
    ADD COLUMN loss jsonb,
    ADD COLUMN meter_end text;
ALTER TABLE sidestream.sensor ADD COLUMN component text;

-- Intervals in which something changed that a balance rests on. They are computed once they have ended.
CREATE TABLE sidestream.balance_due (time timestamptz PRIMARY KEY);
-- The rules of the balances that the figures were computed with, as a digest; other rules make every interval due.
ALTER TABLE sidestream.twin_mark ADD COLUMN balance_rules text;

-- One balance (`energy`, or `mass:` and a family of materials) over one interval; SI, as a mean over the interval.
CREATE TABLE sidestream.balance (
    balance text NOT NULL,
    time timestamptz NOT NULL,
    step_s int NOT NULL,
    redundancy int NOT NULL,                  -- how many independent checks the meters make of each other
    test double precision,                    -- global test: χ² of the misfit; NULL: nothing to check
    p_value double precision,                 -- how often honest meters would miss as much
    closes boolean,                           -- NULL: nothing to check
    PRIMARY KEY (balance, time)
);
-- What the balance tells of one flow, loss or change of stock in the interval, beside what its meter says.
CREATE TABLE sidestream.balance_part (
    balance text NOT NULL,
    subject_kind text NOT NULL,               -- stream | node
    subject text NOT NULL,
    quantity text NOT NULL,                   -- heat_flow, mass_flow_receiver, heat_loss, stock_change …
    time timestamptz NOT NULL,
    step_s int NOT NULL,
    measured double precision,                -- NULL: nothing measured, see `missing`
    sd_random double precision,
    sd_systematic double precision,
    origin text,                              -- of `measured`: measured, manual, estimated (also: modelled)
    completeness double precision NOT NULL,
    missing text,                             -- no_meter | no_readings | too_few | not_valid
    reconciled double precision,              -- NULL: can't be known
    sd double precision,
    knowledge text NOT NULL,                  -- redundant | non-redundant | observable | unobservable | fixed
    adjustability double precision,           -- 0 to 1: how much surer the others make it
    detectability double precision,           -- 0 to 1: how much of an error of its meter shows
    least_bias double precision,              -- smallest lasting error of the meter that would be found in 9 of 10 cases
    test double precision,                    -- standardised misfit in this interval
    at_fault boolean NOT NULL,                -- singled out in this interval
    suspect boolean NOT NULL,                 -- singled out persistently: its meter is named
    bias double precision,                    -- what it shows too much, where it is suspect or at fault
    bias_sd double precision,
    power double precision,                   -- 0 to 1: how surely an error of that size is found
    alike jsonb NOT NULL,                     -- parts that no test can tell from this one: [[kind, subject, quantity]]
    inputs jsonb NOT NULL,
    PRIMARY KEY (balance, time, subject_kind, subject, quantity)
);
CREATE INDEX balance_part_subject ON sidestream.balance_part (subject_kind, subject, quantity, time);
-- What each node misses: what came in less what went out, was lost and is now in stock. NULL: not all of it is known.
CREATE TABLE sidestream.balance_node (
    balance text NOT NULL,
    node text NOT NULL,                       -- id of a node, or of a stream whose two ends are compared
    subject_kind text NOT NULL,               -- node | stream
    time timestamptz NOT NULL,
    step_s int NOT NULL,
    imbalance double precision,
    sd_random double precision,
    sd_systematic double precision,
    closes boolean,
    not_known jsonb NOT NULL,                 -- what at it is not measured
    PRIMARY KEY (balance, time, subject_kind, node)
);
-- Which lots came to a place in an interval.
CREATE INDEX lot_stay_place_from ON sidestream.lot_stay (place, from_at);

CREATE VIEW sidestream_v.balance AS
SELECT balance, time, step_s, redundancy, test, p_value, closes FROM sidestream.balance;
CREATE VIEW sidestream_v.balance_part AS
SELECT p.balance, p.subject_kind, p.subject, COALESCE(s.name, n.name, p.subject) AS name, p.quantity, p.time, p.step_s, p.measured,
       sidestream.root_sum_square(p.sd_random, p.sd_systematic) AS sd_measured, p.sd_random, p.sd_systematic, p.origin,
       p.completeness, p.missing, p.reconciled, p.sd, p.knowledge, p.adjustability, p.detectability, p.least_bias, p.test,
       p.at_fault, p.suspect, p.bias, p.bias_sd, p.power, p.alike, p.inputs
FROM sidestream.balance_part p
LEFT JOIN sidestream.stream s ON p.subject_kind = 'stream' AND s.id = p.subject
LEFT JOIN sidestream.node n ON p.subject_kind = 'node' AND n.id = p.subject;
CREATE VIEW sidestream_v.balance_node AS
SELECT b.balance, b.subject_kind, b.node, COALESCE(s.name, n.name, b.node) AS name, b.time, b.step_s, b.imbalance,
       sidestream.root_sum_square(b.sd_random, b.sd_systematic) AS sd, b.sd_random, b.sd_systematic, b.closes, b.not_known
FROM sidestream.balance_node b
LEFT JOIN sidestream.stream s ON b.subject_kind = 'stream' AND s.id = b.node
LEFT JOIN sidestream.node n ON b.subject_kind = 'node' AND n.id = b.node;
GRANT SELECT ON sidestream_v.balance, sidestream_v.balance_part, sidestream_v.balance_node TO sidestream_viewer;
