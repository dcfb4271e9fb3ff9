-- Every input ever read, with where its lines went: lines = stored + quarantined + dropped + duplicates.
-- columns:
--   source_id text, a hash of its first event line
--   name text, the name it was last seen under
--   format text, how it was read
--   bytes bigint, bytes of plain text that are committed
--   lines bigint, its lines
--   stored bigint, lines that became events
--   quarantined bigint, lines that were refused
--   dropped bigint, lines that a rule left out
--   duplicates bigint, lines that were there already
--   dropped_by text, dropped lines by rule, as JSON
--   first_seen timestamp, when it was first read
--   updated timestamp, when it was last read
SELECT
    source_id,
    name,
    format,
    bytes,
    lines,
    stored,
    quarantined,
    dropped,
    duplicates,
    dropped_by,
    first_seen,
    updated
FROM source_rows
