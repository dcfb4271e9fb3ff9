-- One row for every person: who they are by what they did.
-- columns:
--   user_id text, the person
--   first_seen timestamp, when the first session began
--   last_seen timestamp, when the last one ended
--   sessions bigint, how many
--   events bigint, step events in them
--   active_days bigint, days (UTC) on which steps began
--   top_page text null, the page with the most hits; of equal ones the first by name
--   entry_source text null, the site of the first session's referrer; direct where there was none
--   devices bigint, different anonymous ids, or user agents where an event has none
--   goals_reached text[], the goals of [journey] goals that were reached, by name
--   lifecycle_state text, over the seven days up to the watermark and the seven before: new, returning, resurrecting, dormant
--   churn_risk double, of all pauses between sessions that lasted as long as the present one, the share that nobody has ended; of the people that are asked for (journeyql.user, segment, from, to)
--   lifetime_s double, seconds from first_seen to last_seen
WITH clock AS (
    SELECT arrow_cast(setting('watermark'), 'Timestamp(Microsecond, Some("UTC"))') AS at
),
visits AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, session_index, started_at, ended_at, events FROM sessions
),
people AS (
    SELECT
        user_id,
        min(started_at) AS first_seen,
        max(ended_at) AS last_seen,
        count(*) AS sessions,
        sum(events) AS events,
        max(at) AS at,
        bool_or(started_at <= at - INTERVAL '7 days' AND ended_at > at - INTERVAL '14 days') AS was_there
    FROM visits
    CROSS JOIN clock
    GROUP BY user_id
),
hits AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, CAST(page AS VARCHAR) AS page, sum(repeats) AS hits
    FROM steps
    WHERE page IS NOT NULL
    GROUP BY user_id, page
),
tops AS (
    SELECT user_id, first_value(page ORDER BY hits DESC, page) AS top_page FROM hits GROUP BY user_id
),
walked AS (
    SELECT
        CAST(user_id AS VARCHAR) AS user_id,
        count(DISTINCT date_trunc('day', ts)) AS active_days,
        count(DISTINCT coalesce(anonymous_id, user_agent)) AS devices
    FROM steps
    GROUP BY user_id
),
entries AS (
    SELECT
        CAST(user_id AS VARCHAR) AS user_id,
        first_value(CAST(referrer AS VARCHAR) ORDER BY session_start, session_index) AS referrer
    FROM steps
    WHERE is_entry
    GROUP BY user_id
),
reached AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, array_sort(array_agg(DISTINCT goal)) AS goals FROM goal_steps GROUP BY user_id
),
-- How long nobody came: pauses that ended with a session, and those that last.
pauses AS (
    SELECT arrow_cast(started_at, 'Int64') - arrow_cast(before, 'Int64') AS pause, 0 AS lasts
    FROM (
        SELECT started_at, lag(ended_at) OVER (PARTITION BY user_id ORDER BY session_index) AS before FROM visits
    ) AS v
    WHERE before IS NOT NULL
    UNION ALL
    SELECT arrow_cast(at, 'Int64') - arrow_cast(last_seen, 'Int64'), 1 FROM people
),
lengths AS (
    SELECT pause, count(*) AS n, sum(lasts) AS lasting FROM pauses GROUP BY pause
),
risks AS (
    SELECT
        pause,
        CAST(sum(lasting) OVER (ORDER BY pause DESC) AS DOUBLE) / sum(n) OVER (ORDER BY pause DESC) AS churn_risk
    FROM lengths
)
SELECT
    p.user_id,
    p.first_seen,
    p.last_seen,
    p.sessions,
    p.events,
    w.active_days,
    t.top_page,
    CASE
        WHEN e.referrer IS NULL OR e.referrer IN ('', '-') THEN 'direct'
        ELSE regexp_replace(lower(e.referrer), '^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+).*$', '\1')
    END AS entry_source,
    w.devices,
    coalesce(r.goals, array_remove(make_array(''), '')) AS goals_reached,
    CASE
        WHEN p.last_seen <= p.at - INTERVAL '7 days' THEN 'dormant'
        WHEN p.first_seen > p.at - INTERVAL '7 days' THEN 'new'
        WHEN p.was_there THEN 'returning'
        ELSE 'resurrecting'
    END AS lifecycle_state,
    k.churn_risk,
    CAST(arrow_cast(p.last_seen, 'Int64') - arrow_cast(p.first_seen, 'Int64') AS DOUBLE) / 1e6 AS lifetime_s
FROM people AS p
JOIN walked AS w ON w.user_id = p.user_id
JOIN entries AS e ON e.user_id = p.user_id
JOIN risks AS k ON k.pause = arrow_cast(p.at, 'Int64') - arrow_cast(p.last_seen, 'Int64')
LEFT JOIN tops AS t ON t.user_id = p.user_id
LEFT JOIN reached AS r ON r.user_id = p.user_id
ORDER BY p.user_id
