-- What one person did, event by event: the event as it was stored, the step and the session that it is part of, and
-- where its line is. Needs the whole history: run it without journeyql.from, journeyql.to and
-- journeyql.skip_flagged.
-- parameter: user text, the person
-- parameter: from timestamp = 1995-01-01T00:00:00Z, events at this time or later
-- parameter: to timestamp = 2262-01-01T00:00:00Z, events before this time
-- columns:
--   ts timestamp, when it happened
--   event text null, its name
--   page text null, its page
--   path text null, the target as the line has it
--   method text null, how it was asked for
--   status smallint null, the reply
--   distinct_id text, who did it by the line alone
--   properties text null, what no other column holds, as JSON
--   is_step boolean, whether it is a step: else it is part of no session
--   session_id text null, its session
--   session_index bigint null, number of the session among the person's, from 1
--   session_start timestamp null, when the session began
--   session_events bigint null, step events of the session
--   step_index bigint null, number of its step in the session, from 1
--   step text null, the label of the step
--   repeats bigint null, events of the step
--   dwell_s double null, seconds until the next step
--   source text null, the name its source was last seen under
--   source_id text, its source
--   source_offset bigint, byte offset of its line in the plain text, or the number of its row
--   event_ref text, what journeyql correct calls it
WITH own AS (
    SELECT
        *,
        -- Sessions are built apart for every session id of the input, where those are honoured.
        CASE WHEN setting('source_ids') = 'honour' THEN coalesce('s' || source_session_id, '') ELSE '' END AS line_up
    FROM events
    WHERE user_id = $user
),
-- Step events are numbered in the total order, and so are the events that the steps are made of.
numbered AS (
    SELECT
        *,
        CASE WHEN is_step THEN
            row_number() OVER (PARTITION BY is_step, line_up ORDER BY ts, source_id, source_offset)
        END AS nth
    FROM own
),
walked AS (
    SELECT
        *,
        sum(repeats) OVER (PARTITION BY line_up ORDER BY session_start, session_index, step_index) - repeats + 1 AS nth
    FROM (
        SELECT
            *,
            CASE WHEN setting('source_ids') = 'honour' THEN coalesce('s' || source_session_id, '') ELSE '' END AS line_up
        FROM steps
        WHERE user_id = $user
    )
),
placed AS (
    SELECT
        n.*,
        max(w.nth) OVER (PARTITION BY n.is_step, n.line_up ORDER BY n.nth) AS step_begins
    FROM numbered AS n
    LEFT JOIN walked AS w ON w.line_up = n.line_up AND w.nth = n.nth
)
SELECT
    p.ts,
    p.event,
    p.page,
    p.path,
    p.method,
    p.status,
    p.distinct_id,
    p.properties,
    p.is_step,
    w.session_id,
    w.session_index,
    w.session_start,
    s.events AS session_events,
    w.step_index,
    w.step,
    w.repeats,
    w.dwell_s,
    r.name AS source,
    p.source_id,
    p.source_offset,
    p.source_id || ':' || CAST(p.source_offset AS VARCHAR) AS event_ref
FROM placed AS p
LEFT JOIN walked AS w ON w.line_up = p.line_up AND w.nth = p.step_begins AND p.is_step
LEFT JOIN (SELECT session_id, events FROM sessions WHERE user_id = $user) AS s ON s.session_id = w.session_id
LEFT JOIN source_rows AS r ON r.source_id = p.source_id
WHERE p.ts >= $from AND p.ts < $to
ORDER BY p.ts, p.source_id, p.source_offset
