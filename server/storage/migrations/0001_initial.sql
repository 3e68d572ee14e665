-- One text for both engines; the $-tokens are filled in by the migration runner (storage/migrate.py).
-- Times are milliseconds since the Unix epoch, UTC. Yes and no are 1 and 0.

CREATE TABLE server_state (
    name TEXT PRIMARY KEY,
    value $bytes NOT NULL
) $strict;

-- The ledger ------------------------------------------------------------------------------------------

-- One numbering of one installation of one phone.
CREATE TABLE op_stream (
    stream_id $kept_identity,
    device_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    contiguous_through $integer NOT NULL DEFAULT 0,
    highest $integer NOT NULL DEFAULT 0,
    backed_up_through $integer NOT NULL DEFAULT 0, -- what the newest backup holds of it
    UNIQUE (device_id, epoch)
) $strict;

-- Every op that has a key, byte for byte, with its one verdict.
CREATE TABLE op (
    op_id $kept_identity,
    stream_id $integer NOT NULL REFERENCES op_stream (stream_id),
    seq $integer NOT NULL,
    digest TEXT NOT NULL,
    line $bytes NOT NULL,
    received_at $integer NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    rev $integer,
    UNIQUE (stream_id, seq)
) $strict;

-- What a person must look at. The bytes are in `op` where the line had a free key, else here.
CREATE TABLE quarantine (
    quarantine_id $kept_identity,
    device_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    code TEXT NOT NULL,
    place TEXT,
    op_id $integer REFERENCES op (op_id),
    line $bytes,
    received_at $integer NOT NULL,
    -- What a person decided: the bytes went the road after all, with this outcome, or are kept for good with a reason.
    decision TEXT, -- released, refused
    decided_at $integer,
    decided_by TEXT,
    reason TEXT,
    outcome TEXT,
    outcome_code TEXT,
    UNIQUE (device_id, digest)
) $strict;
CREATE INDEX quarantine_waiting ON quarantine (quarantine_id) WHERE decision IS NULL;

CREATE TABLE parked (
    op_id $integer PRIMARY KEY REFERENCES op (op_id),
    note_id TEXT NOT NULL
) $strict;
CREATE INDEX parked_by_note ON parked (note_id);

-- Children ---------------------------------------------------------------------------------------------

CREATE TABLE child (
    child_id $kept_identity,
    registry_id TEXT UNIQUE,
    standing TEXT NOT NULL, -- known, provisional, awaiting_review, retired
    restricted $integer NOT NULL DEFAULT 0,
    looked_after $integer NOT NULL DEFAULT 0,
    home_borough TEXT,
    school_borough TEXT,
    responsible_authority TEXT,
    owner_borough TEXT,
    date_of_birth TEXT,
    registry_digest $bytes, -- of the registry's row, so that one that has not changed costs nothing
    left_registry_at $integer, -- since when the registry's file has left the child out
    details $bytes NOT NULL,
    record $bytes NOT NULL,
    indexed $bytes, -- what stands in the index for this child, so that exactly that can be taken out
    rev $integer NOT NULL DEFAULT 1,
    created_at $integer NOT NULL,
    updated_at $integer NOT NULL,
    -- The record that this one continues as, for all records of one child (that one included); see `Merges`.
    cluster_id $integer,
    cluster_owner TEXT
) $strict;
CREATE INDEX child_by_cluster ON child (cluster_id) WHERE cluster_id IS NOT NULL;

-- Blocking keys: under which a known child is looked for.
CREATE TABLE child_key (
    key $integer NOT NULL,
    child_id $integer NOT NULL,
    PRIMARY KEY (key, child_id)
) $strict_without_rowid;

-- Keys of children that an import brought a moment ago, as sorted runs: each is written in one go, looked
-- up beside `child_key`, and folded into it when there are many (records/index.py).
CREATE TABLE key_run (
    run $identity
) $strict;

CREATE TABLE child_key_run (
    run $integer NOT NULL,
    key $integer NOT NULL,
    child_id $integer NOT NULL,
    PRIMARY KEY (run, key, child_id)
) $strict_without_rowid;

