-- Who is in which segments, where they are now and where people usually go from there: for whoever greets them next.
-- columns:
--   user_id text, the person; only those who are in a segment
--   segments text[], the segments, by name
--   last_step text null, the last step of the last session
--   last_at timestamp null, when that was
--   next_step text null, the step that most often follows it in a session; of equal ones the first by name
--   probability double null, how often, of all times that any step followed
WITH members AS (
    SELECT user_id, array_sort(array_agg(segment)) AS segments FROM segment_members GROUP BY user_id
),
places AS (
    SELECT
        CAST(user_id AS VARCHAR) AS user_id,
        first_value(CAST(step AS VARCHAR) ORDER BY session_start DESC, session_index DESC, step_index DESC) AS last_step,
        max(last_ts) AS last_at
    FROM steps
    GROUP BY user_id
),
moves AS (
    SELECT
        CAST(from_step AS VARCHAR) AS from_step,
        first_value(CAST(to_step AS VARCHAR) ORDER BY probability_next DESC, to_step) AS next_step,
        max(probability_next) AS probability
    FROM transitions
    WHERE probability_next IS NOT NULL AND from_step <> 'START'
    GROUP BY from_step
)
SELECT m.user_id, m.segments, p.last_step, p.last_at, n.next_step, n.probability
FROM members AS m
LEFT JOIN places AS p ON p.user_id = m.user_id
LEFT JOIN moves AS n ON n.from_step = p.last_step
ORDER BY m.user_id
