-- Who works on this database now, and how far its storage reaches: what `sidestream status` reads.
-- depends: 0005.twin_state

-- One row for each process that works on the database, written by itself every `every_s`. It takes its row away when it
-- ends in good order; the row of one that was killed stays for an hour, so that its silence is seen.
CREATE TABLE sidestream.worker (
    worker text PRIMARY KEY,
    kind text NOT NULL,           -- ingest | flows
    host text NOT NULL,
    pid int NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    every_s double precision NOT NULL,
    figures jsonb NOT NULL        -- what this kind of worker tells of itself; see docs/metrics.md
) WITH (fillfactor = 50);

CREATE VIEW sidestream_v.worker AS
SELECT worker, kind, host, pid, version, started_at, seen_at, every_s, figures,
       GREATEST(extract(epoch FROM clock_timestamp() - seen_at), 0)::double precision AS silent_s,
       seen_at > clock_timestamp() - make_interval(secs => 3 * every_s + 5) AS alive
FROM sidestream.worker;

-- `partitions_until`: live readings up to then have a partition; NULL with Timescale, which makes chunks by itself.
-- `dirty_ranges` counts to 100 000 at most, so that asking costs nothing when the backlog is great.
CREATE VIEW sidestream_v.storage AS
SELECT CASE WHEN c.relkind = 'p' THEN 'plain' ELSE 'timescale' END AS profile,
       pg_database_size(current_database()) AS database_bytes,
       CASE WHEN c.relkind = 'p' THEN (
           SELECT max(substring(pg_get_expr(part.relpartbound, part.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz)
           FROM pg_inherits i JOIN pg_class part ON part.oid = i.inhrelid WHERE i.inhparent = c.oid
       ) END AS partitions_until,
       (SELECT count(*) FROM (SELECT FROM sidestream.dirty LIMIT 100000) d) AS dirty_ranges
FROM pg_class c WHERE c.oid = 'sidestream.reading'::regclass;

GRANT SELECT ON sidestream_v.worker, sidestream_v.storage TO sidestream_viewer;
