-- Sessions that looked at three products or more before something went to the cart. Products are told apart by the
-- address that was asked for, or by the event's properties where there is none.
-- What a product and a cart step is say journeyql.product_steps and cart_steps ([narratives] product, cart).
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   evidence text, what was seen
WITH carts AS (
    SELECT
        CAST(session_id AS VARCHAR) AS session_id,
        CAST(user_id AS VARCHAR) AS user_id,
        CAST(source_session_id AS VARCHAR) AS source_session_id,
        session_start,
        min(ts) AS added_at
    FROM steps
    WHERE regexp_like(step, setting('cart_steps'))
    GROUP BY session_id, user_id, source_session_id, session_start
),
looks AS (
    SELECT
        CAST(user_id AS VARCHAR) AS user_id,
        CAST(source_session_id AS VARCHAR) AS source_session_id,
        ts,
        coalesce(CAST(path AS VARCHAR), CAST(properties AS VARCHAR), CAST(page AS VARCHAR), CAST(event AS VARCHAR))
            AS product
    FROM events
    WHERE is_step
        AND (regexp_like(page, setting('product_steps')) OR regexp_like(event, setting('product_steps')))
),
compared AS (
    SELECT c.session_id, c.user_id, c.session_start, count(DISTINCT l.product) AS products
    FROM carts AS c
    JOIN looks AS l ON l.user_id = c.user_id AND l.ts >= c.session_start AND l.ts <= c.added_at
    -- Sessions of two ids of the input can run at the same time.
    WHERE setting('source_ids') <> 'honour' OR l.source_session_id IS NOT DISTINCT FROM c.source_session_id
    GROUP BY c.session_id, c.user_id, c.session_start
)
SELECT session_id, user_id, session_start, 'products before the cart: ' || CAST(products AS VARCHAR) AS evidence
FROM compared
WHERE products >= 3
ORDER BY session_start, session_id
