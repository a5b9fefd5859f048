-- What people say beside the numbers: shift notes; and findings, what the twin raises, with who acknowledged or shelved it.
-- Also the views that explaining a number down to its readings needs.
-- depends: 0012.underflow

-- Notes ----------------------------------------------------------------------------------------------------------------
-- A note is never edited and never deleted; a mistake is mended by another note. `subject` '' where it is about the hub.
CREATE TABLE sidestream.note (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject_kind text NOT NULL CHECK (subject_kind IN ('hub', 'node', 'stream', 'agreement', 'sensor')),
    subject text NOT NULL CHECK ((subject = '') = (subject_kind = 'hub')),
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,      -- not included; the same as from_at for an instant
    text text NOT NULL CHECK (btrim(text) <> ''),
    author text NOT NULL CHECK (btrim(author) <> ''),
    written_at timestamptz NOT NULL DEFAULT now(),
    CHECK (from_at <= to_at)
);
CREATE INDEX note_subject ON sidestream.note (subject_kind, subject, from_at);

-- Findings -------------------------------------------------------------------------------------------------------------
-- One row for each occurrence of a condition. A pass of the twin raises it when the condition holds, and lets it return to
-- normal once the condition has been away for the kind's delay; one that holds again after that is the next occurrence.
-- What a row says is what was so when it was raised; the number that `about` names tells how it is now.
CREATE TABLE sidestream.finding (
    kind text NOT NULL,              -- stock_overflow, sensor_stale …
    subject text NOT NULL,           -- what it is about; id, or id@day of a period
    occurrence int NOT NULL CHECK (occurrence > 0),
    subject_kind text NOT NULL,      -- stream | node | agreement | sensor
    subject_id text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('alarm', 'warning', 'note')),
    sentence text NOT NULL,
    remedy text NOT NULL,
    about text NOT NULL,             -- address of the number, for `sidestream twin explain`
    since_at timestamptz NOT NULL,   -- since when it is so, by the data
    raised_at timestamptz NOT NULL,  -- when the twin noticed
    away_at timestamptz,             -- the condition is away since then, but not yet long enough
    returned_at timestamptz,
    PRIMARY KEY (kind, subject, occurrence)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX finding_open ON sidestream.finding (kind, subject) WHERE returned_at IS NULL;

-- Who did what about a finding, after ISA-18.2: acknowledge (this occurrence was seen), shelve (not now: until `until_at`,
-- whatever occurrence), unshelve. Rows are only ever added.
CREATE TABLE sidestream.finding_action (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    occurrence int NOT NULL,
    action text NOT NULL CHECK (action IN ('acknowledge', 'shelve', 'unshelve')),
    until_at timestamptz,
    reason text,
    author text NOT NULL CHECK (btrim(author) <> ''),
    done_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (kind, subject, occurrence) REFERENCES sidestream.finding,
    CHECK ((action = 'shelve') = (until_at IS NOT NULL)),
    CHECK (action <> 'shelve' OR (btrim(reason) <> '' AND until_at > done_at))
);
CREATE INDEX finding_action_finding ON sidestream.finding_action (kind, subject, action_id DESC);

CREATE FUNCTION sidestream.keep_as_written() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % stay as they were written; add another one', TG_TABLE_NAME;
END $$;
CREATE TRIGGER keep_as_written BEFORE UPDATE OR DELETE ON sidestream.note
    FOR EACH ROW EXECUTE FUNCTION sidestream.keep_as_written();
CREATE TRIGGER keep_as_written BEFORE UPDATE OR DELETE ON sidestream.finding_action
    FOR EACH ROW EXECUTE FUNCTION sidestream.keep_as_written();

-- What stands beside the views -----------------------------------------------------------------------------------------
CREATE VIEW sidestream_v.note AS
SELECT note_id, subject_kind, subject, from_at, to_at, text, author, written_at FROM sidestream.note;

-- Conditions that are shelved now, whichever occurrence.
CREATE VIEW sidestream_v.shelved AS
SELECT kind, subject, until_at, reason, author, done_at FROM (
    SELECT DISTINCT ON (kind, subject) * FROM sidestream.finding_action WHERE action <> 'acknowledge'
    ORDER BY kind, subject, action_id DESC
) newest WHERE action = 'shelve' AND until_at > now();

-- `state`, after ISA-18.2: unacknowledged, acknowledged, shelved; returned (to normal, but nobody has acknowledged it yet),
-- normal (over and done with).
CREATE VIEW sidestream_v.finding AS
SELECT f.kind || '/' || f.subject || '#' || f.occurrence AS finding, f.kind, f.subject, f.occurrence, f.subject_kind, f.subject_id,
       CASE WHEN f.returned_at IS NOT NULL AND a.done_at IS NOT NULL THEN 'normal'
            WHEN s.until_at IS NOT NULL THEN 'shelved'
            WHEN f.returned_at IS NOT NULL THEN 'returned'
            WHEN a.done_at IS NOT NULL THEN 'acknowledged'
            ELSE 'unacknowledged' END AS state,
       f.severity, f.sentence, f.remedy, f.about, f.since_at, f.raised_at, f.returned_at,
       a.author AS acknowledged_by, a.done_at AS acknowledged_at, a.reason AS acknowledged_why,
       s.author AS shelved_by, s.until_at AS shelved_until, s.reason AS shelved_why
