-- People who may be one: seen at the same address with the same browser on the same days, reading the same pages.
-- Nothing is linked until somebody accepts it: journeyql identity accept | reject.
-- columns:
--   distinct_id text, a person
--   other text, the one that may be the same; at least one of the two is anonymous
--   score double, 0 to 1: 0.8 × visits + 0.2 × pages
--   visits double, shared days of one address and browser (a day counts 1 / others seen there) / days of who has fewer
--   pages double, pages that both have seen / pages that either has seen
--   shared_days bigint, days on which both were seen at one address with one browser
--   evidence text, the same in words
WITH seen AS (
    SELECT DISTINCT user_id, day, ip, user_agent
    FROM events
    WHERE ip IS NOT NULL AND user_agent IS NOT NULL AND user_id NOT LIKE 'ip:%' AND user_id NOT LIKE 'ipua:%'
),
places AS (
    SELECT day, ip, user_agent, count(*) AS people
    FROM seen
    GROUP BY day, ip, user_agent
    HAVING count(*) BETWEEN 2 AND 5
),
together AS (
    SELECT
        least(a.user_id, b.user_id) AS one,
        greatest(a.user_id, b.user_id) AS other,
        sum(1.0 / (p.people - 1)) AS weight,
        count(DISTINCT p.day) AS shared_days
    FROM places AS p
    JOIN seen AS a ON a.day = p.day AND a.ip = p.ip AND a.user_agent = p.user_agent
    JOIN seen AS b ON b.day = p.day AND b.ip = p.ip AND b.user_agent = p.user_agent
    WHERE a.user_id < b.user_id AND (a.user_id LIKE 'anon:%' OR b.user_id LIKE 'anon:%')
    GROUP BY least(a.user_id, b.user_id), greatest(a.user_id, b.user_id)
),
visits AS (
    SELECT user_id, count(*) AS visits
    FROM seen
    GROUP BY user_id
),
suspects AS (
    SELECT one AS user_id FROM together
    UNION
    SELECT other FROM together
),
read AS (
    SELECT DISTINCT e.user_id, e.page
    FROM events AS e
    JOIN suspects AS s ON s.user_id = e.user_id
    WHERE e.page IS NOT NULL
),
pages AS (
    SELECT user_id, count(*) AS pages
    FROM read
    GROUP BY user_id
),
common AS (
    SELECT t.one, t.other, count(*) AS pages
    FROM together AS t
    JOIN read AS a ON a.user_id = t.one
    JOIN read AS b ON b.user_id = t.other AND b.page = a.page
    GROUP BY t.one, t.other
),
scored AS (
    SELECT
        t.one,
        t.other,
        t.shared_days,
        least(1.0, t.weight / least(v.visits, w.visits)) AS visits,
        coalesce(CAST(c.pages AS DOUBLE) / (coalesce(p.pages, 0) + coalesce(q.pages, 0) - c.pages), 0.0) AS pages
    FROM together AS t
    JOIN visits AS v ON v.user_id = t.one
    JOIN visits AS w ON w.user_id = t.other
    LEFT JOIN pages AS p ON p.user_id = t.one
    LEFT JOIN pages AS q ON q.user_id = t.other
    LEFT JOIN common AS c ON c.one = t.one AND c.other = t.other
)
SELECT
    s.one AS distinct_id,
    s.other,
    round(0.8 * s.visits + 0.2 * s.pages, 4) AS score,
    round(s.visits, 4) AS visits,
    round(s.pages, 4) AS pages,
    s.shared_days,
    'one address and browser on ' || CAST(s.shared_days AS VARCHAR) || ' days' AS evidence
FROM scored AS s
LEFT JOIN identity_rejections AS r
    ON (r.distinct_id = s.one AND r.other = s.other) OR (r.distinct_id = s.other AND r.other = s.one)
WHERE r.distinct_id IS NULL
ORDER BY score DESC, distinct_id, other
