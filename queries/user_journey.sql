-- What one person did, step by step.
-- parameter: user text, the person
-- parameter: last integer = 10, how many of the latest sessions
-- columns:
--   session_index bigint, number of the session among the person's, from 1
--   step_index bigint, number of the step in its session, from 1
--   ts timestamp, when the step began
--   step text, its label
--   repeats bigint, events of the step
--   dwell_s double null, seconds until the next step
WITH own AS (
    SELECT session_index, step_index, ts, step, repeats, dwell_s, max(session_index) OVER () AS latest
    FROM steps
    WHERE user_id = $user
)
SELECT session_index, step_index, ts, step, repeats, round(dwell_s, 3) AS dwell_s
FROM own
WHERE session_index > latest - $last
ORDER BY session_index, step_index
