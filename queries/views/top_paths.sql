-- Which ways people take: whole sessions as paths, the most frequent first.
-- columns:
--   path text, the steps joined by ' > ', at most 50 shown
--   steps bigint, steps of the path
--   sessions bigint, sessions that took exactly this path
--   share double, of all sessions
--   users bigint, people who took it
--   median_duration_s double, seconds from the first to the last event
--   truncated boolean, whether steps are left out of the text
WITH paths AS (
    SELECT
        path_id,
        path,
        path_steps,
        truncated,
        count(*) AS sessions,
        count(DISTINCT user_id) AS users,
        median(duration_s) AS median_duration_s
    FROM journeys
    GROUP BY path_id, path, path_steps, truncated
)
SELECT
    path,
    path_steps AS steps,
    sessions,
    CAST(sessions AS DOUBLE) / sum(sessions) OVER () AS share,
    users,
    median_duration_s,
    truncated
FROM paths
ORDER BY sessions DESC, steps, path
