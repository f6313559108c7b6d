-- A database of schema 2 with tasks in every state, as that ygg wrote it (SQLite's dump).
PRAGMA application_id = 2036819761;
PRAGMA user_version = 2;
PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE batch_counters (
    batch TEXT    NOT NULL,
    state TEXT    NOT NULL,
    n     INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (batch, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "batch_counters" VALUES('b1','cancelled',1);
INSERT INTO "batch_counters" VALUES('b1','completed',1);
INSERT INTO "batch_counters" VALUES('b1','processing',0);
INSERT INTO "batch_counters" VALUES('b1','queued',0);
CREATE TABLE counters (
    lane     INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    state    TEXT    NOT NULL,
    n        INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (lane, priority, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "counters" VALUES(1,1,'queued',1);
INSERT INTO "counters" VALUES(1,2,'blocked',1);
INSERT INTO "counters" VALUES(1,2,'cancelled',1);
INSERT INTO "counters" VALUES(1,2,'completed',1);
INSERT INTO "counters" VALUES(1,2,'expired',1);
INSERT INTO "counters" VALUES(1,2,'processing',2);
INSERT INTO "counters" VALUES(1,2,'queued',0);
INSERT INTO "counters" VALUES(1,2,'scheduled',1);
INSERT INTO "counters" VALUES(2,2,'queued',1);
INSERT INTO "counters" VALUES(3,2,'scheduled',1);
INSERT INTO "counters" VALUES(4,2,'failed',1);
CREATE TABLE lanes (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "lanes" VALUES(1,'["general",null,null,"preferred","local",[],[]]');
INSERT INTO "lanes" VALUES(2,'["code","skadi","Gr\u00f6\u00dfe","never","key-1",[],[]]');
INSERT INTO "lanes" VALUES(3,'["general",null,"Gr\u00f6\u00dfe","preferred","local",["a/b/c"],["surtr/main/m"]]');
INSERT INTO "lanes" VALUES(4,'["general",null,null,"preferred","local",["surtr/main/m"],[]]');
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
INSERT INTO "log" VALUES(1,1,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(2,2,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(3,3,1800000000000,0,NULL,'scheduled','submitted',NULL,NULL);
INSERT INTO "log" VALUES(4,4,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(5,4,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(6,4,1800000000002,1,'processing','scheduled','backing_off','surtr','boom');
INSERT INTO "log" VALUES(7,5,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(8,5,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(9,6,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(10,6,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(11,6,1800000000002,1,'processing','processing','cancelled','surtr','cancel requested');
INSERT INTO "log" VALUES(12,7,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(13,7,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(14,7,1800000000002,1,'processing','blocked','interrupted','surtr',NULL);
INSERT INTO "log" VALUES(15,8,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(16,8,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(17,8,1800000000002,1,'processing','completed','completed','surtr',NULL);
INSERT INTO "log" VALUES(18,9,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(19,9,1800000000001,1,'queued','processing','chosen','surtr',NULL);
INSERT INTO "log" VALUES(20,9,1800000000002,1,'processing','failed','error_budget','surtr','boom');
INSERT INTO "log" VALUES(21,10,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(22,10,1800000000000,0,'queued','cancelled','cancelled',NULL,NULL);
INSERT INTO "log" VALUES(23,11,1800000000000,0,NULL,'queued','submitted',NULL,NULL);
INSERT INTO "log" VALUES(24,11,1800000000006,0,'queued','expired','deadline',NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('epoch',1);
INSERT INTO "meta" VALUES('held:surtr',1);
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
INSERT INTO "minutes" VALUES(1800000000000,'surtr',12,2,2,1.0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE results (
    task        INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    content     TEXT NOT NULL,
    thinking    TEXT,
    stop_reason TEXT NOT NULL,
    model       TEXT NOT NULL,
    backend     TEXT NOT NULL,
    usage       TEXT NOT NULL
) STRICT;
INSERT INTO "results" VALUES(8,'forty-two',NULL,'stop','m','ollama','{}');
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
INSERT INTO "tasks" VALUES(1,'queued-1',1,1,'local','general',1,'queued','chat','{"messages":[{"role":"user","content":"hello"}]}','first, ö ☃','["a","b"]',NULL,NULL,NULL,NULL,'k1','h',NULL,NULL,0,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,0,'submitted',NULL,1800000000000,1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(2,'queued-2',1,2,'key-1','code',2,'queued','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,1800009000000,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,0,'submitted',NULL,1800000000000,1800000000000,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(3,'scheduled-1',1,1,'local','general',2,'scheduled','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,1800000001000,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,0,'submitted',NULL,1800000000000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(4,'scheduled-2',3,3,'local','general',2,'scheduled','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,1800000002000,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,1,1,0,0,NULL,NULL,NULL,NULL,0,'backing_off','boom',1800000000000,1800000000000,1800000000001,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(5,'processing-1',2,1,'local','general',2,'processing','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,1,0,0,0,1,'surtr','main','m',0,'chosen',NULL,1800000000000,1800000000000,1800000000001,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(6,'processing-2',3,1,'local','general',2,'processing','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,1,0,0,0,1,'surtr','main','m',1,'chosen',NULL,1800000000000,1800000000000,1800000000001,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(7,'blocked-1',3,1,'local','general',2,'blocked','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,1,0,0,0,1,'surtr','main','m',0,'interrupted',NULL,1800000000000,1800000000000,1800000000001,NULL,NULL,NULL);
INSERT INTO "tasks" VALUES(8,'completed-1',3,1,'local','general',2,'completed','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h','b1',NULL,1,NULL,NULL,NULL,1,0,0,0,1,'surtr','main','m',0,'completed',NULL,1800000000000,1800000000000,1800000000001,1800000000002,NULL,1800604800002);
INSERT INTO "tasks" VALUES(9,'failed-1',3,4,'local','general',2,'failed','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,1,5,0,0,1,'surtr','main','m',0,'error_budget','boom',1800000000000,1800000000000,1800000000001,1800000000002,NULL,NULL);
INSERT INTO "tasks" VALUES(10,'cancelled-1',2,1,'local','general',2,'cancelled','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,NULL,NULL,NULL,'h','b1',NULL,0,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,0,'cancelled',NULL,1800000000000,1800000000000,NULL,1800000000000,NULL,1800604800000);
INSERT INTO "tasks" VALUES(11,'expired-1',2,1,'local','general',2,'expired','chat','{"messages":[{"role":"user","content":"hello"}]}','','[]',NULL,NULL,1800000000005,NULL,NULL,'h',NULL,NULL,0,NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,0,'deadline',NULL,1800000000000,1800000000000,NULL,1800000000006,NULL,1800604800006);
CREATE INDEX claim ON tasks (lane, priority, seq) WHERE state = 'queued';
CREATE INDEX due ON tasks (due_ms) WHERE state = 'scheduled';
CREATE INDEX deadline ON tasks (deadline_ms)
    WHERE deadline_ms IS NOT NULL AND state IN ('queued', 'scheduled');
CREATE INDEX processing ON tasks (epoch) WHERE state = 'processing';
CREATE INDEX expiry ON tasks (expires_ms) WHERE expires_ms IS NOT NULL;
CREATE INDEX by_state ON tasks (state, seq);
CREATE INDEX by_batch ON tasks (batch, seq) WHERE batch IS NOT NULL;
CREATE UNIQUE INDEX idempotency ON tasks (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX log_of ON log (task, n);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',11);
COMMIT;
