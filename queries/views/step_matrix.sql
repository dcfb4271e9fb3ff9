-- Where sessions are at their first, second, third … step: of all sessions, how many are on which step, and how many are
-- over (EXIT), up to position journeyql.max_steps. The shares of a position sum to 1.
-- columns:
--   position bigint, number of the step in its session, from 1
--   step text null, the step, or EXIT
--   sessions bigint, sessions that are there
--   share double, of all sessions
WITH placed AS (
    SELECT step_index AS position, step, count(*) AS sessions
    FROM steps
    WHERE step_index <= CAST(setting('max_steps') AS BIGINT)
    GROUP BY step_index, step
),
positions AS (
    SELECT position, sum(sessions) AS going
    FROM placed
    GROUP BY position
),
whole AS (SELECT count(*) AS sessions FROM sessions),
cells AS (
    SELECT position, step, sessions, 0 AS is_over FROM placed
    UNION ALL
    SELECT p.position, 'EXIT', w.sessions - p.going, 1
    FROM positions AS p, whole AS w
    WHERE w.sessions > p.going
)
SELECT c.position, c.step, c.sessions, CAST(c.sessions AS DOUBLE) / w.sessions AS share
FROM cells AS c, whole AS w
ORDER BY c.position, c.is_over, c.sessions DESC, c.step
