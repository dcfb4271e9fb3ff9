-- What can be told of single sessions: a row for each narrative that is true of one. The narratives are views too, each
-- by its own name (struggled_with_checkout, …); what their steps are is configuration ([narratives]).
-- columns:
--   session_id text, the session
--   user_id text, whose it is
--   session_start timestamp, when it began
--   label text, the narrative
--   evidence text, what was seen
WITH labels AS (
    SELECT session_id, user_id, session_start, 'struggled with checkout' AS label, evidence
    FROM struggled_with_checkout
    UNION ALL
    SELECT session_id, user_id, session_start, 'compared three products before adding one to the cart', evidence
    FROM compared_three_products
    UNION ALL
    SELECT session_id, user_id, session_start, 'dropped off during onboarding', evidence
    FROM dropped_off_during_onboarding
    UNION ALL
    SELECT session_id, user_id, session_start, 'abandoned at payment', evidence
    FROM abandoned_at_payment
)
SELECT session_id, user_id, session_start, label, evidence
FROM labels
ORDER BY session_start, session_id, label
