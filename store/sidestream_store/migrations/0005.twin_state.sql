-- What the twin remembers between passes, so that a pass costs what changed and not what there is.
-- depends: 0001.tables 0003.views 0004.rollups

-- Which hub version the figures were computed with; another one makes stocks start anew and clears what was removed.
CREATE TABLE sidestream.twin_mark (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    version_id int NOT NULL
);

-- A stock's mass as its sensors show it at the END of the step that begins at `time`, SI; what the filter is corrected by.
CREATE TABLE sidestream.stock_observation (
    node text NOT NULL,
    sensor text NOT NULL,
    time timestamptz NOT NULL,
    mass_kg double precision NOT NULL,
    sd_random double precision NOT NULL,
    sd_systematic double precision NOT NULL,
    PRIMARY KEY (node, sensor, time)
);

-- The filter's whole memory at `at`. The newest row of a node says how far its stock is computed: late data deletes the
-- rows after it, and the next passes go on from what is left.
CREATE TABLE sidestream.stock_checkpoint (
    node text NOT NULL,
    at timestamptz NOT NULL,
    state jsonb NOT NULL,
    PRIMARY KEY (node, at)
);

-- Flows added up per quarter of an hour (or per step, where that is longer), so that a year's agreement adds 35 040 rows
-- and not three million. J or kg. Quarters fit every time zone's midnight. `origin_rank`: the least trusted of its steps.
CREATE TABLE sidestream.twin_sum (
    subject text NOT NULL,
    quantity text NOT NULL,
    bucket timestamptz NOT NULL,
    total double precision NOT NULL,
    variance_random double precision NOT NULL,
    sd_systematic double precision NOT NULL,
    seen_s double precision NOT NULL,
    origin_rank int NOT NULL,
    PRIMARY KEY (subject, quantity, bucket)
);

-- When the lot was first read elsewhere; NULL: it is still there as far as anyone knows.
ALTER TABLE sidestream.lot_stay ADD COLUMN left_at timestamptz;
CREATE INDEX lot_stay_place ON sidestream.lot_stay (place, left_at);
