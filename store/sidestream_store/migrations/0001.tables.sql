-- Tables of one hub's database. Numbers in `reading` are in the sensor's own unit; `sensor` carries the map to SI.
-- Raw rows are never changed. Dashboards, web and twin read the views of schema sidestream_v only.
-- depends:

CREATE SCHEMA sidestream;
CREATE SCHEMA sidestream_v;

-- The hub, as last applied from hub.yaml ------------------------------------------------------------------------------
CREATE TABLE sidestream.hub_version (
    version_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hub text NOT NULL,
    hash text NOT NULL,
    content jsonb NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text NOT NULL DEFAULT session_user
);
CREATE TABLE sidestream.hub (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id text NOT NULL,
    name text NOT NULL,
    timezone text NOT NULL,
    synthetic boolean NOT NULL,
    step_s int NOT NULL,
    late_s double precision NOT NULL,
    early_s double precision NOT NULL,
    version_id int NOT NULL REFERENCES sidestream.hub_version
);
CREATE TABLE sidestream.party (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE sidestream.material (id text PRIMARY KEY, name text NOT NULL, phase text NOT NULL, ewc text, aliases jsonb NOT NULL);
CREATE TABLE sidestream.node (
    id text PRIMARY KEY,
    party text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    material text,
    min_kg double precision,
    max_kg double precision,
    start_kg double precision,
    start_sd_kg double precision,
    start_at timestamptz
);
CREATE TABLE sidestream.stream (
    id text PRIMARY KEY,
    name text NOT NULL,
    source text NOT NULL,
    target text NOT NULL,
    material text NOT NULL,
    meter_position text NOT NULL,
    pressure_pa double precision NOT NULL
);
CREATE TABLE sidestream.stream_stage (
    stream text NOT NULL,
    since date NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (stream, since)
);
-- Devices and sensors keep their number for ever: one that is not (any longer) in hub.yaml has `removed_at`, its history
-- stays. A device that publishes without being in hub.yaml gets such a row, so that its frames can be acknowledged.
CREATE TABLE sidestream.device (
    device_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    removed_at timestamptz,
    UNIQUE (party, id)
);
CREATE TABLE sidestream.sensor (
    sensor_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    device_id int NOT NULL REFERENCES sidestream.device,
    name text NOT NULL,
    quantity text NOT NULL,
    unit text NOT NULL,
    si_unit text NOT NULL,
    si_factor double precision NOT NULL,
    si_offset double precision NOT NULL,
    role text NOT NULL,
    stream text,
    node text,
    limit_pct double precision NOT NULL,
    limit_abs double precision NOT NULL,
    random_pct double precision NOT NULL,
    random_abs double precision NOT NULL,
    range_low double precision,
    range_high double precision,
    period_s double precision,
    removed_at timestamptz
);
CREATE TABLE sidestream.lot_type (
    id text PRIMARY KEY, name text NOT NULL, prefix text NOT NULL, material text NOT NULL,
    mass_kg double precision NOT NULL, sd_kg double precision NOT NULL
);
CREATE TABLE sidestream.tag (code text PRIMARY KEY, place text NOT NULL);
CREATE TABLE sidestream.agreement (
    id text PRIMARY KEY,
    name text NOT NULL,
    stream text NOT NULL,
    supplier text NOT NULL,
    receiver text NOT NULL,
    amount double precision NOT NULL,
    unit text NOT NULL,
    quantity text NOT NULL,
    si_factor double precision NOT NULL,
    period text NOT NULL,
    tolerance_pct double precision NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    disclosure text NOT NULL
);

-- Delivery: the ledger that makes a frame applied once ----------------------------------------------------------------
CREATE TABLE sidestream.frame (
    frame_id bigint GENERATED ALWAYS AS IDENTITY,
    device_id int NOT NULL,
    epoch uuid NOT NULL,
    lane "char" NOT NULL,      -- s scan, l live, b bulk
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    kind text NOT NULL,
    recorded boolean NOT NULL,
    readings int NOT NULL,
    received_at timestamptz NOT NULL,
    extra jsonb,               -- fields of a newer edge that this version does not know
    PRIMARY KEY (device_id, epoch, lane, seq)
);
-- Everything up to `upto` is in the ledger; computing an acknowledgement starts here instead of at 1.
CREATE TABLE sidestream.frame_mark (
    device_id int NOT NULL,
    epoch uuid NOT NULL,
    lane "char" NOT NULL,
    upto bigint NOT NULL,
    PRIMARY KEY (device_id, epoch, lane)
);
CREATE TABLE sidestream.device_status (
    device_id int PRIMARY KEY,
    state text NOT NULL,
    epoch text NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    body jsonb NOT NULL
);
CREATE TABLE sidestream.quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device text NOT NULL,      -- hub/party/device as the topic says; '' where even that can't be read
    reason text NOT NULL,
    hash text NOT NULL,
    detail text NOT NULL,
    sensor text,
    topic text NOT NULL,
    properties jsonb NOT NULL,
    raw bytea NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    count bigint NOT NULL,     -- how often it came
    readings bigint NOT NULL,  -- how many readings could not be used
    state text NOT NULL DEFAULT 'open',
    UNIQUE (device, reason, hash)
);

