-- The whole in a few figures.
-- columns:
--   figure text, what it is
--   value text null, how much
WITH s AS (SELECT * FROM stats),
figures AS (
    SELECT 1 AS place, 'events' AS figure, CAST(events AS VARCHAR) AS value FROM s
    UNION ALL SELECT 2, 'people', CAST(users AS VARCHAR) FROM s
    UNION ALL SELECT 3, 'sessions', CAST(sessions AS VARCHAR) FROM s
    UNION ALL SELECT 4, 'first event', to_char(first_ts, '%Y-%m-%d %H:%M:%S') FROM s
    UNION ALL SELECT 5, 'last event', to_char(last_ts, '%Y-%m-%d %H:%M:%S') FROM s
    UNION ALL SELECT 6, 'median duration (s)', CAST(round(median_duration_s, 1) AS VARCHAR) FROM s
    UNION ALL SELECT 7, 'bounce rate', CAST(round(bounce_rate, 4) AS VARCHAR) FROM s
)
SELECT figure, value FROM figures ORDER BY place
