-- How people move: every step followed by every other, with how often, how likely and how fast.
-- columns:
--   from_step text, the step left (START: the session begins)
--   to_step text, the step reached (EXIT: the session ends)
--   transitions bigint, moves
--   sessions bigint, sessions with such a move
--   users bigint, people with such a move
--   probability double, share of all departures from from_step
--   probability_next double null, the same with EXIT left out (NULL for EXIT)
--   median_s double null, seconds between the two steps (NULL for START and EXIT)
--   p95_s double null, 95 % of the moves took no longer, in seconds
WITH moves AS (
    SELECT
        from_step,
        to_step,
        count(*) AS transitions,
        count(DISTINCT session_id) AS sessions,
        count(DISTINCT user_id) AS users,
        median(gap_s) AS median_s,
        percentile_cont(gap_s, 0.95) AS p95_s
    FROM edges
    GROUP BY from_step, to_step
)
SELECT
    from_step,
    to_step,
    transitions,
    sessions,
    users,
    CAST(transitions AS DOUBLE) / sum(transitions) OVER (PARTITION BY from_step) AS probability,
    CASE WHEN to_step IS DISTINCT FROM 'EXIT' THEN
        CAST(transitions AS DOUBLE)
            / sum(CASE WHEN to_step IS DISTINCT FROM 'EXIT' THEN transitions ELSE 0 END) OVER (PARTITION BY from_step)
    END AS probability_next,
    median_s,
    p95_s
FROM moves
ORDER BY transitions DESC, from_step, to_step
