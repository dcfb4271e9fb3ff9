-- Where most sessions are lost.
-- parameter: top integer = 20, how many pages
-- parameter: least integer = 1, only pages that so many sessions visited
-- columns:
--   page text, the step
--   sessions bigint, sessions that visited it
--   exits bigint, sessions that ended on it
--   drop_offs bigint, exits that are no terminal page
--   drop_off_rate double, drop_offs / sessions
--   bounces bigint, sessions with no other step
--   bounce_rate double, bounces / entries
SELECT
    page,
    sessions,
    exits,
    drop_offs,
    round(drop_off_rate, 4) AS drop_off_rate,
    bounces,
    round(bounce_rate, 4) AS bounce_rate
FROM drop_offs
WHERE sessions >= $least
ORDER BY drop_offs DESC, page
LIMIT $top
