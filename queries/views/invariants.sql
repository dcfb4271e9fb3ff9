-- The laws that every number here must keep; a row with ok = false is a bug.
-- columns:
--   name text, the law
--   expected double null, one side of it
--   actual double null, the other side
--   ok boolean, whether they are equal
WITH s AS (
    SELECT count(*) AS sessions, coalesce(sum(events), 0) AS events, coalesce(sum(depth), 0) AS steps,
        count(*) FILTER (WHERE is_bounce) AS bounces
    FROM sessions
),
d AS (
    SELECT coalesce(sum(entries), 0) AS entries, coalesce(sum(exits), 0) AS exits, coalesce(sum(views), 0) AS views,
        coalesce(sum(hits), 0) AS hits, coalesce(sum(bounces), 0) AS bounces,
        coalesce(sum(terminal_exits + drop_offs), 0) AS split_exits
    FROM drop_offs
),
t AS (
    SELECT
        coalesce(sum(transitions) FILTER (WHERE from_step = 'START'), 0) AS starts,
        coalesce(sum(transitions) FILTER (WHERE to_step = 'EXIT'), 0) AS exits,
        coalesce(sum(transitions), 0) AS moves,
        coalesce(sum(probability), 0) AS probability,
        count(DISTINCT from_step) AS from_steps
    FROM transitions
),
p AS (SELECT coalesce(sum(sessions), 0) AS sessions, coalesce(sum(share), 0) AS share FROM top_paths),
w AS (SELECT coalesce(sum(n + unknown), 0) AS visits FROM dwell),
v AS (SELECT count(*) AS visits FROM steps WHERE is_view),
f AS (
    SELECT
        coalesce(sum(sessions) FILTER (WHERE position = 0), 0) AS starts,
        coalesce(sum(sessions) FILTER (WHERE to_step IN ('EXIT', 'Later')), 0) AS ends
    FROM flows
),
c AS (
    SELECT coalesce(sum(lines), 0) AS lines, coalesce(sum(stored + quarantined + dropped + duplicates), 0) AS kept
    FROM source_rows
),
laws AS (
    SELECT 'entries = sessions' AS name, CAST(s.sessions AS DOUBLE) AS expected, CAST(d.entries AS DOUBLE) AS actual FROM s, d
    UNION ALL SELECT 'exits = sessions', s.sessions AS expected, d.exits AS actual FROM s, d
    UNION ALL SELECT 'terminal exits + drop-offs = exits', d.exits AS expected, d.split_exits AS actual FROM d
    UNION ALL SELECT 'views = steps', s.steps AS expected, d.views AS actual FROM s, d
    UNION ALL SELECT 'hits = events', s.events AS expected, d.hits AS actual FROM s, d
    UNION ALL SELECT 'bounces of pages = bounces of sessions', s.bounces AS expected, d.bounces AS actual FROM s, d
    UNION ALL SELECT 'moves from START = sessions', s.sessions AS expected, t.starts AS actual FROM s, t
    UNION ALL SELECT 'moves to EXIT = sessions', s.sessions AS expected, t.exits AS actual FROM s, t
    UNION ALL SELECT 'moves = steps + sessions', s.steps + s.sessions AS expected, t.moves AS actual FROM s, t
    UNION ALL SELECT 'probabilities of a step sum to 1', t.from_steps AS expected, t.probability AS actual FROM t
    UNION ALL SELECT 'sessions of paths = sessions', s.sessions AS expected, p.sessions AS actual FROM s, p
    UNION ALL SELECT 'shares of paths sum to 1', CASE WHEN s.sessions = 0 THEN 0 ELSE 1 END AS expected, p.share AS actual FROM s, p
    UNION ALL SELECT 'known + unknown dwells = visits', v.visits AS expected, w.visits AS actual FROM v, w
    UNION ALL SELECT 'flows in = sessions', s.sessions AS expected, f.starts AS actual FROM s, f
    UNION ALL SELECT 'flows out = sessions', s.sessions AS expected, f.ends AS actual FROM s, f
    UNION ALL SELECT 'lines = stored + quarantined + dropped + duplicates', c.lines AS expected, c.kept AS actual FROM c
)
SELECT name, expected, actual, abs(expected - actual) <= 1e-6 * greatest(1.0, abs(expected)) AS ok
FROM laws
ORDER BY name
