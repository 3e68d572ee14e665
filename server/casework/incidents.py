"""Distinct incidents: notes of one event by several officers are counted once.

Two notes about one child are the same incident when

- two officers wrote them within `near_minutes` of each other, alike in category, and near in place: within
  `near_metres`, or the same place as typed, or, where the places cannot be compared, alike in words; or
- one officer wrote both within `same_author_minutes`, alike in category; or
- both say that the child was missing and the times away overlap, as nobody is missing twice at once; or
- a person said that they tell of one event (`event`), however unlike they are.

"Alike in category" is a category, or a family of categories, in common. The relation is closed: if A is with
B and B with C, the three are one incident. The result does not depend on the order of the notes.
A note of which a person said that it tells of an event of its own (`apart`) is joined to none.
"""

import math
from collections.abc import Sequence

import msgspec

from server.casework.facts import DAY_MS, HOUR_MS, MINUTE_MS, NoteFact
from server.casework.pack import Pack
from server.casework.words import counted, duration

METRES_PER_DEGREE = 111_195.0
"""Along a meridian of the mean Earth (radius 6,371.0088 km). Exact enough at the few hundred metres used."""

_NEAR, _PLACE, _WORDS, _AUTHOR, _EPISODE, _PERSON = 1, 2, 4, 8, 16, 32


class Incident(msgspec.Struct, frozen=True, gc=False):
    """One event. `incident_key` is the note the server received first, so that it stays when others join.

    `note_ids` are in the order observed, `observed_at` is the earliest of them (milliseconds), and `reason`
    says in words why the notes are one incident; for a single note it is empty.
    """

    incident_key: str
    note_ids: tuple[str, ...]
    observed_at: int
    reason: str


def find_incidents(notes: Sequence[NoteFact], pack: Pack) -> tuple[Incident, ...]:
    """The distinct incidents of one child's notes, in the order observed. Withdrawn notes are left out."""
    live = sorted(
        (note for note in notes if not note.withdrawn), key=lambda note: (note.observed_at, note.note_id)
    )
    groups, reasons = group(live, [families(note, pack) for note in live], pack)
    return tuple(describe(live, members, why, pack) for members, why in zip(groups, reasons, strict=True))


def may_be_one(
    notes: Sequence[NoteFact], incidents: Sequence[Incident], pack: Pack
) -> dict[str, tuple[str, str]]:
    """By note, the nearest in time of another event that may be the same one, and why it is for a person to say.

    Two officers, near in time and alike in category, but nothing tells whether it was one place: no position or place
    that can be compared, and words that are not alike enough. Of a note that a person took out nothing is proposed.
    """
    event = {note_id: one.incident_key for one in incidents for note_id in one.note_ids}
    live = [note for note in notes if note.note_id in event and not note.apart]
    masks = {note.note_id: families(note, pack) for note in live}
    near_ms = pack.incidents.near_minutes * MINUTE_MS
    found: dict[str, tuple[int, str, str]] = {}
    live.sort(key=lambda note: (note.observed_at, note.note_id))
    for position, one in enumerate(live):
        for other in live[position + 1 :]:
            apart_ms = other.observed_at - one.observed_at
            if apart_ms > near_ms:
                break
            alike = masks[one.note_id] & masks[other.note_id]
            if not alike or one.author == other.author or event[one.note_id] == event[other.note_id]:
                continue
            if metres_apart(one, other) < math.inf or (one.place and other.place):
                continue  # two places that can be compared, and differ
            span = "a minute" if apart_ms <= MINUTE_MS else duration(apart_ms)
            why = f"two officers within {span}, alike in category; no place that can be compared"
            for note, with_it in ((one, other), (other, one)):
                before = found.get(note.note_id)
                if before is None or apart_ms < before[0]:
                    found[note.note_id] = (apart_ms, with_it.note_id, why)
    return {note_id: (other_id, why) for note_id, (_, other_id, why) in found.items()}


def families(note: NoteFact, pack: Pack) -> int:
    """The categories of a note and their families as bits; a time away counts as missing."""
    bits = pack.family_bits
    mask = bits["missing"] if note.missing_hours is not None else 0
    for category in note.categories:
        mask |= bits[category._value_]
    return mask


def group(live: Sequence[NoteFact], masks: Sequence[int], pack: Pack) -> tuple[list[list[int]], list[int]]:
    """Positions in `live` by incident, and why (bits). `live` is sorted by time observed, then id."""
    settings = pack.incidents
    count = len(live)
    near_ms = settings.near_minutes * MINUTE_MS
    author_ms = settings.same_author_minutes * MINUTE_MS
    reach_ms = max(near_ms, author_ms)
    if count == 1:
        return [[0]], [0]
    parent = list(range(count))
    why = [0] * count
    times = [note.observed_at for note in live]
    first = 0
    for later in range(1, count):
        observed_at = times[later]
        while observed_at - times[first] > reach_ms:
            first += 1
        if first == later:
            continue
        note, mask = live[later], masks[later]
        if note.apart:
            continue
        for earlier in range(later - 1, first - 1, -1):
            if not mask & masks[earlier] or parent[earlier] == parent[later]:
                continue
            if _root(parent, earlier) == _root(parent, later):
                continue
            other = live[earlier]
            if other.apart:
                continue
            apart_ms = observed_at - times[earlier]
            if other.author == note.author:
                reason = _AUTHOR if apart_ms <= author_ms else 0
            else:
                reason = _near(other, note, pack) if apart_ms <= near_ms else 0
            if reason:
                _join(parent, why, earlier, later, reason)
    if settings.join_overlapping_missing:
        _join_episodes(live, masks, parent, why, pack)
    _join_by_hand(live, parent, why)
    by_root: dict[int, list[int]] = {}
    for position in range(count):
        # A root is the earliest of its group, so it comes first here.
        if parent[position] == position:
            by_root[position] = [position]
        else:
            by_root[_root(parent, position)].append(position)
    return list(by_root.values()), [why[root] for root in by_root]


