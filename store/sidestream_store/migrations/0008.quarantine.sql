-- Quarantine as a workflow: what was done about each entry, by whom, and what is only counted. Units as the edge sends them.
-- depends: 0005.twin_state

-- An entry ends `replayed` or `discarded`; what comes later under the same key is a new entry.
ALTER TABLE sidestream.quarantine DROP CONSTRAINT quarantine_device_reason_hash_key;
ALTER TABLE sidestream.quarantine
    ADD COLUMN counted_only boolean NOT NULL DEFAULT false,  -- stands for messages of which no bytes are kept
    ADD COLUMN raw_bytes int,                                -- length of the message, where `raw` is only its beginning
    ADD COLUMN from_id bigint,                               -- the entry that this one was left over from when it was replayed
    ADD COLUMN replayed_readings bigint NOT NULL DEFAULT 0,
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN closed_by text,
    ADD COLUMN closed_why text,
    ADD CONSTRAINT quarantine_state CHECK (state IN ('open', 'replayed', 'discarded'));
UPDATE sidestream.quarantine SET counted_only = true, raw = '', hash = 'counted', detail = 'Only counted.' WHERE hash = 'further';
CREATE UNIQUE INDEX quarantine_open ON sidestream.quarantine (device, reason, hash) WHERE state = 'open';
CREATE INDEX quarantine_kept ON sidestream.quarantine (device, reason, state, quarantine_id);
CREATE INDEX quarantine_closed ON sidestream.quarantine (closed_at) WHERE state <> 'open';

-- Every step that somebody took, for ever: entries age out, this does not.
CREATE TABLE sidestream.quarantine_action (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    author text NOT NULL,
    action text NOT NULL CHECK (action IN ('mend', 'replay', 'discard')),
    quarantine_id bigint NOT NULL,
    device text NOT NULL,
    reason text NOT NULL,
    readings bigint NOT NULL,  -- how many readings became usable
    outcome text NOT NULL      -- what happened, in words; for a discard, why
);
CREATE INDEX quarantine_action_entry ON sidestream.quarantine_action (quarantine_id);

-- What the edge sends where that is not `unit`: stored value = sent value * sent_factor + sent_offset.
ALTER TABLE sidestream.sensor
    ADD COLUMN sent_unit text,
    ADD COLUMN sent_factor double precision NOT NULL DEFAULT 1,
    ADD COLUMN sent_offset double precision NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW sidestream_v.quarantine AS
SELECT quarantine_id, device, reason, detail, sensor, topic, first_at, last_at, count, readings, state,
       COALESCE(raw_bytes, length(raw)) AS raw_bytes, left(encode(raw, 'escape'), 4000) AS raw_text,
       counted_only, length(raw) < COALESCE(raw_bytes, length(raw)) AS cut, properties, from_id, replayed_readings,
       closed_at, closed_by, closed_why
FROM sidestream.quarantine;

CREATE VIEW sidestream_v.quarantine_raw AS SELECT quarantine_id, raw FROM sidestream.quarantine;

-- One row for each device, reason and state. `counted_*` is the part of it of which no bytes are kept.
CREATE VIEW sidestream_v.quarantine_group AS
SELECT device, reason, state, count(*) FILTER (WHERE NOT counted_only) AS entries,
       sum(count)::bigint AS messages, sum(readings)::bigint AS readings,
       COALESCE(sum(count) FILTER (WHERE counted_only), 0)::bigint AS counted_messages,
       COALESCE(sum(readings) FILTER (WHERE counted_only), 0)::bigint AS counted_readings,
       count(DISTINCT sensor) AS sensors, min(sensor) AS a_sensor,
       min(first_at) AS first_at, max(last_at) AS last_at,
       (array_agg(quarantine_id ORDER BY counted_only, last_at DESC, quarantine_id DESC))[1] AS newest_id
FROM sidestream.quarantine GROUP BY device, reason, state;

CREATE VIEW sidestream_v.quarantine_action AS
SELECT action_id, at, author, action, quarantine_id, device, reason, readings, outcome FROM sidestream.quarantine_action;

-- What each device told of its sensors in its newest status; also devices that are not in hub.yaml.
CREATE VIEW sidestream_v.announced_sensor AS
SELECT d.party, d.id AS device, e ->> 'id' AS sensor, e ->> 'driver' AS driver, e ->> 'unit' AS unit, e ->> 'quantity' AS quantity,
       x.received_at
FROM sidestream.device_status x
JOIN sidestream.device d USING (device_id)
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(x.body -> 'sensors') WHEN 'array' THEN x.body -> 'sensors' ELSE '[]' END
) e;

-- In which unit each sensor is stored, sent (as hub.yaml says) and announced (as its edge says).
CREATE VIEW sidestream_v.sensor_unit AS
SELECT s.id AS sensor, d.id AS device, s.unit, COALESCE(s.sent_unit, s.unit) AS sent_unit, s.sent_factor, s.sent_offset,
       s.sent_unit IS NOT NULL AS converted,
       (SELECT min(a.unit) FROM sidestream_v.announced_sensor a
        WHERE a.party = d.party AND a.device = d.id AND a.sensor = s.id) AS announced_unit
FROM sidestream.sensor s
JOIN sidestream.device d USING (device_id)
WHERE s.removed_at IS NULL;

GRANT SELECT ON sidestream_v.quarantine_raw, sidestream_v.quarantine_group, sidestream_v.quarantine_action,
    sidestream_v.announced_sensor, sidestream_v.sensor_unit TO sidestream_viewer;
