-- The exact median time on each page in microseconds; here every event is a view.
SET journeyql.collapse = false;
SELECT step, count(*) AS n, median(dwell_s) * 1e6 AS median_micros FROM steps WHERE dwell_s IS NOT NULL GROUP BY step;
