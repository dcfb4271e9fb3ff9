-- Our tables beside DuckLake's; FORMAT.md section 2 says what a row is.

CREATE TABLE jq_meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE jq_parts(
    data_file_id INTEGER PRIMARY KEY,
    table_id     INTEGER NOT NULL,
    day          INTEGER NOT NULL,
    checksum     TEXT NOT NULL,
    rules        TEXT NOT NULL,
    ts_min       INTEGER NOT NULL,
    ts_max       INTEGER NOT NULL,
    event_ids    INTEGER NOT NULL
);

CREATE TABLE jq_sources(
    source_id     TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    format        TEXT NOT NULL,
    offset        INTEGER NOT NULL,
    lines         INTEGER NOT NULL,
    stored        INTEGER NOT NULL,
    quarantined   INTEGER NOT NULL,
    dropped       INTEGER NOT NULL,
    duplicates    INTEGER NOT NULL,
    dropped_by    TEXT NOT NULL,
    digest        BLOB NOT NULL,
    first_seen_ts INTEGER NOT NULL,
    updated_ts    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE jq_audit(
    id          INTEGER PRIMARY KEY,
    snapshot_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    what        TEXT NOT NULL,
    detail      TEXT NOT NULL
);

CREATE TABLE jq_removed(
    data_file_id   INTEGER PRIMARY KEY,
    table_id       INTEGER NOT NULL,
    path           TEXT NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER NOT NULL
);

CREATE INDEX jq_file_column_stats_by_file ON ducklake_file_column_stats(data_file_id);
CREATE INDEX jq_file_partition_value_by_file ON ducklake_file_partition_value(data_file_id);

CREATE TABLE jq_devices(
    device         TEXT NOT NULL,
    user           TEXT NOT NULL,
    first_ts       INTEGER NOT NULL,
    last_ts        INTEGER NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER
);
CREATE INDEX jq_devices_by_device ON jq_devices(device);
CREATE INDEX jq_devices_ended ON jq_devices(end_snapshot) WHERE end_snapshot IS NOT NULL;

CREATE TABLE jq_matches(
    hash           TEXT NOT NULL,
    distinct_id    TEXT NOT NULL,
    since          INTEGER NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER
);
CREATE INDEX jq_matches_by_id ON jq_matches(distinct_id, hash);
CREATE INDEX jq_matches_ended ON jq_matches(end_snapshot) WHERE end_snapshot IS NOT NULL;

CREATE TABLE jq_aliases(
    id             INTEGER PRIMARY KEY,
    distinct_id    TEXT NOT NULL,
    person         TEXT NOT NULL,
    same           INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    evidence       TEXT NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER
);
CREATE INDEX jq_aliases_ended ON jq_aliases(end_snapshot) WHERE end_snapshot IS NOT NULL;

CREATE TABLE jq_log_outs(
    device TEXT NOT NULL,
    ts     INTEGER NOT NULL
);

CREATE TABLE jq_forgotten(
    hash    TEXT NOT NULL,
    from_ts INTEGER NOT NULL,
    to_ts   INTEGER NOT NULL
);

CREATE TABLE jq_late_ledger(
    snapshot_id INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    events      INTEGER NOT NULL,
    visitors    INTEGER NOT NULL,
    max_late    INTEGER NOT NULL,
    median_late REAL NOT NULL,
    created     INTEGER NOT NULL,
    extended    INTEGER NOT NULL,
    merged      INTEGER NOT NULL
);

CREATE TABLE jq_corrections(
    id             INTEGER PRIMARY KEY,
    change         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    said_by        TEXT NOT NULL,
    at             INTEGER NOT NULL,
    reverted_by    TEXT,
    reverted_at    INTEGER,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER
);

CREATE TABLE jq_segments(
    name           TEXT NOT NULL,
    sql            TEXT NOT NULL,
    at             INTEGER NOT NULL,
    begin_snapshot INTEGER NOT NULL,
    end_snapshot   INTEGER
);
