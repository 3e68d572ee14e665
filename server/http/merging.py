"""The doors for saying that two records are one child, or are not, and for taking it back. Only a person merges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server import duplicates, merging
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.explaining import Compared
from server.http import problems
from server.http.auth import PERSON_SECURITY, requires
from server.http.children import READING, Id, Reason, Words, plain
from server.http.problems import Problem, documented
from server.http.services import Services
from server.http.views import Instant, View, instant
from server.http.views_child import ChildView, child_view
from server.merging import Decided, Impossible
from server.records import merges
from server.storage.port import Transaction
from sync import limits

ChildId = Annotated[int, Meta(ge=1, le=limits.SEQ_MAX)]

CHANGING = documented(
    problems.INVALID,
    problems.NOT_SIGNED_IN,
    problems.NOT_ALLOWED,
    problems.REASON_NEEDED,
    problems.CONFLICT,
    problems.TOO_LARGE,
    problems.UNSUPPORTED_TYPE,
    problems.UNAVAILABLE,
)

looking = partial(
    get,
    guards=[requires(Permission.SEE_CHILDREN, Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    tags=["work"],
)
"""A door that shows what is proposed."""
deciding = partial(
    post,
    guards=[requires(Permission.SEE_CHILDREN, Permission.DECIDE_LINKS)],
    security=PERSON_SECURITY,
    tags=["work"],
    status_code=200,
    responses=CHANGING,
)
"""A door that takes a decision."""


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, if it helps the next reader. `access_reason`: why a record is opened, where one is restricted."""

    reason: Words | None = None
    access_reason: Words | None = None


class PairRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another record, and why. `access_reason`: why it is opened, where either record is restricted."""

    other_id: ChildId
    reason: Words
    access_reason: Words | None = None


class UnmergeRequest(Because, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The merge to take back, by the number that the answer to it gave and that the timeline has."""

    event_id: ChildId


class ConfirmRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why this is known to be a child of their own."""

    reason: Words
    access_reason: Words | None = None


class ProposalAnswer(Because, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`same`, `not_same` or `cannot_tell`, and why."""

    answer: Literal["same", "not_same", "cannot_tell"]


class DecidedView(View, frozen=True, kw_only=True):
    """What was decided. `child_id`: the record that the child continues as; `event_id` undoes it."""

    event_id: int
    child_id: int


class DuplicateView(View, frozen=True, kw_only=True):
    """A record that may be the same child, field by field. `apart`: a person has said that it is not."""

    child: ChildView
    compared: Compared | None
    apart: bool


class DuplicatesView(View, frozen=True, kw_only=True):
    """Likeliest first. `elsewhere`: how many more there are that you may not see."""

    child: ChildView
    duplicates: list[DuplicateView]
    elsewhere: int


class ProposalView(View, frozen=True, kw_only=True):
    """Two records that may be one child. `danger`: one of them is in danger now. `urgency` is that of the gravest
    flag on either: 3 for red, -1 for none."""

    proposal_id: int
    child_ids: list[int]
    proposed_at: Instant
    probability: float | None
    weight: float | None
    reason: str
    danger: bool
    urgency: int


async def decided(services: Services, work: Callable[[Transaction], Decided]) -> DecidedView:
    """Take a decision in a transaction of its own; one that cannot be is a conflict with a hint."""
    try:
        done = await services.store.write(work)
    except Impossible as error:
        raise Problem(problems.CONFLICT, str(error), hint=error.hint) from None
    return DecidedView(event_id=done.event_id, child_id=done.kept_id)


@looking(
    "/api/children/{child_id:int}/duplicates", summary="Records that may be the same child", responses=READING
)
async def show_duplicates(
    child_id: Id,
    person: NamedDependency[Person],
    services: NamedDependency[Services],
    access_reason: Reason = None,
) -> DuplicatesView:
    """What linkage finds with the child's own record, field by field. Every record shown is logged."""
    now, reason = now_ms(), plain(access_reason)

    def look(tx: Transaction) -> duplicates.Duplicates:
        decider = services.worlds.current(tx).decider
        return duplicates.possible(tx, decider, person, child_id, now=now, reason=reason)

    found = await services.store.read(look)
    return DuplicatesView(
        child=child_view(found.child),
        duplicates=[
            DuplicateView(child=child_view(one.other), compared=one.compared, apart=one.apart is not None)
            for one in found.pairs
        ],
        elsewhere=found.elsewhere,
    )


