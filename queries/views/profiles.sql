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
WITH known AS (
    SELECT
        *,
        arrow_cast(arrow_cast(setting('watermark'), 'Timestamp(Microsecond, Some("UTC"))'), 'Int64')
            - arrow_cast(last_seen, 'Int64') AS pause
    FROM people
),
-- How long nobody came: pauses that ended with a session, and those that last.
pauses AS (
    SELECT unnest(pauses_micros) AS pause, 0 AS lasts FROM people
    UNION ALL
    SELECT pause, 1 FROM known
),
lengths AS (
    SELECT pause, count(*) AS n, sum(lasts) AS lasting FROM pauses GROUP BY pause
),
sums AS (
    SELECT
        pause,
        lasting,
        CAST(sum(lasting) OVER (ORDER BY pause DESC) AS DOUBLE) / sum(n) OVER (ORDER BY pause DESC) AS churn_risk
    FROM lengths
),
-- Of these lengths alone somebody's last pause is.
risks AS (
    SELECT pause, churn_risk FROM sums WHERE lasting > 0
),
reached AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, array_sort(array_agg(DISTINCT goal)) AS goals
    FROM (SELECT DISTINCT user_id, goal FROM goal_steps) AS g
    GROUP BY user_id
)
SELECT
    CAST(p.user_id AS VARCHAR) AS user_id,
    p.first_seen,
    p.last_seen,
    p.sessions,
    p.events,
    p.active_days,
    CAST(p.top_page AS VARCHAR) AS top_page,
    CASE
        WHEN p.entry_referrer IS NULL OR p.entry_referrer IN ('', '-') THEN 'direct'
        ELSE regexp_replace(
            lower(p.entry_referrer), '^[a-z][a-z0-9+.-]*://(?:[^/@]*@)?(?:www\.)?([^/:?#]+).*$', '\1'
        )
    END AS entry_source,
    p.devices,
    coalesce(r.goals, array_remove(make_array(''), '')) AS goals_reached,
    p.lifecycle_state,
    k.churn_risk,
    CAST(arrow_cast(p.last_seen, 'Int64') - arrow_cast(p.first_seen, 'Int64') AS DOUBLE) / 1e6 AS lifetime_s
-- What a join has on its left is held; people stream past.
FROM reached AS r
RIGHT JOIN (risks AS k JOIN known AS p ON k.pause = p.pause) ON r.user_id = CAST(p.user_id AS VARCHAR)
ORDER BY user_id
