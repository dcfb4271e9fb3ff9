-- How often each page follows each other page, and its share of the moves to another page.
SELECT from_step AS a, to_step AS b, count(*) AS n,
    count(*) / CAST(sum(count(*)) OVER (PARTITION BY from_step) AS DOUBLE) AS p
FROM edges WHERE NOT is_entry AND NOT is_exit
GROUP BY from_step, to_step;
