-- How long people stay: seconds from a step to the next one of its session.
-- columns:
--   page text null, the step's label
--   n bigint, visits whose end is known
--   unknown bigint, visits that were the last of their session
--   median_s double null, seconds
--   mean_s double null, seconds
--   p25_s double null, seconds
--   p75_s double null, seconds
--   p90_s double null, seconds
SELECT
    step AS page,
    count(dwell_s) AS n,
    count(*) - count(dwell_s) AS unknown,
    median(dwell_s) AS median_s,
    avg(dwell_s) AS mean_s,
    percentile_cont(dwell_s, 0.25) AS p25_s,
    percentile_cont(dwell_s, 0.75) AS p75_s,
    percentile_cont(dwell_s, 0.9) AS p90_s
FROM steps
WHERE is_view
GROUP BY step
ORDER BY n DESC, page
