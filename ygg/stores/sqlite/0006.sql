-- Schema 6: tokens of callers over HTTP. Of a token only its digest is kept.

CREATE TABLE tokens (
    name         TEXT PRIMARY KEY,
    digest       TEXT NOT NULL UNIQUE,  -- SHA-256, hexadecimal
    scope        TEXT NOT NULL,         -- read, submit, admin
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    max_priority INTEGER NOT NULL,
    rate_count   INTEGER,               -- tasks in rate_s seconds; both or none
    rate_s       REAL,
    revoked_ms   INTEGER
) STRICT, WITHOUT ROWID;
