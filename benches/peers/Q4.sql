-- Views, entries, exits and bounces per page; here every event is a view and a bounce is a session of one event.
SET journeyql.collapse = false;
WITH pages AS (
    SELECT step, count(*) AS views, count(*) FILTER (WHERE is_entry) AS entries, count(*) FILTER (WHERE is_exit) AS exits,
        count(*) FILTER (WHERE is_entry AND is_exit) AS bounces
    FROM steps GROUP BY step
)
SELECT step, views, entries, exits, bounces, CAST(exits AS DOUBLE) / views AS dropoff,
    CASE WHEN entries = 0 THEN 0 ELSE CAST(bounces AS DOUBLE) / entries END AS bounce
FROM pages;
