-- How long it took the people of a week to reach a goal, from the beginning of their first session ever.
-- columns:
--   goal text, the goal
--   cohort date, Monday of the week in which the people came first
--   reached bigint, people who reached the goal so far
--   median_s double, half of them took no longer, in seconds
--   mean_s double, the mean
--   p25_s double, a quarter took no longer
--   p75_s double, three quarters took no longer
--   p90_s double, nine of ten took no longer
SELECT
    goal,
    cohort,
    count(*) AS reached,
    median(to_goal_s) AS median_s,
    avg(to_goal_s) AS mean_s,
    percentile_cont(to_goal_s, 0.25) AS p25_s,
    percentile_cont(to_goal_s, 0.75) AS p75_s,
    percentile_cont(to_goal_s, 0.9) AS p90_s
FROM goal_journeys
WHERE reached_at IS NOT NULL
GROUP BY goal, cohort
ORDER BY goal, cohort
