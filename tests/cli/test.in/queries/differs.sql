-- How many sessions there are, by what they are called.
-- parameter: least integer = 1, only pages with so many
SELECT entry_page, count(*) AS n FROM sessions GROUP BY entry_page HAVING count(*) >= $least ORDER BY n DESC, entry_page LIMIT 3;

-- expect -p least=100:
-- | entry_page | n   |
-- |------------|-----|
-- | /          | 548 |
-- | /faq       | 12  |

-- expect -p least=100000: 1
