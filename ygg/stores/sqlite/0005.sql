-- Schema 5: what is remembered of tasks that were deleted, the newest of them.

CREATE TABLE pruned (
    seq         INTEGER PRIMARY KEY,  -- in the order in which they went
    id          TEXT NOT NULL UNIQUE,
    state       TEXT NOT NULL,
    finished_ms INTEGER,
    read_ms     INTEGER,  -- its result was first read over HTTP
    pruned_ms   INTEGER NOT NULL
) STRICT;
