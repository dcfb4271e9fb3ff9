-- Which share of the people of a week reached a goal.
-- columns:
--   goal text, the goal
--   cohort date, Monday of the week in which the people came first
--   users bigint, how many they are
--   reached bigint, how many reached the goal so far
--   completion_rate double, their share
SELECT
    goal,
    cohort,
    count(*) AS users,
    count(reached_at) AS reached,
    CAST(count(reached_at) AS DOUBLE) / count(*) AS completion_rate
FROM goal_journeys
GROUP BY goal, cohort
ORDER BY goal, cohort
