"""Which child is this? Pure: no storage, no clock, no randomness; only `earlysign link` (table, packed) uses files.

A description is standardised to a record, candidates are found by blocking keys, each pair is weighed by a
Fellegi-Sunter model with a third class (another child of the same home), and the note ends as link, review
or new, with its reasons. Read in the order: standardise, blocking, comparisons, levels, score, decide.
"""
