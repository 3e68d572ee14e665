"""The door for people, as JSON: sign in and out, who am I, change my password.

The console's pages call `signed_in_response` and `signed_out_response` too, so the cookie is made in one
place.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.utils.scope.state import ScopeState
from msgspec import Meta

from server.access import sessions
from server.access.errors import NotSignedIn
from server.access.identity import Person
from server.clock import now_ms
from server.http import problems
from server.http.auth import (
    BEFORE_PASSWORD_CHANGE,
    PERSON_SECURITY,
    PUBLIC,
    client_address,
    cookie_name,
    find_person,
)
from server.http.csrf import HEADER
from server.http.problems import documented
from server.http.services import Services

BODY_BYTES_MAX = 16 * 1024
Answer = TypeVar("Answer")


class SignInRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A username and a password."""

    username: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(min_length=1, max_length=1000)]


class PasswordRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of one's own password."""

    old: Annotated[str, Meta(min_length=1, max_length=1000)]
    new: Annotated[str, Meta(min_length=1, max_length=1000)]


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in and what they may do. `session_expires_at` is in ms since the epoch, UTC."""

    person_id: int
    username: str
    name: str
    role: str
    role_title: str
    permissions: list[str]
    scope: str
    boroughs: list[str]
    must_change_password: bool
    session_expires_at: int


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Fetch this first: it sets the cookie against forged requests, and says how to send it back."""

    csrf_header: str
    csrf_token: str
    signed_in: bool


def view_of(person: Person) -> PersonView:
    """A person as the API shows them to themselves."""
    return PersonView(
        person_id=person.person_id,
        username=person.username,
        name=person.name,
        role=person.role,
        role_title=person.role_title,
        permissions=sorted(person.permissions),
        scope=person.scope,
        boroughs=sorted(person.boroughs),
        must_change_password=person.must_change,
        session_expires_at=person.session_expires_at,
    )


def session_cookie(services: Services, token: str, *, max_age_s: int) -> Cookie:
    """The session cookie: out of reach for scripts and other sites, over TLS only when TLS is in front."""
    return Cookie(
        key=cookie_name(services),
        value=token,
        path="/",
        max_age=max_age_s,
        httponly=True,
        samesite="lax",
        secure=services.settings.behind_tls,
    )


def signed_in_response(
    services: Services, signed_in: sessions.SignedIn, response: Response[Answer]
) -> Response[Answer]:
    """Add the cookie of a new session to a response."""
    max_age_s = services.settings.session_hours * 3600
    response.set_cookie(session_cookie(services, signed_in.token, max_age_s=max_age_s))
    return response


async def sign_out_of(
    request: Request[Any, Any, Any], services: Services, response: Response[Answer]
) -> Response[Answer]:
    """End the session behind the request's cookie and take the cookie back."""
    token = request.cookies.get(cookie_name(services))
    if token:
        await services.store.write(lambda tx: sessions.end(tx, token))
    response.set_cookie(session_cookie(services, "", max_age_s=0))
    return response


async def check_password(
    request: Request[Any, Any, Any], services: Services, username: str, password: str
) -> sessions.SignedIn:
    """Sign in with a password; raises what `sessions.sign_in` raises."""
    return await sessions.sign_in(
        services.store,
        services.passwords,
        services.policy,
        services.limits,
        services.session_rules,
        username=username,
        password=password,
        address=client_address(request),
        now=now_ms(),
    )


def csrf_token_of(request: Request[Any, Any, Any]) -> str:
    """The token that a form on this page has to send back in the hidden field `_csrf_token`."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else ""


@get("/api/sign-in", opt=PUBLIC, tags=["people"], summary="How to sign in, and whether you are")
async def welcome(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Welcome:
    """Sets the cookie `csrftoken`; send its value in the header named here with every POST."""
    try:
        await find_person(request, services)
        signed_in = True
    except NotSignedIn:
        signed_in = False
    return Welcome(csrf_header=HEADER, csrf_token=csrf_token_of(request), signed_in=signed_in)


@post(
    "/api/sign-in",
    opt=PUBLIC,
    status_code=200,
    request_max_body_size=BODY_BYTES_MAX,
    responses=documented(
        problems.INVALID,
        problems.WRONG_PASSWORD,
        problems.CSRF_FAILED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_TYPE,
        problems.TOO_MANY,
        problems.UNAVAILABLE,
    ),
    tags=["people"],
    summary="Sign in with a password",
)
async def sign_in(
    request: Request[Any, Any, Any], data: JSONBody[SignInRequest], services: NamedDependency[Services]
) -> Response[PersonView]:
    """Sets the session cookie. Wrong attempts are counted by username and by network address."""
    signed_in = await check_password(request, services, data.username, data.password)
    return signed_in_response(services, signed_in, Response(view_of(signed_in.person)))


@post(
    "/api/sign-out",
    opt=PUBLIC,
    status_code=204,
    responses=documented(problems.CSRF_FAILED, problems.UNAVAILABLE),
    tags=["people"],
    summary="Sign out",
)
async def sign_out(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[None]:
    """Ends the session. Works without one too."""
    return await sign_out_of(request, services, Response(None, status_code=204))


@get(
    "/api/me",
    opt=BEFORE_PASSWORD_CHANGE,
    security=PERSON_SECURITY,
    responses=documented(problems.NOT_SIGNED_IN, problems.UNAVAILABLE),
    tags=["people"],
    summary="Who is signed in",
)
async def me(person: NamedDependency[Person]) -> PersonView:
    """The signed-in person, their permissions and boroughs."""
    return view_of(person)


@post(
    "/api/password",
    opt=BEFORE_PASSWORD_CHANGE,
    security=PERSON_SECURITY,
    status_code=204,
    request_max_body_size=BODY_BYTES_MAX,
    responses=documented(
        problems.INVALID,
        problems.NOT_SIGNED_IN,
        problems.WRONG_PASSWORD,
        problems.CSRF_FAILED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_TYPE,
        problems.PASSWORD_TOO_WEAK,
        problems.TOO_MANY,
        problems.UNAVAILABLE,
    ),
    tags=["people"],
    summary="Change your own password",
)
async def change_password(
    request: Request[Any, Any, Any],
    data: JSONBody[PasswordRequest],
    person: NamedDependency[Person],
    services: NamedDependency[Services],
) -> Response[None]:
    """Asks for the present password and signs out everywhere; sign in again with the new one."""
    await sessions.change_password(
        services.store,
        services.passwords,
        services.limits,
        person,
        old=data.old,
        new=data.new,
        address=client_address(request),
        now=now_ms(),
    )
    return await sign_out_of(request, services, Response(None, status_code=204))


HANDLERS = [welcome, sign_in, sign_out, me, change_password]
