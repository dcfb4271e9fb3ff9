-- How well the next step is told from the last ones, of sessions that were not learned from: the first 80 % by their
-- first events learn, the rest is told, every step from the second on. Less log-loss is better; markov() uses the chosen.
-- columns:
--   order bigint, how many of the last steps are looked at; fewer where so many were never followed
--   train_sessions bigint, sessions that were learned from
--   test_sessions bigint, sessions that were told
--   steps bigint, steps to tell
--   known bigint, of those, behind something that was ever followed
--   hit_rate_1 double null, share of the steps that were told first
--   hit_rate_3 double null, among the first three
--   hit_rate_5 double null, among the first five
--   log_loss double null, the mean of -ln of the steps' chances
--   is_chosen boolean, the least log-loss
SELECT
    "order", train_sessions, test_sessions, steps, known, hit_rate_1, hit_rate_3, hit_rate_5, log_loss, is_chosen
FROM markov_accuracy()
ORDER BY "order"
