"""The doors for a child: the record, the timeline, markers, and undoing a link.

A restricted record asks why. The reason goes into the header `X-Access-Reason` (percent-encoded UTF-8), never into
an address, which ends up in logs and histories.
"""

from __future__ import annotations

import datetime
from typing import Annotated
from urllib.parse import unquote

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter
from msgspec import Meta

from server import answering, duty, showing
from server.access.identity import Person
from server.access.policy import Permission
from server.access.restricted import REASON_LENGTH_MAX
from server.casework.facts import milliseconds
from server.clock import now_ms
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views_child import ChildWhole, TimelineView, child_whole, timeline_view
from server.storage.port import Transaction
from sync import limits

TEXT_PATTERN = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in text
HEADER_LENGTH_MAX = (
    6 * REASON_LENGTH_MAX
)  # a character may take six bytes and more when it is percent-encoded

Id = Annotated[int, PathParameter(ge=1, le=limits.SEQ_MAX)]
Words = Annotated[str, Meta(min_length=3, max_length=REASON_LENGTH_MAX, pattern=TEXT_PATTERN)]
Reason = Annotated[
    str | None,
    HeaderParameter(
        name="X-Access-Reason",
        max_length=HEADER_LENGTH_MAX,
        description="Why a restricted record is opened; percent-encoded UTF-8.",
    ),
]

READING = documented(
    problems.INVALID,
    problems.NOT_SIGNED_IN,
    problems.NOT_ALLOWED,
    problems.REASON_NEEDED,
    problems.UNAVAILABLE,
)
CHANGING = documented(
    problems.INVALID,
    problems.NOT_SIGNED_IN,
    problems.NOT_ALLOWED,
    problems.REASON_NEEDED,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_TYPE,
    problems.UNAVAILABLE,
)


class MarkerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A marker to set. `kind`, for example `exploitation`, which the rules look for; it ends at `expires_at`."""

    kind: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    reason: Words
    expires_at: Annotated[datetime.datetime, Meta(tz=True)] | None = None


class MarkerSet(msgspec.Struct, frozen=True, kw_only=True):
    """The marker that was set."""

    marker_id: int


class UndoRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`access_reason`: why, where the child's record is restricted."""

    access_reason: Words | None = None


class UndoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The review that waits for a decision on the subject now."""

    review_id: int


def plain(reason: str | None) -> str | None:
    """A reason as it was typed, from its header."""
    return None if reason is None else unquote(reason, errors="replace")


@get(
    "/api/children/{child_id:int}",
    guards=[requires(Permission.SEE_CHILDREN)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="A child's record",
    responses=READING,
)
async def show_child(
    child_id: Id,
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    access_reason: Reason = None,
) -> ChildWhole:
    """Details, circumstances, markers, the flags that hold, alerts, and reviews that wait. It is logged."""
    now, reason = now_ms(), plain(access_reason)
    shown = await services.store.read(lambda tx: showing.child(tx, person, child_id, now=now, reason=reason))
    return child_whole(shown)


@get(
    "/api/children/{child_id:int}/timeline",
    guards=[requires(Permission.SEE_CHILDREN)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="Everything that happened around a child",
    responses=READING,
)
async def show_timeline(
    child_id: Id,
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    access_reason: Reason = None,
) -> TimelineView:
    """Notes with how each came to this child and why, every flag with its notes, every alert with its steps."""
    now, reason = now_ms(), plain(access_reason)

    def look(tx: Transaction) -> showing.Timeline:
        model = services.worlds.current(tx).decider.model
        return showing.timeline(tx, model, person, child_id, now=now, reason=reason)

    return timeline_view(await services.store.read(look))


@post(
    "/api/children/{child_id:int}/markers",
    guards=[requires(Permission.SEE_CHILDREN, Permission.WORK_CASES)],
    security=PERSON_SECURITY,
    tags=["work"],
    summary="Put a marker on a child",
    responses=CHANGING,
)
async def set_marker(
    child_id: Id,
    data: JSONBody[MarkerRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> MarkerSet:
    """Kept with who, why and until when. The rules look at the child's notes again in its light."""
    now = now_ms()
    expires_at = milliseconds(data.expires_at) if data.expires_at else None
    if expires_at is not None and expires_at <= now:
        raise Problem(
            problems.INVALID,
            "The marker would have ended already.",
            extra={"errors": [{"field": "expires_at", "reason": "Expected a time in the future"}]},
        )
    marker_id = await services.store.write(
        lambda tx: duty.set_marker(
            tx,
            services.worlds.current(tx),
            person,
            child_id,
            data.kind,
            data.reason,
            now=now,
            expires_at=expires_at,
        )
    )
    return MarkerSet(marker_id=marker_id)


@post(
    "/api/links/{subject_id:int}/undo",
    guards=[requires(Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    status_code=200,
    tags=["work"],
    summary="Undo a link",
    responses=CHANGING,
)
async def undo_link(
    subject_id: Id,
    data: JSONBody[UndoRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> UndoAnswer:
    """Takes a subject off the child it stands on, whoever put it there: it waits for review again."""
    now = now_ms()
    review_id = await services.store.write(
        lambda tx: answering.undo_link(
            tx, services.worlds.current(tx), person, subject_id, now=now, reason=data.access_reason
        )
    )
    return UndoAnswer(review_id=review_id)


HANDLERS = [show_child, show_timeline, set_marker, undo_link]
