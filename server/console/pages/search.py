"""The search page: a form, and what was found.

Nothing that was typed stands in an address. The form is sent by POST and answered with a redirect to a page of
its own, `/search/<random>`; what was typed travels in a sealed cookie that the browser sends to that page alone.
So going back to the results, and loading them again, works as on any other page.
"""

from __future__ import annotations

import re
import secrets

import msgspec
from litestar import get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath

from server import searching
from server.access.crypto import derive, seal, unseal
from server.access.errors import SearchedTooOften
from server.access.identity import Person
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.alert_rows import age_of, full_name
from server.console.pages.alerts import place_of
from server.console.pages.web import (
    FORM_BYTES_MAX,
    AnyRequest,
    Form,
    Page,
    bare_shell,
    form_of,
    go,
    page,
    shell,
)
from server.console.views import Shell
from server.console.views_search import Agreeing, SearchForm, SearchPage, SearchRow
from server.http.auth import requires
from server.http.services import Services
from server.linkage.asking import Asked, from_fields, together, understand
from server.records.child import Details, Standing
from server.storage.port import Transaction

SEARCH_KEPT_SECONDS = 30 * 60
"""How long going back to a search works: as long as a session lasts without a request, by default."""
FIELD_CHARACTERS_MAX = 100  # all fields together, sealed, must fit a cookie of 4 kB
TEXT_CHARACTERS_MAX = 300
REASON_CHARACTERS_MAX = 200
KEY_BYTES = 9
COOKIE = "earlysign_search"

BORN_UNKNOWN = "Date of birth or age was not understood. Write it like 3/4/2012, 2012 or 13."
_KEY = re.compile(r"[A-Za-z0-9_-]{12}")
_STANDING = {
    Standing.AWAITING_REVIEW: "Being reviewed: may be a child who is known already",
    Standing.PROVISIONAL: "Known from a note only",
    Standing.KNOWN: None,
    Standing.RETIRED: None,
}
GUARD = requires(Permission.SEARCH_CHILDREN, Permission.SEE_CHILDREN)


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What the cookie holds: whose search it is, and the form."""

    username: str
    fields: dict[str, str]


@get("/search", guards=[GUARD], include_in_schema=False)
async def search_form(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """The empty form."""
    return await _answer(request, services, person, SearchForm())


@post("/search", guards=[GUARD], include_in_schema=False, request_max_body_size=FORM_BYTES_MAX)
async def send_search(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Keep what was typed, sealed, and go to the page that shows what is found."""
    typed = _typed(await form_of(request))
    key = secrets.token_urlsafe(KEY_BYTES)
    kept = _Kept(
        person.username, {name: text for name, text in msgspec.structs.asdict(typed).items() if text}
    )
    sealed = seal(_key(services), msgspec.msgpack.encode(kept), now_ms() // 1000)
    path = f"/search/{key}"
    return go(
        path,
        Cookie(
            key=COOKIE, value=sealed, path=path, max_age=SEARCH_KEPT_SECONDS, httponly=True, samesite="strict",
            secure=services.settings.behind_tls,
        ),
    )  # fmt: skip


@get("/search/{key:str}", guards=[GUARD], include_in_schema=False)
async def search_found(
    request: AnyRequest,
    key: FromPath[str],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Page:
    """What is found now by what was typed then; each look is logged anew."""
    form = _kept_form(request, services, person) if _KEY.fullmatch(key) else None
    return await _answer(request, services, person, form or SearchForm(), gone=form is None)


async def _answer(
    request: AnyRequest, services: Services, person: Person, form: SearchForm, *, gone: bool = False
) -> Page:
    now = now_ms()
    asked = asked_of(form)
    blank = SearchPage(
        form=form,
        place=place_of(services, person),
        may_give_reason=person.may(Permission.SEE_RESTRICTED),
        gone=gone,
    )
    if form.born and not (asked.date_of_birth or asked.year_of_birth or asked.age is not None):
        blank = msgspec.structs.replace(blank, error=BORN_UNKNOWN)

    def look(tx: Transaction) -> tuple[Shell, SearchPage]:
        frame = shell(tx, request, person, "search", now=now)
        if asked.is_empty or blank.error:
            return frame, blank
        model = services.worlds.current(tx).decider.model
        found = searching.search_for(tx, model, person, asked, now=now, reason=form.reason)
        return frame, _found_page(blank, found, services, now)

    try:
        frame, view = await services.store.read(look)
    except SearchedTooOften as error:
        view = msgspec.structs.replace(blank, error=f"{error} {error.hint}")
        answer = page("search.html", bare_shell(request, person), view, status=429)
        answer.headers["retry-after"] = str(error.retry_after_s)
        return answer
    return page("search.html", frame, view, status=422 if view.error else 200)


def asked_of(form: SearchForm) -> Asked:
    """What a filled-in form asks for."""
    fields = from_fields(
        given_names=form.given_names,
        family_name=form.family_name,
        born=form.born,
        school=form.school,
        phone=form.phone,
        home=form.home,
        guardian=form.guardian,
        reference=form.reference,
    )
    return together(understand(form.text), fields)


def _typed(form: Form) -> SearchForm:
    limits = {"text": TEXT_CHARACTERS_MAX, "reason": REASON_CHARACTERS_MAX}
    return SearchForm(
        **{
            name: form.text(name, limits.get(name, FIELD_CHARACTERS_MAX)).strip()
            for name in SearchForm.__struct_fields__
        }
    )


def _kept_form(request: AnyRequest, services: Services, person: Person) -> SearchForm | None:
    """What was typed, where this browser still has it and the same person is signed in."""
    plain = unseal(_key(services), request.cookies.get(COOKIE, ""), now_ms() // 1000, SEARCH_KEPT_SECONDS)
    if plain is None:
        return None
    kept = msgspec.msgpack.decode(plain, type=_Kept)
    return SearchForm(**kept.fields) if kept.username == person.username else None


def _key(services: Services) -> bytes:
    return derive(services.secret, "search cookie")


def _found_page(blank: SearchPage, found: searching.Found, services: Services, now: int) -> SearchPage:
    name_of = services.policy.force.name_of
    return msgspec.structs.replace(
        blank,
        searched=True,
        told_back=found.told_back,
        rows=tuple(_row(hit, services, now) for hit in found.hits),
        more=found.more,
        fitting=found.fitting,
        alerted_only=found.alerted_only,
        ask=tuple(name_of(code) for code in found.elsewhere),
        asks_reason=found.asks_reason,
        incomplete=found.incomplete,
    )


def _row(hit: searching.Hit, services: Services, now: int) -> SearchRow:
    child = hit.child
    owner = child.owner_borough
    return SearchRow(
        child_id=child.child_id,
        name=full_name(child.details),
        born=_born(child.details, now),
        school=child.details.school,
        borough=services.policy.force.name_of(owner) if owner else None,
        standing=_STANDING[child.standing],
        restricted=child.circumstances.restricted,
        probability=hit.probability,
        grades=tuple(grade.value for grade in hit.open_grades),
        agreeing=tuple(
            Agreeing(field=one.field, verdict=one.outcome, words=one.words) for one in hit.agreements
        ),
    )


def _born(details: Details, now: int) -> str:
    aged = age_of(details, now) or ""
    if details.date_of_birth is None:
        return aged
    born = details.date_of_birth
    return f"{born.day} {born:%B %Y} ({aged})"


HANDLERS = [search_form, send_search, search_found]
