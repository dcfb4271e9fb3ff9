-- The last five sessions of one person, event by event; times in microseconds.
-- parameter: user text, the person
SELECT session_index, CAST(ts AS BIGINT) AS ts, page, event, dwell_us
FROM replay($user, last => 5)
ORDER BY session_index, step_index;
