-- Schema 3: a claim names its call; tasks of a lane and priority are ordered by rank, then by age; a lane
-- names what it is without its marks.

ALTER TABLE tasks ADD COLUMN call TEXT;  -- the id of the call that runs, or last ran, the attempt
ALTER TABLE tasks ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;  -- 0: first in, first out

DROP INDEX claim;
CREATE INDEX claim ON tasks (lane, priority, rank, seq) WHERE state = 'queued';

-- The lane without its list of candidates to avoid, and without that of refused ones too; NULL: itself.
-- In a key they are elements 6 and 5.
ALTER TABLE lanes ADD COLUMN unavoided INTEGER REFERENCES lanes (id);
ALTER TABLE lanes ADD COLUMN unmarked INTEGER REFERENCES lanes (id);

INSERT OR IGNORE INTO lanes (key) SELECT json_replace(key, '$[6]', json('[]')) FROM lanes;
INSERT OR IGNORE INTO lanes (key)
    SELECT json_replace(key, '$[5]', json('[]'), '$[6]', json('[]')) FROM lanes;
UPDATE lanes SET unavoided = other.id FROM lanes AS other
    WHERE other.key = json_replace(lanes.key, '$[6]', json('[]')) AND other.id <> lanes.id;
UPDATE lanes SET unmarked = other.id FROM lanes AS other
    WHERE other.key = json_replace(lanes.key, '$[5]', json('[]'), '$[6]', json('[]'))
        AND other.id <> lanes.id;
