-- How many people get from a product to the cart, the checkout and the confirmation within seven days.
SELECT step_no, units
FROM funnel('/product/<id>', '/cart', '/checkout', '/order/<id>/confirm', window => INTERVAL '7 days', unit => 'user');
