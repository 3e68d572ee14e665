"""The doors for reviews: the links that linkage leaves to a person, each field by field, and the answers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta

from server import answering, showing
from server.access.identity import Person
from server.access.policy import Permission
from server.answering import ReviewClosed
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views_review import ReviewRow, ReviewWhole, review_row, review_whole
from server.records import links
from server.storage.port import Transaction
from sync import limits

Id = Annotated[int, PathParameter(ge=1, le=limits.SEQ_MAX)]
ChildId = Annotated[int, Meta(ge=1, le=limits.SEQ_MAX)]


class SameAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="answer", tag="same"
):
    """The subject is this candidate."""

    child_id: ChildId


class NotSameAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="answer", tag="not_same"
):
    """The subject is not this candidate. It persists, and the review stays open for the others."""

    child_id: ChildId


class MaybeSameAnswer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="answer",
    tag="maybe_same",
):
    """Takes `not_same` back: this child is a candidate again."""

    child_id: ChildId


class NewAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="answer", tag="new"
):
    """The subject is none of the known children."""


class CannotTellAnswer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="answer",
    tag="cannot_tell",
):
    """It cannot be told. The note keeps a record of its own."""


Answer = SameAnswer | NotSameAnswer | MaybeSameAnswer | NewAnswer | CannotTellAnswer

CHANGING = documented(
    problems.INVALID,
    problems.NOT_SIGNED_IN,
    problems.NOT_ALLOWED,
    problems.CONFLICT,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_TYPE,
    problems.UNAVAILABLE,
)


@get(
    "/api/reviews",
    guards=[requires(Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="Links that wait for a person",
    responses=documented(problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE),
)
async def list_reviews(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> list[ReviewRow]:
    """Those of your boroughs: danger now first, then the gravest grade, then the note that was seen first."""
    found = await services.store.read(lambda tx: links.waiting(tx, person))
    return [review_row(review) for review in found]


@get(
    "/api/reviews/{review_id:int}",
    guards=[requires(Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="One review, field by field",
    responses=documented(
        problems.INVALID, problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE
    ),
)
async def show_review(
    review_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> ReviewWhole:
    """The note, and each child that its subject may be: what agrees, what differs, how much each weighs, and the
    waterfall step by step. Values of a restricted record are left out; open it, with a reason, to see them."""
    now = now_ms()

    def look(tx: Transaction) -> showing.ReviewShown:
        return showing.review(tx, services.worlds.current(tx).decider.model, person, review_id, now=now)

    return review_whole(await services.store.read(look))


@post(
    "/api/reviews/{review_id:int}/answer",
    guards=[requires(Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["work"],
    summary="Decide a review",
    responses=CHANGING,
)
async def answer_review(
    review_id: Id,
    data: JSONBody[Answer],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> ReviewRow:
    """`same`, `not_same` or `maybe_same` (takes `not_same` back) with a `child_id`, `new`, or `cannot_tell`. Every
    answer can be undone."""
    now = now_ms()

    def decide(tx: Transaction) -> links.Review:
        world = services.worlds.current(tx)
        match data:
            case SameAnswer(child_id=child_id):
                answering.answer_same(tx, world, person, review_id, child_id, now=now)
            case NotSameAnswer(child_id=child_id):
                answering.answer_not_same(tx, world, person, review_id, child_id, now=now)
            case MaybeSameAnswer(child_id=child_id):
                answering.answer_maybe_same(tx, person, review_id, child_id, now=now)
            case NewAnswer():
                answering.answer_new(tx, world, person, review_id, now=now)
            case CannotTellAnswer():
                answering.answer_cannot_tell(tx, person, review_id, now=now)
        return links.require_review(tx, person, review_id)

    try:
        return review_row(await services.store.write(decide))
    except ReviewClosed:
        raise Problem(
            problems.CONFLICT,
            "This review has been decided already.",
            hint="Load it again to see what was decided. It can be undone.",
        ) from None


@post(
    "/api/reviews/{review_id:int}/undo",
    guards=[requires(Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["work"],
    summary="Take a decision on a review back",
    responses=documented(
        problems.INVALID,
        problems.NOT_SIGNED_IN,
        problems.NOT_ALLOWED,
        problems.UNAVAILABLE,
    ),
)
async def undo_review(
    review_id: Id, person: NamedDependency[Person], services: NamedDependency[Services]
) -> ReviewRow:
    """The subject goes back to a record that waits, and the review is open again. Undoing twice changes nothing."""
    now = now_ms()

    def undo(tx: Transaction) -> links.Review:
        answering.undo(tx, services.worlds.current(tx), person, review_id, now=now)
        return links.require_review(tx, person, review_id)

    return review_row(await services.store.write(undo))


HANDLERS = [list_reviews, show_review, answer_review, undo_review]
