-- expect -p from=yesterday: 1
-- expect: 1
-- parameter: from day = 2025-03-03, since
SELECT count(*) FROM sessions
WHERE startd_at >= $from