-- Every import of a registry: what was in the file, what it did, and by whom. An end that is missing says that
-- it was interrupted; the next one goes on where it stopped.
CREATE TABLE import_run (
    run_id $identity,
    source TEXT NOT NULL,
    file_digest TEXT NOT NULL,
    started_by TEXT NOT NULL,
    started_at $integer NOT NULL,
    active_at $integer NOT NULL, -- when it last wrote
    ended_at $integer,
    added $integer NOT NULL DEFAULT 0,
    changed $integer NOT NULL DEFAULT 0,
    unchanged $integer NOT NULL DEFAULT 0,
    gone $integer NOT NULL DEFAULT 0,
    returned $integer NOT NULL DEFAULT 0,
    rejected $integer NOT NULL DEFAULT 0,
    filled TEXT -- JSON: how many cells of each column of its file said something, once it ended
) $strict;

-- Which boroughs have to do with a child, and so may see the record.
CREATE TABLE child_borough (
    child_id $integer NOT NULL,
    borough TEXT NOT NULL,
    PRIMARY KEY (child_id, borough)
) $strict_without_rowid;

CREATE TABLE marker (
    marker_id $identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    set_at $integer NOT NULL,
    expires_at $integer
) $strict;
CREATE INDEX marker_by_child ON marker (child_id);

-- Why a person opened a restricted record, in their own words.
CREATE TABLE restricted_reason (
    reason_id $identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    at $integer NOT NULL
) $strict;
CREATE INDEX restricted_reason_by_child ON restricted_reason (child_id);

-- Search -----------------------------------------------------------------------------------------------

-- The inverted index: the children of a block of 65,536 numbers that are found under a term, packed.
-- The block comes first, so that new children, whose numbers are neighbours, share pages.
CREATE TABLE search_posting (
    block $integer NOT NULL,
    term $integer NOT NULL,
    children $bytes NOT NULL,
    PRIMARY KEY (block, term)
) $strict_without_rowid;

-- Drawn anew whenever a set of the block is written, so that a set kept in memory is known to be as it is here; and the
-- highest number of a child that was ever put in.
CREATE TABLE search_block (
    block $integer PRIMARY KEY,
    stamp TEXT NOT NULL,
    last $integer NOT NULL
) $strict;

-- Under which terms a child is in the index, so that a change or an erasure takes out what it put in.
CREATE TABLE search_child (
    child_id $integer PRIMARY KEY,
    terms $bytes NOT NULL
) $strict;

-- Children that the index does not hold as they are now; search looks through them one by one meanwhile.
CREATE TABLE search_queue (
    child_id $integer PRIMARY KEY,
    stamp $integer NOT NULL DEFAULT 0
) $strict;

-- When who searched, for the limit on how often.
CREATE TABLE search_use (
    use_id $identity,
    person TEXT NOT NULL,
    at $integer NOT NULL
) $strict;
CREATE INDEX search_use_by_person ON search_use (person, at);

-- Notes and links --------------------------------------------------------------------------------------

CREATE TABLE note (
    note_key $kept_identity,
    note_id TEXT NOT NULL UNIQUE,
    op_id $integer NOT NULL REFERENCES op (op_id),
    author TEXT NOT NULL,
    author_name TEXT NOT NULL,
    device_id TEXT NOT NULL,
    author_borough TEXT,
    found_borough TEXT,
    observed_at $integer NOT NULL,
    observed_doubtful $integer NOT NULL DEFAULT 0,
    recorded_at $integer NOT NULL,
    received_at $integer NOT NULL,
    status TEXT NOT NULL,
    withdrawn_at $integer,
    outcome TEXT, -- what came of it, once its borough closed the duty: a code, words for the author, and when
    told_author TEXT,
    outcome_at $integer,
    rev $integer NOT NULL DEFAULT 1
) $strict;
CREATE INDEX note_by_author ON note (author, note_key);
CREATE INDEX note_by_observed ON note (observed_at);

CREATE TABLE amendment (
    amendment_id $kept_identity,
    note_key $integer NOT NULL REFERENCES note (note_key),
    op_id $integer NOT NULL REFERENCES op (op_id),
    received_at $integer NOT NULL
) $strict;
CREATE INDEX amendment_by_note ON amendment (note_key);

-- A child as one note describes it. `child_id` is where the newest link event has it.
CREATE TABLE subject (
    subject_id $kept_identity,
    note_key $integer NOT NULL REFERENCES note (note_key),
    ordinal $integer NOT NULL,
    role TEXT NOT NULL,
    child_id $integer REFERENCES child (child_id),
    record $bytes NOT NULL,
    facts $bytes NOT NULL,
    apart $integer NOT NULL DEFAULT 0, -- 1: a person said that the note tells of an event of its own
    event $integer, -- a person said that those of the same number tell of one event
    UNIQUE (note_key, ordinal)
) $strict;
CREATE INDEX subject_by_child ON subject (child_id);

