"""Hypothesis strategies: notes in many scripts, lines, entries, changes."""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from sync.envelope import Change, ChangeOp, Outcome, Verdict
from sync.note import Amendment, MissingEpisode, Note, Place, Subject, Withdrawal
from sync.operations import Body, Kind
from sync.outbox import Entry, State
from sync.vocabulary import Category, ChildSeen, RiskLevel, Sex, SubjectRole

identifiers = st.from_regex(r"[A-Za-z0-9._~-]{1,64}", fullmatch=True)
sha256s = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
# Every character that UTF-8 carries, but NUL.
characters = st.characters(codec="utf-8", exclude_characters="\0")
texts = st.text(characters, max_size=60)
lines = st.none() | st.text(characters, max_size=30)
instants = st.datetimes(
    min_value=datetime.datetime(1990, 1, 1),
    max_value=datetime.datetime(2100, 1, 1),
    timezones=st.sampled_from(
        [
            datetime.UTC,
            datetime.timezone(datetime.timedelta(hours=1)),
            datetime.timezone(-datetime.timedelta(hours=5)),
        ]
    ),
)

places = st.builds(
    Place,
    latitude=st.none() | st.floats(-90, 90),
    longitude=st.none() | st.floats(-180, 180),
    accuracy_m=st.none() | st.floats(0, 100_000),
    place=lines,
    borough=lines,
)
subjects = st.builds(
    Subject,
    role=st.sampled_from(SubjectRole),
    given_names=lines,
    family_name=lines,
    aliases=st.lists(st.text(characters, max_size=20), max_size=3).map(tuple),
    date_of_birth=st.none() | st.dates(),
    approximate_age=st.none() | st.floats(0, 130),
    sex=st.none() | st.sampled_from(Sex),
    address=lines,
    school=lines,
    description=lines,
)
notes = st.builds(
    Note,
    observed_at=instants,
    recorded_at=instants,
    category=st.sampled_from(Category),
    other_categories=st.lists(st.sampled_from(Category), max_size=4).map(tuple),
    saw_or_heard=texts,
    assessment=texts,
    voice_of_child=texts,
    child_seen=st.none() | st.sampled_from(ChildSeen),
    danger_now=st.booleans(),
    found_at=st.none() | places,
    missing=st.none()
    | st.builds(
        MissingEpisode,
        hours=st.none() | st.floats(0, 9000),
        risk_level=st.none() | st.sampled_from(RiskLevel),
    ),
    subjects=st.lists(subjects, min_size=1, max_size=3).map(tuple),
)
amendments = st.builds(Amendment, recorded_at=instants, reason=texts, text=texts, note=st.none() | notes)
withdrawals = st.builds(Withdrawal, recorded_at=instants, reason=texts)

bodies: st.SearchStrategy[tuple[Kind, Body]] = st.one_of(
    st.tuples(st.just(Kind.NOTE_WRITE), notes),
    st.tuples(st.just(Kind.NOTE_AMEND), amendments),
    st.tuples(st.just(Kind.NOTE_WITHDRAW), withdrawals),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

entries = st.builds(
    Entry,
    epoch=st.sampled_from(["e1", "e2"]),
    seq=st.integers(1, 12),
    digest=st.integers(0, 15).map(lambda n: f"{n:064x}"),
    size=st.integers(1, 5000),
    state=st.sampled_from(State),
    held=st.booleans(),
)
outboxes = st.lists(entries, max_size=12, unique_by=lambda entry: (entry.epoch, entry.seq))

verdicts = st.builds(
    Verdict,
    epoch=st.none() | st.sampled_from(["e1", "e2", "elsewhere"]),
    seq=st.none() | st.integers(0, 14),
    line=st.none() | st.integers(-1, 14),
    v=st.sampled_from(Outcome),
    code=st.none() | st.sampled_from(["applied", "quarantined", "key_reused", "of_the_future"]),
    why=st.none() | st.text(max_size=5),
)

changes = st.builds(
    Change,
    bucket=st.sampled_from(["own", "ward"]),
    kind=st.sampled_from(["note", "child"]),
    id=st.sampled_from("abc"),
    rev=st.integers(1, 6),
    op=st.sampled_from(ChangeOp),
    data=st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
