-- Sessions that ended in the middle of onboarding: their last step belongs to it, and is neither terminal nor a step by
-- which it is done. What such steps are say journeyql.onboarding_steps and done_steps ([narratives] onboarding, done).
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   evidence text, what was seen
SELECT
    CAST(session_id AS VARCHAR) AS session_id,
    CAST(user_id AS VARCHAR) AS user_id,
    started_at AS session_start,
    'last step: ' || CAST(exit_page AS VARCHAR) AS evidence
FROM sessions
WHERE NOT is_terminal
    AND regexp_like(exit_page, setting('onboarding_steps'))
    AND NOT regexp_like(exit_page, setting('done_steps'))
ORDER BY session_start, session_id
