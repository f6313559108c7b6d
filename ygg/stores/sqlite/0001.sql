-- Schema 1. Times are wall-clock milliseconds. STRICT and CHECKs are the last line of defence, not the
-- first: the writer refuses an illegal transition before SQL sees it.

CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- A lane's key is opaque here; which hosts serve it follows from the configuration at run time.
CREATE TABLE lanes (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE tasks (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    version          INTEGER NOT NULL DEFAULT 1,
    lane             INTEGER NOT NULL REFERENCES lanes (id),
    caller           TEXT    NOT NULL,
    type             TEXT    NOT NULL,
    priority         INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4),
    state            TEXT    NOT NULL CHECK (state IN ('scheduled', 'queued', 'processing', 'blocked',
                                                       'completed', 'failed', 'cancelled', 'expired')),
    operation        TEXT    NOT NULL CHECK (operation IN ('chat', 'complete', 'generate', 'embed')),
    request          TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    labels           TEXT    NOT NULL,
    timeout_s        REAL,
    due_ms           INTEGER,
    deadline_ms      INTEGER,
    retention_s      REAL,
    idempotency_key  TEXT,
    body_hash        TEXT    NOT NULL,
    batch            TEXT,
    content_type     TEXT,
    attached         INTEGER NOT NULL DEFAULT 0,
    source           TEXT,
    source_ref       TEXT,
    source_version   TEXT,
    attempt          INTEGER NOT NULL DEFAULT 0,
    errors           INTEGER NOT NULL DEFAULT 0,
    deferrals        INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    epoch            INTEGER,
    host             TEXT,
    endpoint         TEXT,
    model            TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    reason           TEXT,
    error            TEXT,
    created_ms       INTEGER NOT NULL,
    queued_ms        INTEGER,
    started_ms       INTEGER,
    finished_ms      INTEGER,
    read_ms          INTEGER,
    expires_ms       INTEGER,
    CHECK ((state IN ('completed', 'failed', 'cancelled', 'expired')) = (finished_ms IS NOT NULL)),
    CHECK ((state = 'scheduled') = (due_ms IS NOT NULL)),
    CHECK (state <> 'processing' OR (epoch IS NOT NULL AND host IS NOT NULL AND attempt > 0))
) STRICT;

CREATE INDEX claim ON tasks (lane, priority, seq) WHERE state = 'queued';
CREATE INDEX due ON tasks (due_ms) WHERE state = 'scheduled';
CREATE INDEX deadline ON tasks (deadline_ms)
    WHERE deadline_ms IS NOT NULL AND state IN ('queued', 'scheduled');
CREATE INDEX processing ON tasks (epoch) WHERE state = 'processing';
CREATE INDEX expiry ON tasks (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX by_state ON tasks (state, seq);
CREATE INDEX by_batch ON tasks (batch, seq) WHERE batch IS NOT NULL;
CREATE UNIQUE INDEX idempotency ON tasks (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE results (
    task        INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    content     TEXT NOT NULL,
    thinking    TEXT,
    stop_reason TEXT NOT NULL,
    model       TEXT NOT NULL,
    backend     TEXT NOT NULL,
    usage       TEXT NOT NULL
) STRICT;

CREATE TABLE log (
    n       INTEGER PRIMARY KEY,
    task    INTEGER NOT NULL REFERENCES tasks (seq) ON DELETE CASCADE,
    at_ms   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    before  TEXT,
    after   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    host    TEXT,
    detail  TEXT
) STRICT;
CREATE INDEX log_of ON log (task, n);

-- Kept in the transactions that change the rows they count.
CREATE TABLE counters (
    lane     INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    n        INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (lane, priority, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_counters (
    batch TEXT    NOT NULL,
    state TEXT    NOT NULL,
    n     INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (batch, state)
) STRICT, WITHOUT ROWID;
