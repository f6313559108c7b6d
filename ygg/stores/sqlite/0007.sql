-- Schema 7: batches are known by name; the tasks of a sequence run one after another.

CREATE TABLE batches (
    id              TEXT PRIMARY KEY,
    caller          TEXT NOT NULL,
    total           INTEGER NOT NULL,
    created_ms      INTEGER NOT NULL,
    on_failure      TEXT CHECK (on_failure IN ('stop', 'continue')),  -- of a sequence; NULL: all at once
    open            INTEGER NOT NULL,            -- tasks of it may wait for their turn
    idempotency_key TEXT,
    body_hash       TEXT NOT NULL,
    completed       INTEGER NOT NULL DEFAULT 0,  -- by state, tasks that were deleted
    failed          INTEGER NOT NULL DEFAULT 0,
    cancelled       INTEGER NOT NULL DEFAULT 0,
    expired         INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX open_batches ON batches (id) WHERE open;
CREATE INDEX batches_of ON batches (created_ms, id);
CREATE UNIQUE INDEX batch_keys ON batches (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX batch_open ON tasks (batch, (reason IS 'batch_turn'), seq)
    WHERE batch IS NOT NULL AND state IN ('scheduled', 'queued', 'processing', 'blocked');
