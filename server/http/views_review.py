"""What a review looks like as JSON: the list, and one with all it needs. See `views`."""

from __future__ import annotations

from server.explaining import Explained
from server.http.views import Instant, View, instant, maybe
from server.http.views_child import ChildView, child_view
from server.http.views_note import LinkView, NoteView, link_view, note_view
from server.records.links import Review
from server.showing import Entry, ReviewShown


class ReviewRow(View, frozen=True, kw_only=True):
    """A review that waits. `urgency` is the grade's: 3 for red to 0 for blue; `danger`: a child is in danger now;
    `noted_at`: when its note was observed."""

    review_id: int
    subject_id: int
    borough: str
    danger: bool
    urgency: int
    noted_at: Instant
    opened_at: Instant
    closed_at: Instant | None
    closed_by: str | None
    answer: str | None


class ReviewWhole(View, frozen=True, kw_only=True):
    """A review with all it needs: the note, each candidate field by field, the candidates' records, the
    decisions so far. `known` leaves out restricted records: they are opened by themselves, with a reason."""

    review: ReviewRow
    note: NoteView
    explained: Explained | None
    known: list[ChildView]
    ruled_out: list[int]
    decisions: list[LinkView]


def review_row(review: Review) -> ReviewRow:
    """A review in a list, as JSON has it."""
    return ReviewRow(
        review_id=review.review_id,
        subject_id=review.subject_id,
        borough=review.borough,
        danger=review.danger,
        urgency=review.urgency,
        noted_at=instant(review.noted_at),
        opened_at=instant(review.opened_at),
        closed_at=maybe(review.closed_at),
        closed_by=review.closed_by,
        answer=review.answer,
    )


def review_whole(shown: ReviewShown) -> ReviewWhole:
    """A review with all it needs, as JSON has it."""
    return ReviewWhole(
        review=review_row(shown.review),
        note=note_view(Entry(note=shown.note, link=None, evidence=None)),
        explained=shown.explained,
        known=[child_view(child) for child in shown.known.values() if not child.circumstances.restricted],
        ruled_out=sorted(shown.ruled_out),
        decisions=[link_view(event) for event in shown.events],
    )
