-- Schema 8: tasks with the same `alike` ask for the same answer; one that has ended may lend it to others.

ALTER TABLE tasks ADD COLUMN alike TEXT;                       -- NULL: it shares nothing
ALTER TABLE tasks ADD COLUMN lends INTEGER NOT NULL DEFAULT 0;  -- whether others may have its answer
ALTER TABLE tasks ADD COLUMN cached_from TEXT;                 -- id of the task whose answer it got
CREATE INDEX identical ON tasks (alike, state, finished_ms) WHERE alike IS NOT NULL;
CREATE INDEX lent ON tasks (finished_ms, alike) WHERE lends AND state = 'completed';
