-- The whole in one row.
-- columns:
--   events bigint, step events in sessions
--   users bigint, people with a session
--   sessions bigint, sessions
--   first_ts timestamp null, the first session's start
--   last_ts timestamp null, the last event of a session
--   median_duration_s double null, seconds from a session's first to its last event
--   bounce_rate double null, share of sessions with one step only
--   snapshot bigint, number of the snapshot that was read
SELECT
    coalesce(sum(events), 0) AS events,
    count(DISTINCT user_id) AS users,
    count(*) AS sessions,
    min(started_at) AS first_ts,
    max(ended_at) AS last_ts,
    median(duration_s) AS median_duration_s,
    CAST(count(*) FILTER (WHERE is_bounce) AS DOUBLE) / nullif(count(*), 0) AS bounce_rate,
    CAST(setting('snapshot') AS BIGINT) AS snapshot
FROM sessions
