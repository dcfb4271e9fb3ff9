-- The most frequent ways through the site.
-- parameter: top integer = 20, how many
-- columns:
--   path text, the steps joined by ' > '
--   steps bigint, steps of the path
--   sessions bigint, sessions that took it
--   share double, of all sessions
--   users bigint, people who took it
--   median_duration_s double, seconds
SELECT path, steps, sessions, round(share, 4) AS share, users, round(median_duration_s, 3) AS median_duration_s
FROM top_paths
ORDER BY sessions DESC, steps, path
LIMIT $top
