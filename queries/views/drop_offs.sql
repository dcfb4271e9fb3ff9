-- Where people leave: visits, entries, exits and bounces of every step.
-- columns:
--   page text null, the step's label
--   sessions bigint, sessions that visited it
--   views bigint, steps on it
--   hits bigint, events on it, repeats counted
--   entries bigint, sessions that began on it
--   exits bigint, sessions that ended on it
--   terminal_exits bigint, exits that are no drop-off because the page is terminal
--   drop_offs bigint, exits less terminal_exits
--   bounces bigint, sessions with no other step
--   drop_off_rate double, drop_offs / sessions
--   exit_rate double, exits / sessions
--   exit_rate_views double, exits / views
--   bounce_rate double, bounces / entries
WITH pages AS (
    SELECT
        step AS page,
        count(DISTINCT session_id) AS sessions,
        count(*) AS views,
        sum(repeats) AS hits,
        count(*) FILTER (WHERE is_entry) AS entries,
        count(*) FILTER (WHERE is_exit) AS exits,
        count(*) FILTER (WHERE is_exit AND is_terminal) AS terminal_exits,
        count(*) FILTER (WHERE is_entry AND is_exit) AS bounces
    FROM steps
    GROUP BY step
)
SELECT
    page,
    sessions,
    views,
    hits,
    entries,
    exits,
    terminal_exits,
    exits - terminal_exits AS drop_offs,
    bounces,
    CAST(exits - terminal_exits AS DOUBLE) / sessions AS drop_off_rate,
    CAST(exits AS DOUBLE) / sessions AS exit_rate,
    CAST(exits AS DOUBLE) / views AS exit_rate_views,
    CASE WHEN entries = 0 THEN 0.0 ELSE CAST(bounces AS DOUBLE) / entries END AS bounce_rate
FROM pages
ORDER BY drop_offs DESC, page
