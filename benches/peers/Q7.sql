-- Of the people first seen in a week, how many are active in each following week. Weeks from 2026-01-05.
SELECT (CAST(cohort AS INT) - 20458) / 7 AS cohort, period AS off, users FROM retention_cohorts(period => 'week') WHERE users > 0;
