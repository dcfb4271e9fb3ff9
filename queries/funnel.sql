-- How many people come how far through a series of steps.
-- parameter: steps text[] = '/,/cart,/checkout', the steps in order
-- parameter: window interval = 7 days, the longest time from the first step to the last
-- parameter: unit text = user, whether people (user) or sessions (session) are counted
-- columns:
--   step_no bigint, number of the step, from 1
--   step text, the step
--   units bigint, people or sessions that came so far
--   conversion_first double, share of those who began
--   conversion_prev double, share of those who came to the step before
--   drop_off bigint, how many were lost since the step before
--   drop_off_rate double, share of those who were lost
--   ttc_median_s double null, seconds from the step before
SELECT
    step_no,
    step,
    units,
    round(conversion_first, 4) AS conversion_first,
    round(conversion_prev, 4) AS conversion_prev,
    drop_off,
    round(drop_off_rate, 4) AS drop_off_rate,
    round(ttc_median_s, 3) AS ttc_median_s
FROM funnel($steps, window => $window, unit => $unit)
ORDER BY step_no
