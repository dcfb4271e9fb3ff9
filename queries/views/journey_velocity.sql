-- How fast the people of a week went towards a goal: steps an hour, from the first step ever to the one that reached it.
-- columns:
--   goal text, the goal
--   cohort date, Monday of the week in which the people came first
--   reached bigint, people who reached the goal so far
--   unknown bigint, those of them who reached it in no time; they are in none of the figures after this one
--   median_steps_per_hour double null, half of them were no faster
--   mean_steps_per_hour double null, the mean
--   median_steps double null, steps that half of them needed at most
SELECT
    goal,
    cohort,
    count(*) AS reached,
    count(*) - count(steps_per_hour) AS unknown,
    median(steps_per_hour) AS median_steps_per_hour,
    avg(steps_per_hour) AS mean_steps_per_hour,
    median(CAST(steps AS DOUBLE)) FILTER (WHERE steps_per_hour IS NOT NULL) AS median_steps
FROM goal_journeys
WHERE reached_at IS NOT NULL
GROUP BY goal, cohort
ORDER BY goal, cohort
