-- The tables of the conformance suite: one of each shape that the server's schema has.
CREATE TABLE thing (
    thing_id $identity,
    name TEXT NOT NULL UNIQUE,
    size $integer NOT NULL DEFAULT 0 CHECK (size >= 0),
    weight $real,
    picture $bytes
) $strict;

CREATE TABLE part (
    thing_id $integer NOT NULL REFERENCES thing (thing_id) DEFERRABLE INITIALLY DEFERRED,
    place $integer NOT NULL,
    label TEXT NOT NULL, -- a semicolon; in a comment
    PRIMARY KEY (thing_id, place)
) $strict_without_rowid;
