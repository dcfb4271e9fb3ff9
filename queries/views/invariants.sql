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
-- Each table is read once for all laws.
laws AS (
    SELECT unnest([
        named_struct('name', 'entries = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(d.entries AS DOUBLE)),
        named_struct('name', 'exits = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(d.exits AS DOUBLE)),
        named_struct('name', 'terminal exits + drop-offs = exits', 'expected', CAST(d.exits AS DOUBLE), 'actual', CAST(d.split_exits AS DOUBLE)),
        named_struct('name', 'views = steps', 'expected', CAST(s.steps AS DOUBLE), 'actual', CAST(d.views AS DOUBLE)),
        named_struct('name', 'hits = events', 'expected', CAST(s.events AS DOUBLE), 'actual', CAST(d.hits AS DOUBLE)),
        named_struct('name', 'bounces of pages = bounces of sessions', 'expected', CAST(s.bounces AS DOUBLE), 'actual', CAST(d.bounces AS DOUBLE)),
        named_struct('name', 'moves from START = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(t.starts AS DOUBLE)),
        named_struct('name', 'moves to EXIT = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(t.exits AS DOUBLE)),
        named_struct('name', 'moves = steps + sessions', 'expected', CAST(s.steps + s.sessions AS DOUBLE), 'actual', CAST(t.moves AS DOUBLE)),
        named_struct('name', 'probabilities of a step sum to 1', 'expected', CAST(t.from_steps AS DOUBLE), 'actual', CAST(t.probability AS DOUBLE)),
        named_struct('name', 'sessions of paths = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(p.sessions AS DOUBLE)),
        named_struct('name', 'shares of paths sum to 1', 'expected', CAST(CASE WHEN s.sessions = 0 THEN 0 ELSE 1 END AS DOUBLE), 'actual', CAST(p.share AS DOUBLE)),
        named_struct('name', 'known + unknown dwells = visits', 'expected', CAST(v.visits AS DOUBLE), 'actual', CAST(w.visits AS DOUBLE)),
        named_struct('name', 'flows in = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(f.starts AS DOUBLE)),
        named_struct('name', 'flows out = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(f.ends AS DOUBLE)),
        named_struct('name', 'lines = stored + quarantined + dropped + duplicates', 'expected', CAST(c.lines AS DOUBLE), 'actual', CAST(c.kept AS DOUBLE))
    ]) AS law
    FROM s, d, t, p, w, v, f, c
)
SELECT
    law['name'] AS name,
    law['expected'] AS expected,
    law['actual'] AS actual,
    abs(law['expected'] - law['actual']) <= 1e-6 * greatest(1.0, abs(law['expected'])) AS ok
FROM laws
ORDER BY name
