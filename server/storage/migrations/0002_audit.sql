-- Who did what to which record, and when: ids only, never names or text.
-- Entries are chained: `hash` covers the entry and `previous_hash`, so that a changed, removed or
-- reordered entry is found. `position` counts 1, 2, 3, ... without gaps.
CREATE TABLE audit_entry (
    position $integer NOT NULL PRIMARY KEY,
    at $integer NOT NULL,
    verb TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    ids TEXT NOT NULL,
    reason TEXT,
    recipients TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) $strict;

-- Where the chain ends. Kept apart, so that cutting off the newest entries shows.
CREATE TABLE audit_head (
    head $integer NOT NULL PRIMARY KEY CHECK (head = 1),
    entries $integer NOT NULL,
    hash TEXT NOT NULL
) $strict;

-- An index over `ids`, one row for each id of an entry: "who has looked at this record?"
CREATE TABLE audit_subject (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    position $integer NOT NULL,
    PRIMARY KEY (kind, id, position)
) $strict_without_rowid;

-- Entries whose ids are not in that index yet: whoever searches looks through them, and a job puts them in, many at once.
CREATE TABLE audit_unindexed (
    position $integer NOT NULL PRIMARY KEY
) $strict;

-- "What has this person looked at?"
CREATE INDEX audit_entry_by_actor ON audit_entry (actor_kind, actor_id, position);
