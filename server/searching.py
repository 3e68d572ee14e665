"""Searching for a child by whatever is known: found by the index, ranked by the model, shown by right.

- In sight: shown, and logged as a consultation of each child, with "search" and never with what was typed.
- In other boroughs only: not shown. Where one child is described well enough to be recognised, the answer says
  which borough to ask, to those whose role allows it; that too is logged.
- Restricted: not found at all without the permission and a reason; the reason is kept.
- Waiting for review: found like any other, for there is a worry about that child. Retired: not found; an id of
  such a record leads to the record it continues as.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from server.access import restricted
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.linkage.asking import Asked, told_back
from server.linkage.decide import Candidate
from server.linkage.explain import explain
from server.linkage.fitting import Readings
from server.linkage.levels import AGREE, MISSING, NEAR
from server.linkage.model import Model
from server.linkage.postings import bits_of, block_of
from server.linkage.ranking import Ranker
from server.linkage.search import comparable, readings_of, slots_of
from server.linkage.selecting import CANDIDATES_MAX, Group, Slot, select, union
from server.linkage.terms import BOROUGH, term, terms_of
from server.records import children_shown, overview, search, search_sets
from server.records.child import Child
from server.records.search import Entry
from server.storage.port import Transaction
from sync.vocabulary import Grade

HITS_MAX = 20
"""More are not read, they are scrolled past; the person is asked for one more fact."""
LIKELY_MIN = 0.5
"""From here a record is more likely than not the child that was described: a probability is worth showing, and
another borough's record is worth a telephone call."""
SHOWN_PROBABILITY_MIN = 0.01
BEHIND_BITS_MAX = 10.0
"""A child a thousand times less likely than the best is no answer to what was asked."""


class Agreement(msgspec.Struct, frozen=True):
    """How one field compares: its name on screen, agree, near or differ, and how in words."""

    field: str
    outcome: str
    words: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A child that may be the one. `probability` is None where too little was asked for it to mean anything."""

    child: Child
    weight: float
    probability: float | None
    agreements: tuple[Agreement, ...]
    open_grades: tuple[Grade, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a search.

    `fitting`: so many fit that they could not be told apart (0 where all were compared); the hits are then those
    in the person's boroughs, or of these the ones with an open alert. `elsewhere`: boroughs to ask. `asks_reason`:
    restricted records were left out for want of a reason. `incomplete`: more children are new or lately changed than
    are looked through outside the index, so some of them were not looked at.
    """

    asked: Asked
    told_back: tuple[tuple[str, str], ...]
    hits: tuple[Hit, ...] = ()
    fitting: int = 0
    alerted_only: bool = False
    more: int = 0
    elsewhere: tuple[str, ...] = ()
    asks_reason: bool = False
    incomplete: bool = False


class _Pool(msgspec.Struct, frozen=True):
    """Children worth comparing, which of the terms anybody has, and what is said of how they were chosen."""

    child_ids: tuple[int, ...]
    borne: frozenset[int]
    fitting: int = 0
    alerted_only: bool = False


_LOCAL = threading.local()


def search_for(
    tx: Transaction, model: Model, person: Person, asked: Asked, *, now: int, reason: str | None = None
) -> Found:
    """Search, within what this person may see. Raises NotAllowed and SearchedTooOften."""
    if not (person.may(Permission.SEARCH_CHILDREN) and person.may(Permission.SEE_CHILDREN)):
        raise NotAllowed("Your role does not search for children.")
    told = tuple(told_back(asked))
    if asked.is_empty:
        return Found(asked=asked, told_back=told)
    search.count_use(tx, person, now=now)
    on = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
    named = _referred(tx, asked)
    slots = slots_of(asked, on)
    pool = _pool(tx, person, slots)
    fresh_ids = search.unindexed(tx)
    fresh = _fresh(tx, fresh_ids[: search.UNINDEXED_READ_MAX], slots)
    entries = {entry.child_id: entry for entry in search.entries(tx, [*named, *pool.child_ids])}
    entries |= {entry.child_id: entry for entry in fresh}
    may_restricted = restricted.showing(person, restricted=True, reason=reason) is restricted.Showing.WHOLE
    known = [e for e in entries.values() if not e.retired and (may_restricted or not e.restricted)]
    readings = Readings(
        readings_of(asked, on, pool.borne.union(*(terms_of(entry.record) for entry in fresh)))
    )
    weighed = _ranker(model).rank(
        readings.fitting,
        [(e.child_id, comparable(e.record, readings.all[0]), e.restricted) for e in known],
        behind_bits=BEHIND_BITS_MAX,
        always=named,
    )
    likely = [one for one in weighed if one.child_id in named or _speaks_for(one, slots)]
    likely.sort(key=lambda one: one.child_id not in named)
    seen: dict[int, Candidate] = {}
    for one in likely:
        if _in_sight(person, entries[one.child_id]):
            # Of several records of one child the likeliest speaks for it.
            seen.setdefault(entries[one.child_id].kept_id, one)
    hits = _hits(tx, model, person, dict(islice(seen.items(), HITS_MAX)), pool, named, now=now, reason=reason)
    return Found(
        asked=asked,
        told_back=told,
        hits=hits,
        fitting=pool.fitting,
        alerted_only=pool.alerted_only,
        more=len(seen) - len(hits),
        elsewhere=_elsewhere(tx, person, likely, entries, named, pool, now),
        asks_reason=person.may(Permission.SEE_RESTRICTED) and not may_restricted,
        incomplete=len(fresh_ids) > search.UNINDEXED_READ_MAX,
    )


