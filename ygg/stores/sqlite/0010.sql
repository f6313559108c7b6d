-- Schema 10: tasks of single submits are counted apart, as long as they wait.

ALTER TABLE tasks ADD COLUMN single INTEGER NOT NULL DEFAULT 0;
CREATE INDEX single_waiting ON tasks (seq) WHERE single AND state IN ('queued', 'scheduled');
