-- Sessions that came to the payment and did not get through: no step after it is terminal or says that it is done.
-- What such steps are say journeyql.payment_steps and done_steps ([narratives] payment, done).
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   evidence text, what was seen
WITH paying AS (
    SELECT
        CAST(session_id AS VARCHAR) AS session_id,
        CAST(user_id AS VARCHAR) AS user_id,
        session_start,
        max(step_index) FILTER (WHERE regexp_like(step, setting('payment_steps'))) AS paid_at,
        max(step_index) FILTER (WHERE is_terminal OR regexp_like(step, setting('done_steps'))) AS done_at,
        max(CAST(step AS VARCHAR)) FILTER (WHERE is_exit) AS last_step
    FROM steps
    GROUP BY session_id, user_id, session_start
)
SELECT session_id, user_id, session_start, 'last step: ' || coalesce(last_step, '') AS evidence
FROM paying
WHERE paid_at IS NOT NULL AND coalesce(done_at, 0) < paid_at
ORDER BY session_start, session_id
