-- Nothing is expected of it.
SELECT 1
