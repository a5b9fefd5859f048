-- The ledger keeps what it holds as ranges, folds old rows into them, and notes what an edge says of its clock. ADR 0006.
-- depends: 0005.twin_state

-- When the edge sent the frame by its own clock, and whether that clock follows a time server: s synced, u not, ? not said.
ALTER TABLE sidestream.frame ADD COLUMN sent_at timestamptz, ADD COLUMN clock_sync "char" NOT NULL DEFAULT '?';
-- Finds the frame of a reading; frame ids grow with the table, so this costs next to nothing.
CREATE INDEX frame_id ON sidestream.frame USING brin (frame_id) WITH (pages_per_range = 16, autosummarize = on);

-- `held`: every seq that is known to be committed, also those whose row in the ledger is folded. Acknowledgements are
-- answered from it. It may lag behind the ledger, never run ahead of it.
ALTER TABLE sidestream.frame_mark ADD COLUMN held int8multirange NOT NULL DEFAULT '{}';
UPDATE sidestream.frame_mark SET held = int8multirange(int8range(1, upto, '[]')) WHERE upto > 0;
INSERT INTO sidestream.frame_mark AS m (device_id, epoch, lane, upto, held)
SELECT device_id, epoch, lane, 0, range_agg(int8range(seq, seq, '[]')) FROM sidestream.frame GROUP BY device_id, epoch, lane
ON CONFLICT (device_id, epoch, lane) DO UPDATE SET held = m.held + excluded.held;
ALTER TABLE sidestream.frame_mark DROP COLUMN upto;
ALTER TABLE sidestream.frame_mark SET (fillfactor = 50);  -- each acknowledgement updates its row in place

-- What is left of folded rows: one row for a lane's frames of one hour of arrival. A reading whose `frame_id` lies between
-- `frame_from` and `frame_to`, from a sensor of this device, arrived between `received_from` and `received_to`.
CREATE TABLE sidestream.frame_fold (
    device_id int NOT NULL,
    epoch uuid NOT NULL,
    lane "char" NOT NULL,
    hour timestamptz NOT NULL,
    frame_from bigint NOT NULL,
    frame_to bigint NOT NULL,
    frames bigint NOT NULL,
    unsynced bigint NOT NULL,       -- frames of a clock that was not said to be synced
    readings bigint NOT NULL,
    received_from timestamptz NOT NULL,
    received_to timestamptz NOT NULL,
    PRIMARY KEY (device_id, epoch, lane, hour)
);
CREATE INDEX frame_fold_frame_to ON sidestream.frame_fold (frame_to);

-- Moves up to `most` ledger rows that came before `older_than` into `held` and `frame_fold`; gives how many. Call it until
-- it gives fewer than `most`. Rows with fields that this version doesn't know (`extra`) stay.
-- Apply-once holds the same lock shared: a frame must not be looked for in `held` before, and in `frame` after, it moved.
CREATE FUNCTION sidestream.fold_ledger(older_than timestamptz, most int) RETURNS bigint
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1566965766);
    WITH old AS MATERIALIZED (
        SELECT f.* FROM sidestream.device d
        CROSS JOIN LATERAL (
            SELECT device_id, epoch, lane, seq FROM sidestream.frame
            WHERE device_id = d.device_id AND received_at < older_than AND extra IS NULL ORDER BY received_at LIMIT most
        ) f LIMIT most
    ), gone AS (
        DELETE FROM sidestream.frame f USING old o
        WHERE (f.device_id, f.epoch, f.lane, f.seq) = (o.device_id, o.epoch, o.lane, o.seq)
        RETURNING f.*
    ), marked AS (
        INSERT INTO sidestream.frame_mark AS m (device_id, epoch, lane, held)
        SELECT device_id, epoch, lane, range_agg(int8range(seq, seq, '[]')) FROM gone
        GROUP BY device_id, epoch, lane ORDER BY device_id, epoch, lane
        ON CONFLICT (device_id, epoch, lane) DO UPDATE SET held = m.held + excluded.held
    ), kept AS (
        INSERT INTO sidestream.frame_fold AS o
        SELECT device_id, epoch, lane, date_trunc('hour', received_at), min(frame_id), max(frame_id), count(*),
               count(*) FILTER (WHERE clock_sync <> 's'), sum(readings), min(received_at), max(received_at)
        FROM gone GROUP BY device_id, epoch, lane, date_trunc('hour', received_at)
        ON CONFLICT (device_id, epoch, lane, hour) DO UPDATE SET
            frame_from = LEAST(o.frame_from, excluded.frame_from), frame_to = GREATEST(o.frame_to, excluded.frame_to),
            frames = o.frames + excluded.frames, unsynced = o.unsynced + excluded.unsynced,
            readings = o.readings + excluded.readings,
            received_from = LEAST(o.received_from, excluded.received_from),
            received_to = GREATEST(o.received_to, excluded.received_to)
    )
    SELECT count(*) INTO moved FROM gone;
    RETURN moved;
END $$;

-- Where a reading came from: `WHERE frame_from <= reading.frame_id AND frame_to >= reading.frame_id AND device_id = …`.
-- One row for a frame of the ledger, one for an hour of a lane that is folded.
CREATE VIEW sidestream_v.frame AS
SELECT f.device_id, d.id AS device, d.party, f.epoch, f.lane::text AS lane, f.frame_id AS frame_from, f.frame_id AS frame_to,
       f.received_at AS received_from, f.received_at AS received_to, f.sent_at, f.clock_sync::text AS clock_sync,
       1::bigint AS frames, f.readings::bigint AS readings, false AS folded
FROM sidestream.frame f JOIN sidestream.device d USING (device_id)
UNION ALL
SELECT o.device_id, d.id, d.party, o.epoch, o.lane::text, o.frame_from, o.frame_to, o.received_from, o.received_to, NULL,
       CASE o.unsynced WHEN 0 THEN 's' ELSE '?' END, o.frames, o.readings, true
FROM sidestream.frame_fold o JOIN sidestream.device d USING (device_id);

-- How far a device's clock is off, from its frames of the last hour: what passes between sending and arrival is never
-- negative, so hub clock minus device clock is at most `least_s`; far below 0 it means that the device's clock is ahead.
CREATE VIEW sidestream_v.device_clock AS
SELECT d.device_id, d.id AS device, d.party, c.frames, c.least_s, c.most_s, c.synced_share, c.last_at
FROM sidestream.device d
CROSS JOIN LATERAL (
    SELECT count(*) AS frames, min(extract(epoch FROM received_at - sent_at))::float8 AS least_s,
           max(extract(epoch FROM received_at - sent_at))::float8 AS most_s,
           avg((clock_sync = 's')::int)::float8 AS synced_share, max(received_at) AS last_at
    FROM sidestream.frame f
    WHERE f.device_id = d.device_id AND f.received_at > now() - interval '1 hour' AND f.sent_at IS NOT NULL
) c
WHERE d.removed_at IS NULL AND c.frames > 0;

GRANT SELECT ON sidestream_v.frame, sidestream_v.device_clock TO sidestream_viewer;
