-- Of the people first seen in a week, how many are active in each following week.
WITH weeks AS (
    SELECT DISTINCT user_id, (CAST(ts AS BIGINT) - 1767571200000000) / 604800000000 AS week FROM events WHERE is_step
),
cohorts AS (SELECT user_id, min(week) AS cohort FROM weeks GROUP BY user_id)
SELECT cohort, week - cohort AS off, count(*) AS users FROM weeks JOIN cohorts USING (user_id) GROUP BY 1, 2;
