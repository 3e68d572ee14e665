"""SQL for a child of several records, which is read as the union of them (see `clusters`)."""

WHOLE = "(SELECT w.child_id FROM child w WHERE w.child_id = :child OR w.cluster_id = :child)"
"""The records of the child whose kept record is `:child`. Any other record stands for itself alone."""

RESTRICTED = (
    "CASE WHEN c.restricted = 1 OR (c.cluster_id IS NOT NULL AND EXISTS (SELECT 1 FROM child r"
    " WHERE r.cluster_id = c.cluster_id AND r.restricted = 1)) THEN 1 ELSE 0 END"
)
"""Whether record `c` is restricted. One restricted record makes the whole child so."""
