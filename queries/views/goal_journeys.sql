-- Every person's way to every goal of [journey] goals: whether and when they reached it, how long and how many steps it took.
-- columns:
--   goal text, the goal
--   user_id text, the person
--   cohort date, Monday of the week in which the person's first session ever began
--   started_at timestamp, when that was
--   reached_at timestamp null, when the person first reached the goal
--   to_goal_s double null, seconds between
--   steps bigint null, steps taken before the one that reached it
--   steps_per_hour double null, how fast; NULL where no time passed
WITH people AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, min(started_at) AS started_at
    FROM sessions
    GROUP BY user_id
    -- A range holds the people whose first session ever lies in it.
    HAVING setting('from') IS NULL OR min(session_index) = 1
),
reached AS (
    SELECT goal, user_id, ts AS reached_at, session_start, step_index
    FROM (
        SELECT
            goal, CAST(user_id AS VARCHAR) AS user_id, ts, session_start, step_index,
            row_number() OVER (PARTITION BY goal, user_id ORDER BY ts, session_start, step_index) AS place
        FROM goal_steps
    )
    WHERE place = 1
),
walked AS (
    SELECT r.goal, r.user_id, count(*) AS steps
    FROM (SELECT CAST(user_id AS VARCHAR) AS user_id, ts, session_start, step_index FROM steps) AS s
    JOIN reached AS r ON s.user_id = r.user_id AND s.ts <= r.reached_at
    -- Steps of one time are in the order of their session.
    WHERE s.ts < r.reached_at OR s.session_start < r.session_start
        OR s.session_start = r.session_start AND s.step_index < r.step_index
    GROUP BY r.goal, r.user_id
),
ways AS (
    SELECT
        g.goal,
        p.user_id,
        CAST(date_trunc('week', p.started_at) AS DATE) AS cohort,
        p.started_at,
        r.reached_at,
        CAST(arrow_cast(r.reached_at, 'Int64') - arrow_cast(p.started_at, 'Int64') AS DOUBLE) / 1e6 AS to_goal_s,
        CASE WHEN r.reached_at IS NOT NULL THEN coalesce(w.steps, 0) END AS steps
    FROM people AS p
    CROSS JOIN goals AS g
    LEFT JOIN reached AS r ON r.goal = g.goal AND r.user_id = p.user_id
    LEFT JOIN walked AS w ON w.goal = g.goal AND w.user_id = p.user_id
)
SELECT
    goal, user_id, cohort, started_at, reached_at, to_goal_s, steps,
    CASE WHEN to_goal_s > 0 THEN CAST(steps AS DOUBLE) * 3600 / to_goal_s END AS steps_per_hour
FROM ways
ORDER BY goal, user_id
