-- The newest forecast and the newest belief of each stock by the primary key, however much history there is.
-- depends: 0016.forecast 0017.notes

-- As in migration 0016. DISTINCT ON read every forecast ever issued, 17 520 a stock and year, each time a page was shown.
CREATE OR REPLACE VIEW sidestream_v.stock_forecast AS
SELECT f.*, n.name, n.party, f.issued_at < now() - make_interval(secs => GREATEST(900, 3 * h.step_s)) AS stale
FROM sidestream.node n CROSS JOIN sidestream.hub h CROSS JOIN unnest(ARRAY['overflow', 'run_dry']) AS e (event)
CROSS JOIN LATERAL (
    SELECT * FROM sidestream.stock_forecast x WHERE x.node = n.id AND x.event = e.event ORDER BY x.issued_at DESC LIMIT 1
) f;

-- As in migration 0016, of the nodes that the hub has.
CREATE OR REPLACE VIEW sidestream_v.stock_bias AS
SELECT c.node, s.source, (c.state -> 'biases' ->> (s.place - 1)::int)::double precision AS bias,
       sqrt(GREATEST((c.state -> 'covariance' -> s.place::int ->> s.place::int)::double precision, 0)) AS sd, c.at
FROM sidestream.node n
CROSS JOIN LATERAL (
    SELECT node, at, state FROM sidestream.stock_checkpoint x WHERE x.node = n.id ORDER BY x.at DESC LIMIT 1
) c
CROSS JOIN LATERAL jsonb_array_elements_text(COALESCE(c.state -> 'sources', '[]')) WITH ORDINALITY AS s (source, place)
WHERE s.source NOT LIKE 'unseen:%';
