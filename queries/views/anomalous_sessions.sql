-- Sessions that hardly are a person's journey, a row for every reason: too long, too many events, an impossible rate, a
-- path that is rare by the store's own transitions.
--   too_long         seconds from the first to the last event; more than journeyql.anomaly_duration
--   too_many_events  events; more than journeyql.anomaly_events
--   impossible_rate  events a second, of sessions of ten events or more, a session being at least a second long; more than
--                    journeyql.anomaly_rate
--   rare_path        the mean of log10(probability) over the session's moves, START and EXIT included, so that a long path
--                    is no rarer for being long; less than that of one in journeyql.anomaly_odds
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   reason text, what is odd: too_long, too_many_events, impossible_rate, rare_path
--   value double, what was measured
--   threshold double, what it was held against
WITH likely AS (
    -- In whole billionths: a sum of those is the same in any order.
    SELECT e.session_id, CAST(sum(t.billionths) AS DOUBLE) / count(*) / 1e9 AS value
    -- As text: the codes of one batch say nothing in another, and joins mix batches.
    FROM (SELECT CAST(session_id AS VARCHAR) AS session_id, from_step, to_step FROM edges) AS e
    JOIN (
        SELECT from_step, to_step, CAST(round(log10(probability) * 1e9) AS BIGINT) AS billionths FROM transitions
    ) AS t
        ON e.from_step = t.from_step AND e.to_step = t.to_step
    GROUP BY e.session_id
),
measured AS (
    SELECT
        CAST(session_id AS VARCHAR) AS session_id,
        CAST(user_id AS VARCHAR) AS user_id,
        started_at AS session_start,
        duration_s,
        CAST(events AS DOUBLE) AS events,
        CAST(events AS DOUBLE) / greatest(duration_s, 1.0) AS rate
    FROM sessions
),
odd AS (
    SELECT session_id, user_id, session_start, 'too_long' AS reason, duration_s AS value,
        CAST(date_part('epoch', CAST(setting('anomaly_duration') AS INTERVAL)) AS DOUBLE) AS threshold
    FROM measured
    UNION ALL
    SELECT session_id, user_id, session_start, 'too_many_events', events, CAST(setting('anomaly_events') AS DOUBLE)
    FROM measured
    UNION ALL
    SELECT session_id, user_id, session_start, 'impossible_rate', rate, CAST(setting('anomaly_rate') AS DOUBLE)
    FROM measured
    WHERE events >= 10
)
SELECT session_id, user_id, session_start, reason, value, threshold
FROM odd
WHERE value > threshold
UNION ALL
SELECT s.session_id, s.user_id, s.session_start, 'rare_path', l.value, l.threshold
FROM (
    SELECT session_id, value, -log10(CAST(setting('anomaly_odds') AS DOUBLE)) AS threshold FROM likely
) AS l
JOIN measured AS s ON s.session_id = l.session_id
WHERE l.value < l.threshold
ORDER BY session_start, session_id, reason
