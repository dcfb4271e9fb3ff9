-- expect: 1008
-- expect -p page=/nowhere: 0
-- parameter: page text = '', only sessions that begin here
SELECT count(*) FROM sessions WHERE $page = '' OR entry_page = $page
