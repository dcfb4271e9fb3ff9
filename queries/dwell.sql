-- Where people spend their time.
-- parameter: top integer = 20, how many pages
-- columns:
--   page text, the step
--   n bigint, visits whose end is known
--   unknown bigint, visits that were the last of their session
--   median_s double null, seconds
--   mean_s double null, seconds
--   p90_s double null, seconds
SELECT page, n, unknown, round(median_s, 3) AS median_s, round(mean_s, 3) AS mean_s, round(p90_s, 3) AS p90_s
FROM dwell
ORDER BY n DESC, page
LIMIT $top
