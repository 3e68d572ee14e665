"""Which notes of a child's story tell of one event: why, who said so, and what a person may say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from server.casework.incidents import Incident
from server.console import words
from server.console.pages.alert_rows import Telling
from server.console.views_child import NoteEntry
from server.records.incident_decisions import IncidentDecision, Word
from server.records.notes_shown import Written

COULD_JOIN_MAX = 20
"""Notes offered as tellings of the same event, the nearest in time: two that are farther apart hardly are."""


class Events:
    """The events of one child. `may_be_one`: by note, another that may tell of the same one, and why.

    `called` is what each note is called where another entry names it.
    """

    def __init__(
        self,
        notes: Sequence[Written],
        telling: Telling,
        incidents: Sequence[Incident],
        decisions: Mapping[int, IncidentDecision],
        may_be_one: Mapping[str, tuple[str, str]],
        *,
        may_group: bool,
    ) -> None:
        self.notes = notes
        self.telling = telling
        self.incidents = {note_id: one for one in incidents for note_id in one.note_ids}
        self.decisions = decisions
        self.may_be_one = may_be_one
        self.may_group = may_group
        days = Counter(map(_called, notes))
        self.called = {note.note_id: _called(note, timed=days[_called(note)] > 1) for note in notes}

    def grouped(self, note: Written, told: NoteEntry) -> NoteEntry:
        """With the other notes of its event and why they are one, or who said that it is an event of its own."""
        told = msgspec.structs.replace(
            told,
            subject_id=note.subject_id,
            could_join=self.could_join(note),
            may_be_one_with=self.proposed(note),
        )
        word = self.decisions.get(note.subject_id)
        if word is not None and word.word is Word.APART:
            said = f"An event of its own, said {self.telling.author(word.person)}: “{word.reason}”"
            return msgspec.structs.replace(told, same_incident_as=said, can_rejoin=self.may_group)
        incident = self.incidents.get(note.note_id)
        others = [one for one in incident.note_ids if one != note.note_id] if incident else []
        if incident is None or not others:
            return told
        named = words.listed([self.called[one] for one in others if one in self.called])
        said = f"Counted as one event with the note of {named}. {incident.reason}."
        by_hand = word is not None and word.word is Word.JOINED
        if word is not None and by_hand:
            said += f" Joined by {self.telling.author(word.person)}: “{word.reason}”"
        return msgspec.structs.replace(
            told, same_incident_as=said, can_part=self.may_group, can_rejoin=self.may_group and by_hand
        )

    def proposed(self, note: Written) -> str | None:
        """Another note that may tell of the same event, for whoever can say so."""
        other, why = self.may_be_one.get(note.note_id, ("", ""))
        if not self.may_group or other not in self.called:
            return None
        return f"Perhaps one event with the note of {self.called[other]}: {why}. Say so below, if it is."

    def could_join(self, note: Written) -> tuple[tuple[int, str], ...]:
        """The notes that a person could say tell of the same event, the nearest in time first."""
        if not self.may_group:
            return ()
        incident = self.incidents.get(note.note_id)
        with_it = set(incident.note_ids) if incident else set()
        others = [
            one
            for one in self.notes
            if one.note_id not in with_it | {note.note_id} and one.withdrawn_at is None
        ]
        others.sort(key=lambda one: abs(one.observed_at - note.observed_at))
        return tuple((one.subject_id, self.called[one.note_id]) for one in others[:COULD_JOIN_MAX])


def _called(note: Written, *, timed: bool = False) -> str:
    """A note in a list: "4 March (PC Okafor)", with the time where that officer wrote of more on that day."""
    day = words.local(note.observed_at)
    return f"{day.day} {day:%B}{f', {day:%H:%M}' if timed else ''} ({note.author_name})"
