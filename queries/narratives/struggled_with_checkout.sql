-- Sessions that struggled with checkout: an error there, a third way into it, or the same page three times in a row.
-- What a checkout step is says journeyql.checkout_steps ([narratives] checkout).
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   evidence text, what was seen
WITH checkout AS (
    SELECT
        CAST(session_id AS VARCHAR) AS session_id,
        CAST(user_id AS VARCHAR) AS user_id,
        session_start,
        repeats,
        status,
        coalesce(regexp_like(prev_step, setting('checkout_steps')), false) AS goes_on
    FROM steps
    WHERE regexp_like(step, setting('checkout_steps'))
),
seen AS (
    SELECT
        session_id,
        user_id,
        session_start,
        count(*) FILTER (WHERE NOT goes_on) AS visits,
        count(*) FILTER (WHERE status >= 400) AS errors,
        max(repeats) AS tries
    FROM checkout
    GROUP BY session_id, user_id, session_start
)
SELECT
    session_id,
    user_id,
    session_start,
    'visits of the checkout: ' || CAST(visits AS VARCHAR) || ', errors: ' || CAST(errors AS VARCHAR)
        || ', most in a row: ' || CAST(tries AS VARCHAR) AS evidence
FROM seen
WHERE errors > 0 OR visits >= 3 OR tries >= 3
ORDER BY session_start, session_id
