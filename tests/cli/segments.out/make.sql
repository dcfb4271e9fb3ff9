-- Who has seen the cart.
-- parameter: page text = '/cart', the page
CREATE OR REPLACE SEGMENT shoppers AS
SELECT user_id FROM steps WHERE page = $page;
SELECT user_id FROM funnel_users('/', segment => 'shoppers')
