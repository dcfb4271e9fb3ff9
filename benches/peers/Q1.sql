-- How many sessions have how many events (21: or more).
SELECT least(events, 21) AS len, count(*) AS sessions, sum(events) AS events FROM sessions GROUP BY 1;
