"""A child's notes as the rules see them: in the order observed, grouped into distinct incidents."""

import operator
from collections.abc import Iterable

import msgspec

from server.casework.facts import ChildFacts, NoteFact
from server.casework.incidents import Incident, describe, families, group
from server.casework.pack import Pack


class Episode(msgspec.Struct, gc=False):
    """One distinct incident of the notes that count. Milliseconds; `members` are positions in `live`."""

    observed_at: int
    received_at: int
    mask: int
    members: list[int]


class History:
    """A child's live notes in the order observed, with what several rules need worked out once."""

    __slots__ = ("_groups", "_why", "about", "child", "episodes", "live", "masks", "missing", "pack")

    def __init__(self, child: ChildFacts, notes: Iterable[NoteFact], pack: Pack) -> None:
        live = [note for note in notes if not note.withdrawn]
        if len(live) > 1:
            live = _each_once(live, pack)
            live.sort(key=_place_in_time)
        masks = [families(note, pack) for note in live]
        roles = pack.counted_roles
        self.child = child
        self.pack = pack
        self.live = live
        self.masks = masks
        self.about = [n for n, note in enumerate(live) if note.role in roles or note.sole_subject]
        bit = pack.category_bits["missing"]
        self.missing = [n for n in self.about if masks[n] & bit]
        self._groups, self._why = group(live, masks, pack)
        self.episodes = self._episodes()

    def _episodes(self) -> list[Episode]:
        """Incidents of the notes that count. Notes about somebody else neither count nor move one in time."""
        everything = len(self.about) == len(self.live)
        about = set() if everything else set(self.about)
        found = []
        for members in self._groups:
            counting = members if everything else [n for n in members if n in about]
            if not counting:
                continue
            first = self.live[counting[0]]
            mask, received_at = self.masks[counting[0]], first.received_at
            for n in counting[1:]:
                mask |= self.masks[n]
                received_at = min(received_at, self.live[n].received_at)
            found.append(Episode(first.observed_at, received_at, mask, counting))
        if not everything:
            found.sort(key=lambda episode: episode.observed_at)
        return found

    def incidents(self) -> tuple[Incident, ...]:
        """Every incident, those of notes about somebody else included."""
        return tuple(
            [
                describe(self.live, members, why, self.pack)
                for members, why in zip(self._groups, self._why, strict=True)
            ]
        )

    def groups(self) -> list[list[int]]:
        """Positions in `live` by incident, in the order observed."""
        return self._groups


def _each_once(notes: list[NoteFact], pack: Pack) -> list[NoteFact]:
    """One fact for each note: two people in a note may be one child. A role that counts wins."""
    if len({note.note_id for note in notes}) == len(notes):
        return notes
    chosen: dict[str, NoteFact] = {}
    for note in sorted(notes, key=lambda note: (note.role not in pack.counted_roles, note.role.value)):
        chosen.setdefault(note.note_id, note)
    return list(chosen.values())


_place_in_time = operator.attrgetter("observed_at", "note_id")
"""The order of notes in `History.live`: as observed, and by id within one millisecond."""
