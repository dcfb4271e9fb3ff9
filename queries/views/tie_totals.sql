-- What the order of equal time stamps decides, number by number: of all there are, those that events of one time turned
-- round would change. tie_report() has the sessions.
-- columns:
--   view text, the view that shows the number
--   figure text, what is counted
--   total bigint, all of them
--   changed bigint, those that another order would change
--   share double null, of all
WITH ties AS (
    SELECT
        count(*) AS sessions,
        coalesce(sum(changed_transitions), 0) AS moves,
        coalesce(sum(abs(other_steps - steps)), 0) AS steps,
        count(*) FILTER (WHERE entry_changes) AS entries,
        count(*) FILTER (WHERE exit_changes) AS exits,
        count(*) FILTER (WHERE path_changes) AS paths
    FROM tie_report()
),
whole AS (
    SELECT count(*) AS sessions, coalesce(sum(depth), 0) AS steps FROM sessions
),
figures AS (
    SELECT unnest([
        named_struct('view', 'sessions', 'figure', 'sessions with ties', 'total', w.sessions, 'changed', t.sessions),
        named_struct('view', 'steps', 'figure', 'steps more or less', 'total', w.steps, 'changed', t.steps),
        named_struct('view', 'transitions', 'figure', 'moves', 'total', w.steps + w.sessions, 'changed', t.moves),
        named_struct('view', 'drop_offs', 'figure', 'entries', 'total', w.sessions, 'changed', t.entries),
        named_struct('view', 'drop_offs', 'figure', 'exits', 'total', w.sessions, 'changed', t.exits),
        named_struct('view', 'top_paths', 'figure', 'sessions', 'total', w.sessions, 'changed', t.paths)
    ]) AS row
    FROM ties AS t, whole AS w
)
SELECT
    row['view'] AS view,
    row['figure'] AS figure,
    row['total'] AS total,
    row['changed'] AS changed,
    CAST(row['changed'] AS DOUBLE) / nullif(row['total'], 0) AS share
FROM figures
ORDER BY view, figure
