"""Who is at the door. Every door asks; one that does not must say so.

A route's `opt["door"]` says who may enter: a signed-in person (when nothing is said), a phone (`DEVICE`), or
everybody (`PUBLIC`). `authenticate` is a guard of the whole application, so a door somebody forgot to think
about is closed. Handlers then take what they need as dependencies:

    @post("/api/alerts/{alert_id:int}/acknowledge", guards=[requires(Permission.ACKNOWLEDGE_ALERTS)])
    async def acknowledge(alert_id: FromPath[int], person: NamedDependency[Person], ...) -> ...

    @post("/api/sync/pull", opt=DEVICE)                 # a revoked phone is refused
    @post("/api/sync/push", opt=DEVICE_HANDS_IN)        # a revoked phone enters: look at device.revoked
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection, Request
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from server.access import devices, sessions
from server.access.crypto import token_digest
from server.access.errors import (
    NotAllowed,
    NotSignedIn,
    PasswordMustChange,
    TokenRefused,
)
from server.access.identity import DeviceIdentity, Person
from server.access.policy import Permission
from server.clock import now_ms
from server.http.services import Services, look, services_of

Connection = ASGIConnection[Any, Any, Any, Any]

PUBLIC: dict[str, Any] = {"door": "public"}
OPEN: dict[str, Any] = PUBLIC | {"exclude_from_csrf": True}
"""Public, and no cookie plays a part: no check of forged requests, and no cookie for it is set."""
DEVICE: dict[str, Any] = {"door": "device", "exclude_from_csrf": True}
DEVICE_HANDS_IN: dict[str, Any] = DEVICE | {"revoked_may_enter": True}
"""A phone that was revoked or told to wipe itself enters to hand in what it still has."""
BEFORE_PASSWORD_CHANGE: dict[str, Any] = {"before_password_change": True}
"""For the doors that somebody with a password made by an administrator may use: changing it, signing out."""

PERSON_SECURITY: list[dict[str, list[str]]] = [{"session": []}]
DEVICE_SECURITY: list[dict[str, list[str]]] = [{"device": []}]
TOKEN_LENGTH_MAX = 200  # ours have 43 characters


def cookie_name(services: Services) -> str:
    """The session cookie. Behind TLS the `__Host-` prefix makes browsers refuse it from anywhere else."""
    return "__Host-earlysign" if services.settings.behind_tls else "earlysign"


def client_address(connection: Connection) -> str:
    """The caller's network address, as the server or its trusted proxy saw it."""
    return connection.client.host if connection.client is not None else "unknown"


async def authenticate(connection: Connection, handler: BaseRouteHandler) -> None:
    """The application's guard: nobody passes a door that is not public without saying who they are."""
    door = handler.opt.get("door", "person")
    if door == "public":
        return
    services = services_of(connection)
    if door == "device":
        device = await find_device(connection, services)
        if not handler.opt.get("revoked_may_enter"):
            devices.may_read(device)
        connection.scope["user"] = device
        return
    person = await find_person(connection, services)
    if person.must_change and not handler.opt.get("before_password_change"):
        raise PasswordMustChange("This password was made by an administrator.")
    connection.scope["user"] = person


async def find_person(connection: Connection, services: Services) -> Person:
    """The person behind the session cookie. Raises `NotSignedIn`."""
    return await sessions.find(
        services.store, services.policy, services.session_rules, _token(connection, services), now_ms()
    )


def session_of(connection: Connection, services: Services) -> bytes:
    """What `sessions.standing` knows the session by; worth nothing as a cookie. Raises `NotSignedIn`."""
    return token_digest(_token(connection, services))


def _token(connection: Connection, services: Services) -> str:
    token = connection.cookies.get(cookie_name(services))
    if not token or len(token) > TOKEN_LENGTH_MAX:
        raise NotSignedIn("You are not signed in.")
    return token


def bearer(authorization: str) -> str | None:
    """The token of an Authorization header, or None where there is none that could be ours."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= TOKEN_LENGTH_MAX else None


async def find_device(connection: Connection, services: Services) -> DeviceIdentity:
    """The phone behind the bearer token. Raises `TokenRefused`."""
    token = bearer(connection.headers.get("authorization", ""))
    if token is None:
        raise TokenRefused("A phone has to send its token: Authorization: Bearer ...")
    now = now_ms()
    device = await look(services, lambda tx: devices.identify(tx, token, now))
    services.answered.met(token)
    return device


def requires(*permissions: Permission) -> Guard:
    """A guard that lets in people whose role holds every one of these permissions."""

    def check(connection: Connection, _handler: BaseRouteHandler) -> None:
        person = connection.scope.get("user")
        if not isinstance(person, Person) or not all(person.may(permission) for permission in permissions):
            raise NotAllowed("Your role does not allow this.")

    return check


def provide_person(request: Request[Any, Any, Any]) -> Person:
    """Dependency `person`: who is signed in."""
    user = request.scope.get("user")
    if not isinstance(user, Person):
        raise NotSignedIn("You are not signed in.")
    return user


def provide_device(request: Request[Any, Any, Any]) -> DeviceIdentity:
    """Dependency `device`: which phone is asking."""
    user = request.scope.get("user")
    if not isinstance(user, DeviceIdentity):
        raise TokenRefused("A phone has to send its token: Authorization: Bearer ...")
    return user


def provide_services(request: Request[Any, Any, Any]) -> Services:
    """Dependency `services`: what the composition root put together."""
    return services_of(request)
