-- Schema 2: what each host did and showed, a row per minute; the newest two weeks are kept. By time first:
-- rows are added at one end and deleted at the other. NULL: no reading told it.

CREATE TABLE minutes (
    minute_ms     INTEGER NOT NULL,
    host          TEXT    NOT NULL,
    samples       INTEGER NOT NULL,
    slots         INTEGER NOT NULL,
    "limit"       INTEGER NOT NULL,
    running       REAL    NOT NULL,
    waiting       INTEGER NOT NULL,
    started       INTEGER NOT NULL,
    wait_ms       INTEGER,
    wait_max_ms   INTEGER,
    used_mb       REAL,
    total_mb      REAL,
    used_share    REAL,
    temperature_c REAL,
    utilization   REAL,
    PRIMARY KEY (minute_ms, host)
) STRICT, WITHOUT ROWID;
