-- Where people turn round: from a step to another one and right back.
-- columns:
--   step text, the step that is left and come back to
--   other text, the step between
--   turns bigint, how often
--   sessions bigint, sessions in which it happens
--   users bigint, people to whom it happens
--   share double, of the visits of the other step that come from this one, turns
WITH turns AS (
    SELECT
        prev_step AS step,
        step AS other,
        count(*) AS turns,
        count(DISTINCT session_id) AS sessions,
        count(DISTINCT user_id) AS users
    FROM steps
    WHERE prev_step = next_step AND prev_step <> step
    GROUP BY prev_step, step
),
moves AS (
    SELECT from_step, to_step, count(*) AS moves
    FROM edges
    WHERE NOT is_entry
    GROUP BY from_step, to_step
)
SELECT
    t.step,
    t.other,
    t.turns,
    t.sessions,
    t.users,
    CAST(t.turns AS DOUBLE) / m.moves AS share
-- As text: the codes of one batch say nothing in another, and joins mix batches.
FROM (
    SELECT CAST(step AS VARCHAR) AS step, CAST(other AS VARCHAR) AS other, turns, sessions, users FROM turns
) AS t
JOIN (
    SELECT CAST(from_step AS VARCHAR) AS from_step, CAST(to_step AS VARCHAR) AS to_step, moves FROM moves
) AS m ON m.from_step = t.step AND m.to_step = t.other
ORDER BY t.turns DESC, t.step, t.other
