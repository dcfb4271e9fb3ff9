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
-- What comes to each step, and what leaves it; as text, since codes of one batch say nothing in another.
moves AS (
    SELECT from_step, to_step, transitions, probability, unnest([true, false]) AS comes FROM transitions
),
places AS (
    SELECT
        CASE WHEN comes THEN CAST(to_step AS VARCHAR) ELSE CAST(from_step AS VARCHAR) END AS step,
        sum(CASE WHEN comes THEN transitions ELSE 0 END) AS came,
        sum(CASE WHEN comes THEN 0 ELSE transitions END) AS went,
        sum(CASE WHEN comes THEN 0.0 ELSE probability END) AS probability
    FROM moves
    GROUP BY 1
),
t AS (
    SELECT
        coalesce(sum(went) FILTER (WHERE step = 'START'), 0) AS starts,
        coalesce(sum(came) FILTER (WHERE step = 'EXIT'), 0) AS exits,
        coalesce(sum(went), 0) AS moves,
        coalesce(sum(probability), 0) AS probability,
        count(*) FILTER (WHERE went > 0) AS from_steps,
        coalesce(sum(abs(came - went)) FILTER (WHERE step IS NULL OR step NOT IN ('START', 'EXIT')), 0) AS lost
    FROM places
),
p AS (SELECT coalesce(sum(sessions), 0) AS sessions, coalesce(sum(share), 0) AS share FROM top_paths),
w AS (SELECT coalesce(sum(n + unknown), 0) AS visits FROM dwell),
v AS (SELECT count(*) AS visits FROM steps WHERE is_view),
ways AS (
    SELECT position, from_step, to_step, sessions, unnest([true, false]) AS comes FROM flows
),
nodes AS (
    SELECT
        CASE WHEN comes THEN position + 1 ELSE position END AS position,
        CASE WHEN comes THEN CAST(to_step AS VARCHAR) ELSE CAST(from_step AS VARCHAR) END AS step,
        sum(CASE WHEN comes THEN sessions ELSE 0 END) AS came,
        sum(CASE WHEN comes THEN 0 ELSE sessions END) AS went
    FROM ways
    GROUP BY 1, 2
),
f AS (
    SELECT
        coalesce(sum(went) FILTER (WHERE position = 0), 0) AS starts,
        coalesce(sum(came) FILTER (WHERE step IN ('EXIT', 'Later')), 0) AS ends,
        coalesce(
            sum(abs(came - went)) FILTER (WHERE position > 0 AND (step IS NULL OR step NOT IN ('EXIT', 'Later'))), 0
        ) AS lost
    FROM nodes
),
m AS (
    SELECT count(DISTINCT position) AS positions, coalesce(sum(sessions), 0) AS sessions,
        coalesce(sum(sessions) FILTER (WHERE position = 1), 0) AS starts
    FROM step_matrix
),
h AS (
    SELECT coalesce(sum(people), 0) AS people, coalesce(sum(users), 0) AS users FROM retention_cohorts() WHERE period = 0
),
l AS (
    SELECT coalesce(sum(before), 0) AS before, coalesce(sum(after), 0) AS after
    FROM (
        SELECT
            lag(new_users + returning_users + resurrecting_users) OVER (ORDER BY period) AS before,
            returning_users + dormant_users AS after
        FROM lifecycle()
    ) AS periods
    WHERE before IS NOT NULL
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
        named_struct('name', 'arrivals at a step = departures', 'expected', CAST(0 AS DOUBLE), 'actual', CAST(t.lost AS DOUBLE)),
        named_struct('name', 'flows into a step = flows out of it', 'expected', CAST(0 AS DOUBLE), 'actual', CAST(f.lost AS DOUBLE)),
        named_struct('name', 'sessions of all positions = sessions for each', 'expected', CAST(m.positions * s.sessions AS DOUBLE), 'actual', CAST(m.sessions AS DOUBLE)),
        named_struct('name', 'sessions at the first position = sessions', 'expected', CAST(s.sessions AS DOUBLE), 'actual', CAST(m.starts AS DOUBLE)),
        named_struct('name', 'active in their own period = people of cohorts', 'expected', CAST(h.people AS DOUBLE), 'actual', CAST(h.users AS DOUBLE)),
        named_struct('name', 'who stays + who goes = who was there', 'expected', CAST(l.before AS DOUBLE), 'actual', CAST(l.after AS DOUBLE)),
        named_struct('name', 'lines = stored + quarantined + dropped + duplicates', 'expected', CAST(c.lines AS DOUBLE), 'actual', CAST(c.kept AS DOUBLE))
    ]) AS law
    FROM s, d, t, p, w, v, f, c, m, h, l
)
SELECT
    law['name'] AS name,
    law['expected'] AS expected,
    law['actual'] AS actual,
    abs(law['expected'] - law['actual']) <= 1e-6 * greatest(1.0, abs(law['expected'])) AS ok
FROM laws
ORDER BY name
