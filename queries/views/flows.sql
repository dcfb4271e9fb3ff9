-- The first steps of all sessions as a river: how many go from one step to the next, position by position.
-- Beyond journeyql.top_n steps a position the rest is Other; beyond journeyql.max_steps positions it is Later.
-- What flows into a step flows out of it again, EXIT included.
-- columns:
--   position bigint, position of from_step in its session (0: START)
--   from_step text null, the step left
--   to_step text null, the step reached, EXIT or Later
--   sessions bigint, sessions that go this way
WITH moves AS (
    SELECT step_index AS position, from_step, to_step, is_exit, count(*) AS sessions
    FROM edges
    WHERE step_index <= CAST(setting('max_steps') AS BIGINT)
    GROUP BY step_index, from_step, to_step, is_exit
),
sized AS (
    SELECT
        *,
        sum(sessions) OVER (PARTITION BY position, from_step) AS from_size,
        sum(sessions) OVER (PARTITION BY position, to_step, is_exit) AS to_size
    FROM moves
),
ranked AS (
    SELECT
        *,
        dense_rank() OVER (PARTITION BY position ORDER BY from_size DESC, from_step) AS from_rank,
        dense_rank() OVER (PARTITION BY position, is_exit ORDER BY to_size DESC, to_step) AS to_rank
    FROM sized
),
named AS (
    SELECT
        position,
        CASE WHEN position > 0 AND from_rank > CAST(setting('top_n') AS BIGINT) THEN 'Other' ELSE from_step END
            AS from_step,
        CASE
            WHEN is_exit THEN to_step
            WHEN position = CAST(setting('max_steps') AS BIGINT) THEN 'Later'
            WHEN to_rank > CAST(setting('top_n') AS BIGINT) THEN 'Other'
            ELSE to_step
        END AS to_step,
        sessions
    FROM ranked
)
SELECT position, from_step, to_step, sum(sessions) AS sessions
FROM named
GROUP BY position, from_step, to_step
ORDER BY position, sessions DESC, from_step, to_step