def _join_episodes(
    live: Sequence[NoteFact], masks: Sequence[int], parent: list[int], why: list[int], pack: Pack
) -> None:
    """Join missing notes whose times away overlap. Sorted by their ends, so a walk back finds all."""
    bit = pack.category_bits["missing"]
    longest_ms = pack.incidents.missing_days_max * DAY_MS
    missing: list[int] = []
    for position, note in enumerate(live):
        if not masks[position] & bit or note.apart:
            continue
        if note.missing_hours:
            began_at = note.observed_at - min(int(note.missing_hours * HOUR_MS), longest_ms)
            for earlier in reversed(missing):
                if live[earlier].observed_at < began_at:
                    break
                if _root(parent, earlier) != _root(parent, position):
                    _join(parent, why, earlier, position, _EPISODE)
        missing.append(position)


def _join_by_hand(live: Sequence[NoteFact], parent: list[int], why: list[int]) -> None:
    """Join what a person said is one event."""
    first: dict[int, int] = {}
    for position, note in enumerate(live):
        if note.event is not None and not note.apart:
            founder = first.setdefault(note.event, position)
            if _root(parent, founder) != _root(parent, position):
                _join(parent, why, founder, position, _PERSON)


def _root(parent: list[int], position: int) -> int:
    while parent[position] != position:
        parent[position] = parent[parent[position]]
        position = parent[position]
    return position


def _join(parent: list[int], why: list[int], one: int, two: int, reason: int) -> None:
    """The earlier root stays, so that groups come out in the order observed."""
    low, high = sorted((_root(parent, one), _root(parent, two)))
    parent[high] = low
    why[low] |= why[high] | reason


def _near(one: NoteFact, two: NoteFact, pack: Pack) -> int:
    """Why two notes are near in place, as a bit, or 0. The same whichever comes first."""
    settings = pack.incidents
    positions = one.latitude is not None and two.latitude is not None
    if positions and metres_apart(one, two) <= settings.near_metres:
        return _NEAR
    typed = bool(one.place) and bool(two.place)
    if typed and one.place is not None and two.place is not None and _typed(one.place) == _typed(two.place):
        return _PLACE
    if positions or typed:
        # Places that can be compared and differ are two places, whatever the words say.
        return 0
    shared = len(one.words & two.words)
    if shared < settings.words_shared_min:
        return 0
    shorter = min(len(one.words), len(two.words))
    return _WORDS if shared >= settings.words_share_min * shorter else 0


def _typed(place: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in place.casefold()).split())


def metres_apart(one: NoteFact, two: NoteFact) -> float:
    """Metres between the positions of two notes; infinite where either has none."""
    if one.latitude is None or two.latitude is None or one.longitude is None or two.longitude is None:
        return math.inf
    north = two.latitude - one.latitude
    east = (two.longitude - one.longitude + 540.0) % 360.0 - 180.0
    east *= math.cos(math.radians((one.latitude + two.latitude) / 2))
    return METRES_PER_DEGREE * math.hypot(north, east)


def describe(live: Sequence[NoteFact], members: list[int], why: int, pack: Pack) -> Incident:
    """The incident of those positions in `live`."""
    if len(members) == 1:
        note = live[members[0]]
        return Incident(note.note_id, (note.note_id,), note.observed_at, "")
    notes = [live[position] for position in members]
    founding = min(notes, key=lambda note: (note.received_at, note.note_id))
    return Incident(
        founding.note_id,
        tuple(note.note_id for note in notes),
        notes[0].observed_at,
        _reason(notes, why, pack),
    )


def _reason(notes: list[NoteFact], why: int, pack: Pack) -> str:
    settings = pack.incidents
    clauses = [
        text
        for bit, text in (
            (_NEAR, f"at most {settings.near_metres:g} metres apart"),
            (_PLACE, "the same place as typed"),
            (_WORDS, "place unknown, alike in words"),
            (_AUTHOR, f"the same officer within {settings.same_author_minutes} minutes"),
            (_EPISODE, "the times missing overlap"),
            (_PERSON, "a person said that it is one event"),
        )
        if why & bit
    ]
    authors = len({note.author for note in notes})
    span_ms = notes[-1].observed_at - notes[0].observed_at
    span = "a minute" if span_ms <= MINUTE_MS else duration(span_ms)
    who = f"{counted(len(notes), 'note')} by {counted(authors, 'officer')} within {span}"
    alike = [] if why == _PERSON else ["alike in category"]
    return f"{who[0].upper()}{who[1:]}: {'; '.join(alike + clauses)}"
