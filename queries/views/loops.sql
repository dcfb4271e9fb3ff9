-- Steps that sessions come back to: how many do, and how often. The way back is in paths_between(step, step).
-- columns:
--   step text null, the step
--   sessions bigint, sessions that visit it
--   looping_sessions bigint, sessions that visit it more than once
--   loop_rate double, looping_sessions / sessions
--   returns bigint, visits beyond a session's first
--   most_visits bigint, the most visits of one session
WITH visits AS (
    SELECT session_id, step, count(*) AS visits
    FROM steps
    GROUP BY session_id, step
)
SELECT
    step,
    count(*) AS sessions,
    count(*) FILTER (WHERE visits > 1) AS looping_sessions,
    CAST(count(*) FILTER (WHERE visits > 1) AS DOUBLE) / count(*) AS loop_rate,
    sum(visits) - count(*) AS returns,
    max(visits) AS most_visits
FROM visits
GROUP BY step
HAVING max(visits) > 1
ORDER BY returns DESC, step
