"""What waits for a person is weighed again when a child becomes known that it may be about.

Two notes about one child whom nobody knows may both wait: its brother is on the registry, say. Once a person has said
of the first that it is a child of its own, the second must not be answered as if that child were not there.
"""

from collections.abc import Collection

import msgspec

from server.linkage.decide import LINK, NEW, REVIEW, Decision, Proposal
from server.linkage.entries import index_entry, looked_up
from server.linkage.standardise import Record, standardise
from server.placing import SYSTEM, details_of
from server.records import children, links, merges, note_subjects
from server.records.index import StoredIndex
from server.records.links import Action
from server.storage.port import Transaction
from server.world import World

WEIGHED_AGAIN_MAX = 5_000
"""Reviews that are looked through, at most, what is most at stake first: each costs some 0.05 ms."""

KNOWN_SINCE = "the child became known while this waited"


def described_now(tx: Transaction, subject_id: int) -> Record:
    """A subject as its author describes it now, standardised."""
    note, ordinal = note_subjects.newest_body(tx, subject_id)
    return standardise(details_of(note, ordinal).description())


def weigh(tx: Transaction, world: World, subject_id: int) -> Decision:
    """What linkage says of a subject now, for a person: it never comes out as a link.

    Neither the record that the subject stands on nor those of the others in its note are candidates.
    """
    _, note_key, _ = note_subjects.subject_record(tx, subject_id)
    own = dict(note_subjects.subjects_of(tx, note_key))
    excluded = {own.pop(subject_id), *children.whole(tx, own.values())}
    decision = world.decider.decide(described_now(tx, subject_id), StoredIndex(tx), excluded=excluded)
    if decision.outcome != LINK:
        return decision
    return msgspec.structs.replace(decision, outcome=REVIEW, rule=KNOWN_SINCE)


def ask_again(tx: Transaction, world: World, child_id: int, *, now: int) -> None:
    """Put a child who has just become known beside the candidates of every review that it may be the answer to, or
    take it from them, where that has just been taken back."""
    keys = index_entry(children.record_of(tx, child_id)).keys
    for subject_id, holding, record in note_subjects.waiting_subjects(tx, WEIGHED_AGAIN_MAX):
        if holding == child_id or looked_up(record).isdisjoint(keys):
            continue
        decision = weigh(tx, world, subject_id)
        if child_id in _ids(decision) | _ids(_last_weighed(tx, subject_id)):
            links.decide(
                tx,
                SYSTEM,
                subject_id,
                Action.REVIEW,
                holding,
                now=now,
                reason=decision.reason,
                evidence=decision,
            )


def _last_weighed(tx: Transaction, subject_id: int) -> Decision | None:
    return next((event.evidence for event in reversed(links.history(tx, subject_id)) if event.evidence), None)


def _ids(decision: Decision | None) -> set[int]:
    return {candidate.child_id for candidate in decision.candidates} if decision else set()


def propose_unseen(
    tx: Transaction, world: World, subject_id: int, child_id: int, offered: set[int], *, now: int
) -> None:
    """A person has said that a subject is a child of its own, `child_id`: where linkage would now think of another
    record, which came since and was not `offered`, ask a person whether the two are one child."""
    decision = weigh(tx, world, subject_id)
    other = decision.child_id
    if decision.outcome == NEW or other is None or other in children.whole(tx, offered | {child_id}):
        return
    found = _as_a_pair(tx, world, child_id, other)
    if found is not None:
        _propose(tx, world, child_id, other, found, now)


def propose_doubles(
    tx: Transaction, world: World, child_id: int, offered: Collection[int], *, now: int
) -> None:
    """A person has said which of the candidates a subject is: where another of them is so like that child that a note
    of it would have been linked, ask a person whether the two are one. A registry may have brought in a child who
    had a record already; until they are merged, no note about the child is linked without a person."""
    for other in sorted(set(offered) - children.whole(tx, [child_id])):
        found = _as_a_pair(tx, world, child_id, other)
        if found is None or found.could_be_siblings:
            continue
        if found.probability >= world.decider.model.link_probability:
            _propose(tx, world, child_id, other, found, now)


def _as_a_pair(tx: Transaction, world: World, one: int, other: int) -> Proposal | None:
    low, high = sorted((one, other))
    records = children.record_of(tx, low), children.record_of(tx, high)
    return world.decider.propose(*records, world.decider.start)


def _propose(tx: Transaction, world: World, one: int, other: int, found: Proposal, now: int) -> None:
    evidence = found.decision(max(one, other), world.decider.version)
    merges.propose(
        tx, SYSTEM, one, other, probability=found.probability, weight=found.weight, evidence=evidence,
        reason=found.reason, now=now,
    )  # fmt: skip
