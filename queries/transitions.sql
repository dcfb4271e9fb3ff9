-- The most frequent moves from one step to the next.
-- parameter: top integer = 30, how many
-- parameter: step text = '', only moves from this step
-- columns:
--   from_step text, the step left
--   to_step text, the step reached
--   transitions bigint, moves
--   sessions bigint, sessions with such a move
--   probability double, share of all departures
--   probability_next double null, the same with EXIT left out
--   median_s double null, seconds between the two
SELECT
    from_step,
    to_step,
    transitions,
    sessions,
    round(probability, 4) AS probability,
    round(probability_next, 4) AS probability_next,
    round(median_s, 3) AS median_s
FROM transitions
WHERE $step = '' OR from_step = $step
ORDER BY transitions DESC, from_step, to_step
LIMIT $top
