-- Schema 3: a claim names its call; tasks of a lane and priority are ordered by rank, then by age.

ALTER TABLE tasks ADD COLUMN call TEXT;  -- the id of the call that runs, or last ran, the attempt
ALTER TABLE tasks ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;  -- 0: first in, first out

DROP INDEX claim;
CREATE INDEX claim ON tasks (lane, priority, rank, seq) WHERE state = 'queued';