-- Every decision on which child a subject is, by whom and on what evidence. Nothing is ever changed here.
CREATE TABLE link_event (
    event_id $kept_identity,
    subject_id $integer NOT NULL REFERENCES subject (subject_id),
    action TEXT NOT NULL,
    child_id $integer REFERENCES child (child_id),
    author TEXT NOT NULL,
    at $integer NOT NULL,
    probability $real,
    weight $real,
    model_version TEXT,
    reason TEXT NOT NULL,
    evidence $bytes,
    basis $bytes -- of "not the same": what both descriptions were
) $strict;
CREATE INDEX link_event_by_subject ON link_event (subject_id, event_id);
CREATE INDEX link_event_by_child ON link_event (child_id);

-- Reviews ----------------------------------------------------------------------------------------------

-- What waits for a person, with what is at stake: `danger` and `urgency` (the grade's, 0 to 3) are those of the
-- record that waits, and follow it; `noted_at` is when the oldest worry was seen.
CREATE TABLE review (
    review_id $kept_identity,
    subject_id $integer NOT NULL UNIQUE REFERENCES subject (subject_id),
    borough TEXT NOT NULL,
    danger $integer NOT NULL,
    urgency $integer NOT NULL,
    noted_at $integer NOT NULL,
    opened_at $integer NOT NULL,
    closed_at $integer,
    closed_by TEXT,
    answer TEXT
) $strict;
-- The order of the queue: danger now, then the grade, then the oldest.
CREATE INDEX review_queue ON review (borough, danger DESC, urgency DESC, noted_at, review_id)
    WHERE closed_at IS NULL;
CREATE INDEX review_closed ON review (closed_at, borough) WHERE closed_at IS NOT NULL;

-- What linkage made of the subjects of notes, counted by day (since 1970, UTC) and by where they came from.
CREATE TABLE link_count (
    day $integer NOT NULL,
    borough TEXT NOT NULL,
    outcome TEXT NOT NULL, -- link, review, new
    identifiable $integer NOT NULL,
    subjects $integer NOT NULL,
    PRIMARY KEY (day, borough, outcome, identifiable)
) $strict_without_rowid;

-- Attachments ------------------------------------------------------------------------------------------
-- Their bytes are files in the data folder (storage/blobs.py), known by their SHA-256 in hex.

-- An upload of one phone. `received` bytes are on the disk; `digest` is set when all were, `ended` when it cannot
-- go on (expired, terminated, refused).
CREATE TABLE upload (
    upload_id TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    length $integer NOT NULL,
    received $integer NOT NULL DEFAULT 0,
    declared TEXT,
    metadata TEXT NOT NULL,
    expires_at $integer NOT NULL,
    digest TEXT,
    ended TEXT
) $strict;
CREATE INDEX upload_by_device ON upload (device_id);
CREATE INDEX upload_expires ON upload (expires_at);

-- Bytes that the server has, once each, whoever sent them. `form_state`: what people are shown of it is waiting to
-- be made, made, or failed.
CREATE TABLE attachment (
    digest TEXT PRIMARY KEY,
    size $integer NOT NULL,
    media_type TEXT NOT NULL,
    received_at $integer NOT NULL,
    form_state TEXT NOT NULL,
    form_tries $integer NOT NULL DEFAULT 0
) $strict;
CREATE INDEX attachment_waiting ON attachment (form_tries, received_at) WHERE form_state = 'waiting';

-- Who handed them in: a phone hears only of its own.
CREATE TABLE attachment_source (
    digest TEXT NOT NULL REFERENCES attachment (digest),
    device_id TEXT NOT NULL,
    author TEXT NOT NULL,
    received_at $integer NOT NULL,
    PRIMARY KEY (digest, device_id)
) $strict_without_rowid;

-- What a note names as its own. Notes come before their attachments, so nothing refers to `attachment` here.
CREATE TABLE note_attachment (
    note_key $integer NOT NULL REFERENCES note (note_key),
    digest TEXT NOT NULL,
    ordinal $integer NOT NULL,
    kind TEXT,
    taken_at $integer,
    PRIMARY KEY (note_key, digest)
) $strict_without_rowid;
CREATE INDEX note_attachment_by_digest ON note_attachment (digest);

-- Merges -----------------------------------------------------------------------------------------------

-- Every decision on whether two records are one child. Nothing is ever changed here: a decision that was taken
-- back has a later event that names it. `child.cluster_id` is what the merges that stand come to.
CREATE TABLE merge_event (
    event_id $identity,
    action TEXT NOT NULL, -- merge, not_same, cannot_tell, confirm; undo
    one_id $integer NOT NULL REFERENCES child (child_id),
    other_id $integer REFERENCES child (child_id),
    undoes $integer UNIQUE REFERENCES merge_event (event_id),
    author TEXT NOT NULL,
    at $integer NOT NULL,
    probability $real,
    weight $real,
    reason TEXT NOT NULL,
    evidence $bytes,
    basis $bytes
) $strict;
CREATE INDEX merge_event_by_one ON merge_event (one_id);
CREATE INDEX merge_event_by_other ON merge_event (other_id);

-- Pairs of records that may be one child, for a person to decide. `child_a` has the lower number.
CREATE TABLE merge_proposal (
    proposal_id $identity,
    child_a $integer NOT NULL REFERENCES child (child_id),
    child_b $integer NOT NULL REFERENCES child (child_id),
    author TEXT NOT NULL,
    proposed_at $integer NOT NULL,
    probability $real,
    weight $real,
    reason TEXT NOT NULL,
    evidence $bytes,
    closed_at $integer,
    closed_by TEXT,
    answer TEXT,
    event_id $integer REFERENCES merge_event (event_id),
    UNIQUE (child_a, child_b)
) $strict;
CREATE INDEX merge_proposal_open ON merge_proposal (proposed_at) WHERE closed_at IS NULL;

-- Flags and alerts -------------------------------------------------------------------------------------

CREATE TABLE flag (
    flag_id $kept_identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    flag_key TEXT NOT NULL,
    rule TEXT NOT NULL,
    rule_version TEXT NOT NULL,
    grade TEXT NOT NULL,
    sentence TEXT NOT NULL,
    proposes TEXT,
    due_at $integer, -- when the flag's own clock ends, and what that is
    due_words TEXT,
    warns_at $integer, -- when a supervisor hears of that, and since when one has
    warned_at $integer,
    raised_at $integer NOT NULL,
    changed_at $integer NOT NULL,
    retracted_at $integer,
    retraction TEXT,
    joint $integer NOT NULL DEFAULT 0 -- 1: of all records of a merged child together
) $strict;
-- One active flag of a kind on a record by itself; the others stand beside it, so that one index serves all.
CREATE UNIQUE INDEX flag_by_child ON flag
    (child_id, flag_key, (CASE WHEN retracted_at IS NULL AND joint = 0 THEN 0 ELSE flag_id END));

CREATE TABLE flag_note (
    flag_id $integer NOT NULL REFERENCES flag (flag_id),
    note_id TEXT NOT NULL,
    PRIMARY KEY (flag_id, note_id)
) $strict_without_rowid;

CREATE TABLE alert (
    alert_id $kept_identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    borough TEXT NOT NULL,
    owner_reason TEXT NOT NULL,
    owner TEXT,
    grade TEXT NOT NULL,
    highest_grade TEXT NOT NULL, -- graver than the grade where a supervisor lowered it
    why TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at $integer NOT NULL,
    deadline_at $integer,
    due_at $integer, -- a flag's own clock: when it ends, what that is, and when a supervisor hears
    due_words TEXT,
    warns_at $integer,
    late_by_ms $integer NOT NULL DEFAULT 0,
    unwritten_ms $integer NOT NULL DEFAULT 0, -- of that, what passed before its note was written, and on the phone
    unsent_ms $integer NOT NULL DEFAULT 0,
    level $integer NOT NULL DEFAULT 0,
    escalates_at $integer,
    waits_for TEXT, -- whom it was told to last because nobody answered
    came_from TEXT, -- its owner until they were away or gone; NULL once somebody has it again
    acknowledged_at $integer,
    acknowledged_by TEXT,
    closed_at $integer,
    closed_reason TEXT,
    outcome TEXT, -- what came of it, by the person who closed it
    first_borough TEXT, -- which had the duty before it was handed to another borough
    rev $integer NOT NULL DEFAULT 1,
    joint $integer NOT NULL DEFAULT 0, -- 1: for what the records of a merged child mean only together
    -- Whatever happens: somebody hears of it next at a stated time, or it is somebody's, or it ended with a reason.
    CHECK (CASE state
        WHEN 'open' THEN escalates_at IS NOT NULL
        WHEN 'acknowledged' THEN owner IS NOT NULL AND acknowledged_by IS NOT NULL
        ELSE closed_reason IS NOT NULL AND escalates_at IS NULL END)
) $strict;
CREATE INDEX alert_queue ON alert (state, borough, deadline_at);
CREATE INDEX alert_escalation ON alert (escalates_at) WHERE escalates_at IS NOT NULL;
-- One open alert for a record in a borough; the others stand beside it, so that one index serves all.
CREATE UNIQUE INDEX alert_by_child ON alert
    (child_id, borough, (CASE WHEN state = 'open' AND joint = 0 THEN 0 ELSE alert_id END));

-- Boroughs that are told for information; the alert's own borough has the duty.
CREATE TABLE alert_copy (
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    borough TEXT NOT NULL,
    PRIMARY KEY (alert_id, borough)
) $strict_without_rowid;
CREATE INDEX alert_copy_by_borough ON alert_copy (borough);

CREATE TABLE alert_flag (
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    flag_id $integer NOT NULL REFERENCES flag (flag_id),
    PRIMARY KEY (alert_id, flag_id)
) $strict_without_rowid;

-- Every grade that a person gave an alert. The rationale is for those who may see the child, and nowhere else.
CREATE TABLE grade_decision (
    decision_id $identity,
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    person TEXT NOT NULL,
    at $integer NOT NULL,
    from_grade TEXT NOT NULL,
    to_grade TEXT NOT NULL,
    proposed_grade TEXT,
    rationale TEXT NOT NULL
) $strict;
CREATE INDEX grade_decision_by_alert ON grade_decision (alert_id);

-- What happened to an alert, in commit order: its history, and what the live stream sends.
CREATE TABLE alert_event (
    event_id $identity,
    xid $xid,
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    borough TEXT NOT NULL,
    kind TEXT NOT NULL,
    grade TEXT NOT NULL,
    actor TEXT NOT NULL,
    told TEXT,
    detail TEXT,
    at $integer NOT NULL
) $strict;
CREATE INDEX alert_event_by_alert ON alert_event (alert_id);
CREATE INDEX alert_event_in_order ON alert_event (xid, event_id);

-- Telling people --------------------------------------------------------------------------------------

-- What is still to be handed to a channel outside. Written with the event, in its transaction. What is queued for
-- `people` is turned into a delivery for each person (`person_id`) and each of their browsers (`subscription_id`).
CREATE TABLE delivery (
    delivery_id $identity,
    event_id $integer NOT NULL REFERENCES alert_event (event_id),
    channel TEXT NOT NULL,
    person_id $integer NOT NULL DEFAULT 0, -- 0: nobody in particular
    subscription_id $integer NOT NULL DEFAULT 0,
    is_digest $integer NOT NULL DEFAULT 0, -- 1: goes out with others, once a day
    state TEXT NOT NULL,
    attempts $integer NOT NULL DEFAULT 0,
    next_at $integer NOT NULL,
    due_at $integer NOT NULL, -- when it should first have gone
    trouble TEXT,
    delivered_at $integer,
    UNIQUE (event_id, channel, person_id, subscription_id)
) $strict;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'waiting';
CREATE INDEX delivery_to_people ON delivery (due_at) WHERE person_id > 0;
CREATE INDEX delivery_dead ON delivery (delivery_id) WHERE state = 'dead';

-- How each person has chosen to be told; minutes of the day for the quiet hours. Nobody has to choose anything.
CREATE TABLE telling (
    person_id $integer PRIMARY KEY,
    address TEXT,
    amber TEXT,
    green TEXT,
    blue TEXT,
    quiet_from $integer,
    quiet_until $integer,
    away_until $integer, -- until then the deputy has the person's duties
    deputy_id $integer,
    changed_at $integer NOT NULL
) $strict;

-- Browsers that a person has allowed to show notifications.
CREATE TABLE push_subscription (
    subscription_id $identity,
    person_id $integer NOT NULL,
    endpoint TEXT NOT NULL UNIQUE,
    p256dh TEXT NOT NULL,
    auth TEXT NOT NULL,
    made_at $integer NOT NULL
) $strict;
CREATE INDEX push_subscription_by_person ON push_subscription (person_id);

-- How each channel fares.
CREATE TABLE channel_health (
    channel TEXT PRIMARY KEY,
    arrived_at $integer,
    failed_at $integer,
    failures $integer NOT NULL DEFAULT 0, -- one after the other, since something last arrived
    trouble TEXT,
    attempts $integer NOT NULL DEFAULT 0, -- ever, and how many of them failed
    failed_attempts $integer NOT NULL DEFAULT 0
) $strict;

-- Between boroughs, and over them ----------------------------------------------------------------------

-- Figures over time are read by when a duty began.
CREATE INDEX alert_by_start ON alert (started_at);

-- An open case of a child: who leads it, since when, and how it ended. A new note goes to its lead.
CREATE TABLE child_case (
    case_id $identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    borough TEXT NOT NULL,
    lead TEXT NOT NULL,
    reason TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    opened_at $integer NOT NULL,
    closed_by TEXT,
    closed_at $integer,
    closed_reason TEXT
) $strict;
CREATE UNIQUE INDEX child_case_open ON child_case (child_id) WHERE closed_at IS NULL;
CREATE INDEX child_case_by_child ON child_case (child_id);

-- Every change of a case's lead; the first is that of its opening.
CREATE TABLE case_lead (
    case_id $integer NOT NULL REFERENCES child_case (case_id),
    since $integer NOT NULL,
    lead TEXT NOT NULL,
    borough TEXT NOT NULL,
    given_by TEXT NOT NULL,
    PRIMARY KEY (case_id, since)
) $strict_without_rowid;

-- A duty that is offered to another borough (or the other-force queue): the sender's until it is accepted.
-- Without an alert the child as a whole is offered: every live alert of it in the sender's borough, and its case.
CREATE TABLE transfer (
    transfer_id $identity,
    child_id $integer NOT NULL REFERENCES child (child_id),
    alert_id $integer REFERENCES alert (alert_id),
    from_borough TEXT NOT NULL,
    to_borough TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at $integer NOT NULL,
    answer TEXT, -- accepted, refused, taken_back
    answered_by TEXT,
    answered_at $integer,
    answer_reason TEXT
) $strict;
CREATE INDEX transfer_by_child ON transfer (child_id);
-- One offer at a time for an alert, and for a child from a borough.
CREATE UNIQUE INDEX transfer_open ON transfer (child_id, from_borough, COALESCE(alert_id, 0)) WHERE answered_at IS NULL;

-- Who rang which other force about an alert, when, and what was said.
CREATE TABLE force_contact (
    contact_id $identity,
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    force TEXT NOT NULL,
    spoke_to TEXT NOT NULL,
    said TEXT NOT NULL,
    called_at $integer NOT NULL,
    person TEXT NOT NULL,
    recorded_at $integer NOT NULL
) $strict;
CREATE INDEX force_contact_by_alert ON force_contact (alert_id);

-- What persons said of whether a note tells of the same event as others. Nothing is ever changed here.
CREATE TABLE incident_decision (
    decision_id $identity,
    subject_id $integer NOT NULL REFERENCES subject (subject_id),
    word TEXT NOT NULL, -- apart, joined (to `other_id`), or as_found
    other_id $integer REFERENCES subject (subject_id),
    person TEXT NOT NULL,
    at $integer NOT NULL,
    reason TEXT NOT NULL
) $strict;
CREATE INDEX incident_decision_by_subject ON incident_decision (subject_id);

-- Dip samples: the commitment to the seed is published before what is drawn from is known. See `records/sampling.py`.
CREATE TABLE dip_sample (
    sample_id $identity,
    commitment TEXT NOT NULL,
    secret TEXT NOT NULL, -- published when the sample is drawn
    closed_from $integer NOT NULL,
    closed_before $integer NOT NULL,
    per_stratum $integer NOT NULL,
    public_source TEXT NOT NULL, -- where the public value will be published, and when
    announced_by TEXT NOT NULL,
    announced_at $integer NOT NULL,
    public_value TEXT, -- what nobody here could know when the commitment was made
    drawn_by TEXT,
    drawn_at $integer
) $strict;

CREATE TABLE dip_item (
    sample_id $integer NOT NULL REFERENCES dip_sample (sample_id),
    alert_id $integer NOT NULL REFERENCES alert (alert_id),
    stratum_borough TEXT NOT NULL,
    stratum_grade TEXT NOT NULL,
    outcome TEXT,
    words TEXT,
    reviewed_by TEXT,
    reviewed_at $integer,
    PRIMARY KEY (sample_id, alert_id)
) $strict_without_rowid;

-- What phones pull -------------------------------------------------------------------------------------

-- `note_key`: of an officer's own note, so that a page of them finds each where its author's others are and not
-- through an index of ids, in which they lie far apart.
CREATE TABLE change (
    seq $identity,
    xid $xid,
    bucket TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    note_key $integer,
    rev $integer NOT NULL,
    op TEXT NOT NULL,
    reason TEXT
) $strict;
CREATE INDEX change_in_order ON change (bucket, xid, seq);

-- What phones are lent ---------------------------------------------------------------------------------

-- Reference rows as phones have them (vocabulary, areas). `data` is missing where a row was taken away.
CREATE TABLE published (
    bucket TEXT NOT NULL,
    id TEXT NOT NULL,
    rev $integer NOT NULL,
    data $bytes,
    PRIMARY KEY (bucket, id)
) $strict_without_rowid;

-- Which children are in the briefing of which ward. What is said of them is put together when it is sent; `digest`
-- tells whether that is another thing than before. A child that left stays with `gone`, so that `rev` only grows, until
-- no phone can have it any more: `swept_at` is when housekeeping first saw it gone.
CREATE TABLE briefed (
    ward TEXT NOT NULL,
    child_id $integer NOT NULL,
    rev $integer NOT NULL,
    digest TEXT NOT NULL,
    gone $integer NOT NULL DEFAULT 0,
    swept_at $integer,
    PRIMARY KEY (ward, child_id)
) $strict_without_rowid;
CREATE INDEX briefed_by_child ON briefed (child_id);
CREATE INDEX briefed_gone ON briefed (swept_at) WHERE gone = 1;

-- For how long a phone may hold the briefing of its ward: the newest of each phone.
CREATE TABLE briefing_lease (
    device_id TEXT PRIMARY KEY,
    ward TEXT NOT NULL,
    begun_at $integer NOT NULL,
    until $integer NOT NULL
) $strict_without_rowid;

-- Which child was on which phone from when to when. (leaves_xid, leaves_seq) is the place of the removal that was
-- sent; the phone is rid of the child once it comes back from beyond it.
CREATE TABLE holding (
    holding_id $identity,
    device_id TEXT NOT NULL,
    child_id $integer NOT NULL,
    given_at $integer NOT NULL,
    until $integer NOT NULL,
    leaves_xid $integer,
    leaves_seq $integer,
    ended_at $integer
) $strict;
CREATE INDEX holding_by_device ON holding (device_id, given_at);
CREATE INDEX holding_by_child ON holding (child_id, given_at);
CREATE INDEX holding_open ON holding (device_id, child_id) WHERE ended_at IS NULL;
CREATE INDEX holding_ended ON holding (ended_at) WHERE ended_at IS NOT NULL;

-- What a phone last said of itself: its own clock and its monotonic clock (ms) with the boot that it counts from, how
-- far its clock is off (server less phone), entries that only it has, and children that it holds.
CREATE TABLE device_report (
    device_id TEXT PRIMARY KEY,
    received_at $integer NOT NULL,
    wall_at $integer NOT NULL,
    monotonic_ms $integer NOT NULL,
    boot_id TEXT NOT NULL,
    offset_ms $integer NOT NULL,
    round_trip_ms $integer NOT NULL,
    waiting $integer NOT NULL,
    holds $integer NOT NULL,
    empty_at $integer -- when it last said that nothing waited on it
) $strict_without_rowid;

-- Places and housekeeping ------------------------------------------------------------------------------

-- Boundaries from the day they came into force; those before stay, for notes that were observed then.
CREATE TABLE area (
    valid_from $integer NOT NULL,
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    boundary $bytes NOT NULL,
    loaded_at $integer NOT NULL,
    PRIMARY KEY (valid_from, code)
) $strict;

-- Rules and weights of linkage that were put in force while the server runs, as they were written; no content: what
-- ships. Of each kind the newest holds.
CREATE TABLE in_force (
    in_force_id $identity,
    kind TEXT NOT NULL CHECK (kind IN ('rules', 'model')),
    version TEXT NOT NULL,
    content TEXT,
    loaded_by TEXT NOT NULL,
    loaded_at $integer NOT NULL
) $strict;

CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until $integer NOT NULL
) $strict;
