-- Where people spend their time.
-- parameter: top integer = 20, how many pages
-- columns:
--   page text, the step
--   n bigint, visits whose end is known
--   unknown bigint, visits that were the last of their session
--   median_s double null, seconds
--   mean_s double null, seconds
--   p90_s double null, seconds
SELECT page, n, unknown, median_s, mean_s, p90_s
FROM dwell
ORDER BY n DESC, page
LIMIT $top
