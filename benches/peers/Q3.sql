-- The 20 most frequent paths of up to ten steps.
SET journeyql.path_steps = 10;
SELECT path, count(*) AS n FROM journeys GROUP BY path ORDER BY n DESC, path LIMIT 20;