-- Telemetry -----------------------------------------------------------------------------------------------------------
-- Live readings: hypertable where Timescale is there, native weekly partitions else. No unique index, no foreign key,
-- no trigger on it: the ledger alone prevents doubles, and ingest refuses to start if one exists.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        CREATE TABLE sidestream.reading (
            time timestamptz NOT NULL, sensor_id int NOT NULL, value double precision, quality smallint NOT NULL,
            frame_id bigint NOT NULL
        );
        PERFORM create_hypertable('sidestream.reading', 'time',
            chunk_time_interval => interval '1 day', create_default_indexes => false);
        CREATE INDEX reading_sensor_time ON sidestream.reading (sensor_id, time DESC);
        ALTER TABLE sidestream.reading SET (timescaledb.compress,
            timescaledb.compress_segmentby = 'sensor_id', timescaledb.compress_orderby = 'time');
        PERFORM add_compression_policy('sidestream.reading', interval '2 days');
    ELSE
        CREATE TABLE sidestream.reading (
            time timestamptz NOT NULL, sensor_id int NOT NULL, value double precision, quality smallint NOT NULL,
            frame_id bigint NOT NULL
        ) PARTITION BY RANGE (time);
        CREATE INDEX reading_time ON sidestream.reading USING brin (time) WITH (pages_per_range = 32, autosummarize = on);
    END IF;
END $$;

-- Readings of recorded files: any time in history, no retention, never in latency figures.
CREATE TABLE sidestream.reading_recorded (
    time timestamptz NOT NULL, sensor_id int NOT NULL, value double precision, quality smallint NOT NULL,
    frame_id bigint NOT NULL
);
CREATE INDEX reading_recorded_sensor_time ON sidestream.reading_recorded (sensor_id, time);

CREATE TABLE sidestream.scan (
    time timestamptz NOT NULL, sensor_id int NOT NULL, code text NOT NULL, rssi real, quality smallint NOT NULL,
    recorded boolean NOT NULL, frame_id bigint NOT NULL
);
CREATE INDEX scan_code_time ON sidestream.scan (code, time);
CREATE INDEX scan_time ON sidestream.scan USING brin (time);

CREATE TABLE sidestream.latest (
    sensor_id int PRIMARY KEY,
    time timestamptz NOT NULL,
    value double precision,
    code text,
    quality smallint NOT NULL,
    recorded boolean NOT NULL,
    received_at timestamptz NOT NULL,
    frame_id bigint NOT NULL
) WITH (fillfactor = 50);

-- What changed and is not yet recomputed. No watermark: a 60-day-old reading makes a 60-day-old row here.
CREATE TABLE sidestream.dirty (
    dirty_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sensor_id int NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL
);

-- Roll-ups, in the sensor's unit; only readings with a value and quality good or uncertain count ------------------------
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rollup_1m', 'rollup_1h', 'rollup_1d'] LOOP
        EXECUTE format('CREATE TABLE sidestream.%I (
            sensor_id int NOT NULL,
            bucket timestamptz NOT NULL,
            n bigint NOT NULL,
            bad bigint NOT NULL,
            mean double precision,
            low double precision,
            high double precision,
            first double precision,
            first_at timestamptz,
            last double precision,
            last_at timestamptz,
            known_at timestamptz NOT NULL,
            PRIMARY KEY (sensor_id, bucket)
        )', name);
    END LOOP;
END $$;

-- The twin -----------------------------------------------------------------------------------------------------------
-- One row per subject, quantity and step, SI. `time` is the step's start; a stock's value is that at the step's end.
CREATE TABLE sidestream.twin_value (
    subject_kind text NOT NULL,   -- stream | node
    subject text NOT NULL,
    quantity text NOT NULL,       -- heat_flow W | mass_flow kg/s | stock_mass kg | register_heat_flow W
    time timestamptz NOT NULL,
    step_s int NOT NULL,
    value double precision,       -- NULL where nothing is known
    sd_random double precision,
    sd_systematic double precision,
    origin text NOT NULL,         -- measured | reconciled | estimated | forecast | agreed | manual
    completeness double precision NOT NULL,
    n bigint NOT NULL,
    inputs jsonb NOT NULL,        -- sensor ids and configuration version
    flags jsonb NOT NULL DEFAULT '[]',
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (subject_kind, subject, quantity, time)
);
CREATE TABLE sidestream.twin_latest (
    subject_kind text NOT NULL,
    subject text NOT NULL,
    quantity text NOT NULL,
    time timestamptz NOT NULL,
    step_s int NOT NULL,
    value double precision,
    sd_random double precision,
    sd_systematic double precision,
    origin text NOT NULL,
    completeness double precision NOT NULL,
    inputs jsonb NOT NULL,
    flags jsonb NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (subject_kind, subject, quantity)
);
CREATE TABLE sidestream.lot (
    code text PRIMARY KEY,
    lot_type text,
    place text,                   -- node id; NULL = place unknown
    since_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    scans bigint NOT NULL,
    computed_at timestamptz NOT NULL
);
CREATE INDEX lot_place ON sidestream.lot (place);
CREATE TABLE sidestream.lot_stay (
    code text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    place text,
    scans bigint NOT NULL,
    PRIMARY KEY (code, from_at)
);
CREATE TABLE sidestream.agreement_status (
    agreement text NOT NULL,
    period_from timestamptz NOT NULL,
    period_to timestamptz NOT NULL,
    agreed double precision NOT NULL,       -- SI: J or kg
    expected_so_far double precision NOT NULL,
    delivered double precision,
    sd_random double precision,
    sd_systematic double precision,
    origin text NOT NULL,
    completeness double precision NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    reason_numbers jsonb NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (agreement, period_from)
);