@deciding("/api/children/{child_id:int}/merge", summary="Say that two records are one child")
async def merge(
    child_id: Id,
    data: JSONBody[PairRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """Nothing is moved or destroyed, and it can be undone at any time. Whoever has a duty on either is told."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.merge(
            tx, services.worlds.current(tx), person, child_id, data.other_id,
            now=now, reason=data.reason, access_reason=data.access_reason,
        ),
    )  # fmt: skip


@deciding("/api/children/{child_id:int}/unmerge", summary="Undo a merge")
async def unmerge(
    child_id: Id,
    data: JSONBody[UnmergeRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """Each record is again what it would be had it never been merged, with what came to it meanwhile."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.undo(
            tx, services.worlds.current(tx), person, data.event_id,
            now=now, reason=data.reason, access_reason=data.access_reason, about=child_id,
        ),
    )  # fmt: skip


@deciding("/api/children/{child_id:int}/not-the-same", summary="Say that two records are two children")
async def not_the_same(
    child_id: Id,
    data: JSONBody[PairRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """It persists: they are not proposed again, nor merged, until something new is known or it is undone."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.not_the_same(
            tx, person, child_id, data.other_id,
            now=now, reason=data.reason, access_reason=data.access_reason,
        ),
    )  # fmt: skip


@deciding("/api/children/{child_id:int}/confirm", summary="Confirm a provisional record")
async def confirm(
    child_id: Id,
    data: JSONBody[ConfirmRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """The record that linkage made from a note is a child of their own: it becomes known."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.confirm(
            tx, person, child_id, now=now, reason=data.reason, access_reason=data.access_reason
        ),
    )


@deciding("/api/merges/{event_id:int}/undo", summary="Undo any decision on whether records are one child")
async def undo(
    event_id: Id,
    data: JSONBody[Because],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """A merge, "not the same child", "cannot tell", a confirmation. A proposal that it answered waits again."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.undo(
            tx, services.worlds.current(tx), person, event_id,
            now=now, reason=data.reason, access_reason=data.access_reason,
        ),
    )  # fmt: skip


@looking(
    "/api/merges/proposals",
    summary="Records that a program thinks may be one child",
    responses=documented(problems.NOT_SIGNED_IN, problems.NOT_ALLOWED, problems.UNAVAILABLE),
)
async def list_proposals(
    person: NamedDependency[Person], services: NamedDependency[Services]
) -> list[ProposalView]:
    """Those that wait and that you may decide: the most at stake first, then the oldest."""
    found = await services.store.read(lambda tx: merges.waiting(tx, person))
    return [
        ProposalView(
            proposal_id=one.proposal_id,
            child_ids=[one.child_a, one.child_b],
            proposed_at=instant(one.proposed_at),
            probability=one.probability,
            weight=one.weight,
            reason=one.reason,
            danger=one.danger,
            urgency=one.urgency,
        )
        for one in found
    ]


@deciding("/api/merges/proposals/{proposal_id:int}/answer", summary="Answer a proposal")
async def answer_proposal(
    proposal_id: Id,
    data: JSONBody[ProposalAnswer],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> DecidedView:
    """`same` merges, `not_same` persists, `cannot_tell` leaves it until more is known. Each can be undone."""
    now = now_ms()
    return await decided(
        services,
        lambda tx: merging.answer(
            tx, services.worlds.current(tx), person, proposal_id, data.answer,
            now=now, reason=data.reason, access_reason=data.access_reason,
        ),
    )  # fmt: skip


HANDLERS = [
    show_duplicates,
    merge,
    unmerge,
    not_the_same,
    confirm,
    undo,
    list_proposals,
    answer_proposal,
]
