"""The doors for saying which notes tell of one event. Casework joins what is alike; a person has the last word."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from server import grouping
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http.auth import PERSON_SECURITY, requires
from server.http.children import Words
from server.http.merging import CHANGING
from server.http.services import Services
from server.http.views import View
from server.records.incident_decisions import Word
from sync import limits

SubjectId = Annotated[int, Meta(ge=1, le=limits.SEQ_MAX)]

saying = partial(
    post,
    guards=[requires(Permission.SEE_CHILDREN, Permission.WORK_CASES)],
    security=PERSON_SECURITY,
    tags=["work"],
    status_code=200,
    responses=CHANGING,
)
"""A door that says something of a note."""


class NoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A note as it concerns one child (`subject_id`, as on the timeline), and why. `access_reason`: why the record is
    opened, where it is restricted."""

    subject_id: SubjectId
    reason: Words
    access_reason: Words | None = None


class JoinRequest(NoteRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`other_id`: the other note about the same child that tells of the same event."""

    other_id: SubjectId


class GroupedView(View, frozen=True, kw_only=True):
    """The child whose notes were grouped, and which the rules have judged anew."""

    child_id: int


@saying("/api/incidents/join", summary="Say that two notes tell of one event")
async def join(
    data: JSONBody[JoinRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> GroupedView:
    """However unlike they are. What either was joined to before goes with it. `undo` takes it back."""
    return await _said(services, person, data, Word.JOINED, data.other_id)


@saying("/api/incidents/part", summary="Say that a note tells of an event of its own")
async def part(
    data: JSONBody[NoteRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> GroupedView:
    """However like it is to others. `undo` takes it back."""
    return await _said(services, person, data, Word.APART)


@saying("/api/incidents/undo", summary="Take back what was said of a note's event")
async def undo(
    data: JSONBody[NoteRequest], person: NamedDependency[Person], services: NamedDependency[Services]
) -> GroupedView:
    """The note is counted as the rules find it. Taking back what nobody has said changes nothing."""
    return await _said(services, person, data, Word.AS_FOUND)


async def _said(
    services: Services, person: Person, data: NoteRequest, word: Word, other_id: int | None = None
) -> GroupedView:
    now = now_ms()
    child_id = await services.store.write(
        lambda tx: grouping.say(
            tx, services.worlds.current(tx), person, data.subject_id, word, data.reason,
            other_id=other_id, now=now, sight=data.access_reason,
        )
    )  # fmt: skip
    return GroupedView(child_id=child_id)


HANDLERS = [join, part, undo]
