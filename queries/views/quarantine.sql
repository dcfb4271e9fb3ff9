-- The lines that were refused, each with its place and why.
-- columns:
--   day date, UTC day of receipt
--   source_id text, the input
--   source text null, the name the input was last seen under
--   source_offset bigint, byte offset of the line in the plain text
--   line_no bigint, its number, from 1
--   reason text, why it was refused
--   matched_bytes bigint, how far it was understood
--   raw text, the line
--   received_at timestamp, when it was read
SELECT
    q.day,
    q.source_id,
    s.name AS source,
    q.source_offset,
    q.line_no,
    q.reason,
    q.matched_bytes,
    q.raw,
    q.received_at
FROM quarantine_rows AS q
LEFT JOIN source_rows AS s ON s.source_id = q.source_id