def _referred(tx: Transaction, asked: Asked) -> frozenset[int]:
    """Children whom an id stands for: one that was given as such, or a word or number that could be one."""
    short = asked.phone if asked.phone and not asked.phone.startswith(("0", "+")) else None
    maybe = [word for word in asked.words if any(map(str.isdigit, word))]
    ids = search.referred(tx, [text for text in (asked.reference, short, asked.upn, *maybe) if text])
    found = set()
    for entry in search.entries(tx, ids):
        onward = overview.continues_as(tx, entry.child_id) if entry.retired else entry.child_id
        if onward is not None:
            found.add(onward)
    return frozenset(found)


def _pool(tx: Transaction, person: Person, slots: Sequence[Slot]) -> _Pool:
    """The children to compare: those who have most of the facts wherever they are, and, with the room that is
    left, those near, where fewer facts go further. Too many: those near alone; still too many: the alerted ones.
    """
    found = search_sets.sets(tx, {one for slot in slots for option in slot.options for one in option})
    borne = frozenset(found.groups)
    everywhere = select(slots, found.groups, found.last, counts=found.counts, limit=CANDIDATES_MAX)
    if person.sees_borough(None) and not everywhere.fitting:
        return _Pool(everywhere.child_ids, borne)
    scopes = search_sets.sets(tx, {term(BOROUGH, code) for code in person.boroughs}).groups
    room = CANDIDATES_MAX if everywhere.fitting else CANDIDATES_MAX - len(everywhere.child_ids)
    near = select(slots, found.groups, found.last, within=union([*scopes.values(), {}]), limit=room)
    if not everywhere.fitting:
        return _Pool(tuple(dict.fromkeys(everywhere.child_ids + near.child_ids)), borne)
    if not near.fitting:
        return _Pool(near.child_ids, borne, everywhere.fitting)
    within = _group([child_id for child_id in search.alerted(tx, person) if child_id <= found.last])
    alerted = select(slots, found.groups, found.last, within=within, limit=CANDIDATES_MAX)
    return _Pool(alerted.child_ids, borne, near.fitting, alerted_only=True)


def _group(child_ids: Sequence[int]) -> Group:
    blocks: dict[int, list[int]] = {}
    for child_id in child_ids:
        block, offset = block_of(child_id)
        blocks.setdefault(block, []).append(offset)
    return {block: bits_of(offsets) for block, offsets in blocks.items()}


def _fresh(tx: Transaction, child_ids: Sequence[int], slots: Sequence[Slot]) -> list[Entry]:
    """Children whom the index does not hold yet and who have at least half of the facts."""
    found = []
    for entry in search.entries(tx, child_ids):
        terms = terms_of(entry.record)
        having = sum(any(not option.isdisjoint(terms) for option in slot.options) for slot in slots)
        if slots and 2 * having >= len(slots):
            found.append(entry)
    return found


def _speaks_for(candidate: Candidate, slots: Sequence[Slot]) -> bool:
    """Whether more speaks for this child than against, and not an age alone where more was asked."""
    age_will_do = all(slot.name == "born" for slot in slots)
    agrees = any(
        one.outcome == AGREE or (one.outcome == NEAR and (age_will_do or one.comparison != "date_of_birth"))
        for one in candidate.evidence
        if one.comparison != "sex"
    )
    return agrees and candidate.weight - candidate.household_step > 0


def _in_sight(person: Person, entry: Entry) -> bool:
    """The rule of `children_shown.require_sight`, of a record that is at hand."""
    return person.sees_borough(None) or any(person.sees_borough(code) for code in entry.seen_by)


def _hits(
    tx: Transaction,
    model: Model,
    person: Person,
    seen: Mapping[int, Candidate],
    pool: _Pool,
    named: frozenset[int],
    *,
    now: int,
    reason: str | None,
) -> tuple[Hit, ...]:
    """`seen`: what speaks for each child, by the record that the child is shown as."""
    shown = children_shown.hits(tx, person, list(seen), now=now, reason=reason)
    grades = overview.open_grades(tx, list(seen))
    known = sum(candidate.probability for candidate in seen.values())
    tells = known >= LIKELY_MIN and not pool.fitting and not named
    return tuple(
        Hit(
            child=child,
            weight=candidate.weight,
            probability=candidate.probability
            if tells and candidate.probability >= SHOWN_PROBABILITY_MIN
            else None,
            agreements=tuple(
                Agreement(step.title, step.outcome, step.label)
                for step in explain(candidate, model)
                if step.outcome and step.outcome != MISSING
            ),
            open_grades=grades.get(child.child_id, ()),
        )
        for child, candidate in zip(shown, seen.values(), strict=True)
    )


def _elsewhere(
    tx: Transaction,
    person: Person,
    likely: Sequence[Candidate],
    entries: dict[int, Entry],
    named: frozenset[int],
    pool: _Pool,
    now: int,
) -> tuple[str, ...]:
    """Boroughs to ask: of records out of sight that are more likely than not the child, or were named by id."""
    if not person.may(Permission.SEARCH_ELSEWHERE) or pool.fitting:
        return ()
    ids = {
        entries[one.child_id].kept_id
        for one in likely
        if (one.probability >= LIKELY_MIN or one.child_id in named)
        and not _in_sight(person, entries[one.child_id])
    }
    return tuple(children_shown.elsewhere(tx, person, sorted(ids), now=now))


def _ranker(model: Model) -> Ranker:
    """This thread's own: it remembers pairs of names."""
    kept: Ranker | None = getattr(_LOCAL, "ranker", None)
    if kept is None or kept.model is not model:
        kept = _LOCAL.ranker = Ranker(model)
    return kept
