-- How much there was on each day, in UTC: the sessions that began on it, who had them, and their events.
-- columns:
--   day date, the day
--   events bigint, step events of the sessions
--   users bigint, people with a session
--   sessions bigint, sessions
SELECT
    CAST(started_at AS DATE) AS day,
    sum(events) AS events,
    count(DISTINCT user_id) AS users,
    count(*) AS sessions
FROM sessions
GROUP BY CAST(started_at AS DATE)
ORDER BY day