FROM sidestream.finding f
LEFT JOIN LATERAL (
    SELECT author, done_at, reason FROM sidestream.finding_action x
    WHERE x.kind = f.kind AND x.subject = f.subject AND x.occurrence = f.occurrence AND x.action = 'acknowledge'
    ORDER BY action_id LIMIT 1
) a ON true
LEFT JOIN sidestream_v.shelved s ON s.kind = f.kind AND s.subject = f.subject;

CREATE VIEW sidestream_v.finding_action AS
SELECT action_id, kind || '/' || subject || '#' || occurrence AS finding, kind, subject, occurrence, action, until_at, reason, author,
       done_at
FROM sidestream.finding_action;

-- Each version of hub.yaml that was applied, and since and until when it held.
CREATE VIEW sidestream_v.hub_version AS
SELECT version_id, hub, hash, applied_at, applied_by, lead(applied_at) OVER (ORDER BY version_id) AS replaced_at, content
FROM sidestream.hub_version;

-- What waits to be computed again.
CREATE VIEW sidestream_v.dirty AS
SELECT s.id AS sensor, d.sensor_id, d.from_at, d.to_at FROM sidestream.dirty d JOIN sidestream.sensor s USING (sensor_id);

-- What a stock's filter reads and remembers.
CREATE VIEW sidestream_v.stock_observation AS
SELECT node, sensor, time, mass_kg, sd_random, sd_systematic FROM sidestream.stock_observation;
CREATE VIEW sidestream_v.stock_checkpoint AS SELECT node, at, state FROM sidestream.stock_checkpoint;

CREATE OR REPLACE VIEW sidestream_v.lot_stay AS SELECT code, from_at, to_at, place, scans, left_at FROM sidestream.lot_stay;

-- As in migration 0007, and what the source said of its own value.
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
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END AS note,
       r.quality AS raw_quality
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
       CASE WHEN s.manual THEN (SELECT e.note FROM sidestream.manual_entry e WHERE e.frame_id = r.frame_id) END,
       r.quality
FROM sidestream.reading_recorded r JOIN sidestream.sensor s USING (sensor_id);

-- As in migration 0006, and which frame of its lane it was; NULL where the ledger is folded.
CREATE OR REPLACE VIEW sidestream_v.frame AS
SELECT f.device_id, d.id AS device, d.party, f.epoch, f.lane::text AS lane, f.frame_id AS frame_from, f.frame_id AS frame_to,
       f.received_at AS received_from, f.received_at AS received_to, f.sent_at, f.clock_sync::text AS clock_sync,
       1::bigint AS frames, f.readings::bigint AS readings, false AS folded, f.seq
FROM sidestream.frame f JOIN sidestream.device d USING (device_id)
UNION ALL
SELECT o.device_id, d.id, d.party, o.epoch, o.lane::text, o.frame_from, o.frame_to, o.received_from, o.received_to, NULL,
       CASE o.unsynced WHEN 0 THEN 's' ELSE '?' END, o.frames, o.readings, true, NULL
FROM sidestream.frame_fold o JOIN sidestream.device d USING (device_id);

-- As in migration 0009; `origin_rank`: place of the least trusted step's origin, from 1 (measured) to 6 (agreed).
CREATE OR REPLACE VIEW sidestream_v.twin_sum AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted, origin_rank
FROM sidestream.twin_sum;
CREATE OR REPLACE VIEW sidestream_v.twin_sum_1h AS
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank <= 3 AS trusted, origin_rank
FROM sidestream.twin_sum_1h;

-- Every judgement that was ever published, in SI (J or kg); `superseded_at` NULL: in force.
CREATE VIEW sidestream_v.agreement_judgement AS
SELECT agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random, sd_systematic, origin, completeness,
       status, reason, reason_numbers, computed_at, revision, known_at, NULL::timestamptz AS superseded_at
FROM sidestream.agreement_status
UNION ALL
SELECT agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random, sd_systematic, origin, completeness,
       status, reason, reason_numbers, computed_at, revision, known_at, superseded_at
FROM sidestream.agreement_status_history;

GRANT SELECT ON sidestream_v.note, sidestream_v.shelved, sidestream_v.finding, sidestream_v.finding_action,
    sidestream_v.hub_version, sidestream_v.dirty, sidestream_v.agreement_judgement,
    sidestream_v.stock_observation, sidestream_v.stock_checkpoint
    TO sidestream_viewer;
