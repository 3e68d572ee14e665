"""Signing in and out, unlocking a hidden page, one's own password, and the first page of a role."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from server.access import errors as refused
from server.access import people, sessions, throttle
from server.access.identity import Person
from server.access.passwords import PASSWORD_LENGTH_MIN
from server.access.policy import Permission
from server.clock import now_ms
from server.console.pages.review_list import share_words
from server.console.pages.web import (
    FORM_BYTES_MAX,
    PATH_CHARACTERS_MAX,
    AnyRequest,
    Page,
    bare_shell,
    form_of,
    go,
    local_path,
    page,
    said_cookie,
    shell,
)
from server.console.views import HomePage, NavItem, PasswordPage, ShareWords, Shell, SignInPage
from server.http.auth import BEFORE_PASSWORD_CHANGE, PUBLIC, client_address, find_person
from server.http.services import Services
from server.http.sign_in import check_password, sign_out_of, signed_in_response
from server.storage.port import Transaction

PASSWORD_CHARACTERS_MAX = 1000
USERNAME_CHARACTERS_MAX = 200

WRONG = "The user name or the password is wrong."


@get("/sign-in", opt=PUBLIC, include_in_schema=False)
async def sign_in_form(
    request: AnyRequest, services: NamedDependency[Services], next: FromQuery[str] = ""
) -> Page:
    """The form; somebody who is signed in already is sent on."""
    onward = local_path(next, "")
    try:
        await find_person(request, services)
    except refused.NotSignedIn:
        return page("sign_in.html", bare_shell(request), SignInPage(next=onward))
    return go(onward or "/")


@post("/sign-in", opt=PUBLIC, include_in_schema=False, request_max_body_size=FORM_BYTES_MAX)
async def sign_in(request: AnyRequest, services: NamedDependency[Services]) -> Page:
    """Check the password and go on. A failure never says which of the two was wrong."""
    form = await form_of(request)
    onward = local_path(form.text("next", PATH_CHARACTERS_MAX + 1), "")
    username = form.text("username", USERNAME_CHARACTERS_MAX)
    password = form.text("password", PASSWORD_CHARACTERS_MAX)

    def again(error: str, status: int) -> Page:
        view = SignInPage(username=username, error=error, next=onward)
        return page("sign_in.html", bare_shell(request), view, status=status)

    if not username.strip() or not password:
        return again("Enter your user name and your password.", 400)
    try:
        signed_in = await check_password(request, services, username, password)
    except refused.WrongPassword:
        return again(WRONG, 401)
    except refused.TooManyAttempts as error:
        minutes = -(-error.retry_after_s // 60)
        wait = "a minute" if minutes == 1 else f"{minutes} minutes"
        return again(f"There were too many wrong tries. Wait {wait}, then try again.", 429)
    return signed_in_response(services, signed_in, go(onward or "/"))


@post("/sign-out", opt=PUBLIC, include_in_schema=False, request_max_body_size=FORM_BYTES_MAX)
async def sign_out(request: AnyRequest, services: NamedDependency[Services]) -> Page:
    """End the session. Works without one too."""
    return await sign_out_of(request, services, go("/sign-in"))


@post(
    "/unlock", opt=BEFORE_PASSWORD_CHANGE, include_in_schema=False, status_code=204,
    request_max_body_size=FORM_BYTES_MAX,
)  # fmt: skip
async def unlock(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Response[None]:
    """Whether this is the password of whoever's session this is. Wrong tries count as they do at sign-in."""
    form = await form_of(request)
    password = form.text("password", PASSWORD_CHARACTERS_MAX)
    now, address, username = now_ms(), client_address(request), person.username

    def begin(tx: Transaction) -> tuple[list[int], tuple[int, str] | None]:
        attempts = throttle.begin(tx, services.limits, username=username, address=address, now=now)
        return attempts, people.stored_hash(tx, username)

    attempts, found = await services.store.write(begin)
    if not await services.passwords.verify(found[1] if found else None, password):
        raise refused.WrongPassword("The password is wrong.")
    await services.store.write(lambda tx: throttle.forgive(tx, attempts, services.limits, username=username))
    return Response(None, status_code=204)


@get("/password", opt=BEFORE_PASSWORD_CHANGE, include_in_schema=False)
async def password_form(request: AnyRequest, person: NamedDependency[Person]) -> Page:
    """The form for one's own password."""
    return page("password.html", bare_shell(request, person), _password_view(person))


@post("/password", opt=BEFORE_PASSWORD_CHANGE, include_in_schema=False, request_max_body_size=FORM_BYTES_MAX)
async def change_password(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """Change it, end every session, and begin a new one here."""
    form = await form_of(request)
    old, new = form.text("old", PASSWORD_CHARACTERS_MAX), form.text("new", PASSWORD_CHARACTERS_MAX)

    def again(field: str, error: str, status: int) -> Page:
        view = _password_view(person, field, error)
        return page("password.html", bare_shell(request, person), view, status=status)

    if new != form.text("again", PASSWORD_CHARACTERS_MAX):
        return again("again", "The two new passwords are not the same.", 422)
    if new == old:
        return again("new", "Choose a password other than the present one.", 422)
    try:
        await sessions.change_password(
            services.store, services.passwords, services.limits, person,
            old=old, new=new, address=client_address(request), now=now_ms(),
        )  # fmt: skip
    except refused.PasswordTooWeak as error:
        return again("new", f"{error} {error.hint}", 422)
    except refused.WrongPassword:
        return again("old", "That is not your present password.", 401)
    except refused.TooManyAttempts as error:
        return again("old", f"There were too many wrong tries. {error.hint}", 429)
    signed_in = await check_password(request, services, person.username, new)
    return signed_in_response(services, signed_in, go("/", said_cookie(services, "password")))


def _password_view(person: Person, field: str | None = None, error: str | None = None) -> PasswordPage:
    return PasswordPage(
        must_change=person.must_change, least=PASSWORD_LENGTH_MIN, wrong_field=field, error=error
    )


@get("/", include_in_schema=False)
async def home(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Page:
    """The first page of a role: the queue for those who have one."""
    if person.may(Permission.SEE_ALERTS):
        answer = go("/alerts")
        return answer
    now = now_ms()

    def look(tx: Transaction) -> tuple[Shell, ShareWords | None]:
        share = share_words(tx, person, now=now) if person.may(Permission.MANAGE_RULES) else None
        return shell(tx, request, person, "", now=now), share

    frame, share = await services.store.read(look)
    return page("home.html", frame, home_of(person, share))


_COMMANDS: tuple[tuple[Permission, str, str], ...] = (
    (
        Permission.MANAGE_DEVICES,
        "earlysign devices",
        "Enrol phones with a one-time code, list and revoke them.",
    ),
    (
        Permission.MANAGE_RULES,
        "earlysign doctor",
        "Look over the settings, the database and the rules in use.",
    ),
    (
        Permission.READ_AUDIT,
        "earlysign audit verify",
        "Check that no entry of the log was changed or removed.",
    ),
)


def home_of(person: Person, share: ShareWords | None = None) -> HomePage:
    """What somebody without a queue can do, and where."""
    links = []
    if person.may(Permission.MANAGE_DEVICES) or person.may(Permission.WRITE_NOTES):
        links.append(NavItem(label="Doors for programs (API)", href="/docs"))
    commands = tuple((command, what) for need, command, what in _COMMANDS if person.may(need))
    return HomePage(role=person.role_title, links=tuple(links), commands=commands, share=share)


HANDLERS = [sign_in_form, sign_in, sign_out, unlock, password_form, change_password, home]
