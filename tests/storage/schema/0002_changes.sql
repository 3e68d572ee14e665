-- A change log as the server keeps it: read by (xid, seq), in commit order.
CREATE TABLE change (
    seq $identity,
    xid $xid,
    writer $integer NOT NULL,
    round $integer NOT NULL
) $strict;
CREATE INDEX change_in_order ON change (xid, seq);
