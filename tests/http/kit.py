"""What tests of doors use: a running application, an enrolled phone, a signed-in person."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from litestar import Litestar
from litestar.testing import TestClient

from server.access import devices, people, sessions
from server.audit import Actor
from server.clock import now_ms
from server.http.auth import cookie_name
from server.http.devices import JWT_BEARER
from server.http.services import Services
from tests.http.live import LiveClient

ADMIN = Actor("system", "tests")
LAMBETH = "E09000022"
PASSWORD = "correct horse battery staple"
Client = TestClient[Litestar] | LiveClient


def services_of(client: Client) -> Services:
    """The services of a running test application."""
    services: Services = client.app.state.services
    return services


def add_person(
    client: Client,
    username: str = "rivera",
    *,
    role: str = "investigator",
    borough: str | None = LAMBETH,
    password: str | None = None,
    must_change: bool = False,
    unit: str | None = None,
) -> int:
    """Store a person; without `password` nobody can sign in as them by password (and the test is faster)."""
    services = services_of(client)
    hashed = "!" if password is None else services.passwords.hash_now(password)
    return services.store.write_now(
        lambda tx: people.add(
            tx,
            username=username,
            name=f"Test {username}",
            role=role,
            borough=borough,
            unit=unit,
            password_hash=hashed,
            must_change=must_change,
            actor=ADMIN,
            now=now_ms(),
        )
    )


class Desk:
    """A signed-in person's browser: the session cookie, and the token against forged requests."""

    def __init__(self, client: Client, person_id: int) -> None:
        services = services_of(client)
        self.client = client
        self.person_id = person_id
        started = services.store.write_now(
            lambda tx: sessions.start(tx, services.policy, services.session_rules, person_id, now_ms())
        )
        self.token = started.token
        self.cookies = {cookie_name(services): started.token}
        answer = self.get("/api/sign-in")
        self.csrf = answer.json()["csrf_token"]
        self.cookies["csrftoken"] = self.csrf

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, headers=self.headers(more), **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.client.post(path, headers=self.headers(more) | {"x-csrftoken": self.csrf}, **more)

    def headers(self, more: dict[str, Any]) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given: dict[str, str] = more.pop("headers", {})
        return given | {"cookie": cookies}


class Phone:
    """A phone with a key of its own, as tests need it. `clock_ms` is what it believes the time is."""

    def __init__(self, client: Client, clock_ms: Callable[[], int] = now_ms) -> None:
        self.client = client
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.clock_ms = clock_ms
        self.device_id = ""
        self.bearer = ""

    @property
    def jwk(self) -> dict[str, Any]:
        members: dict[str, Any] = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return members

    @property
    def audience(self) -> str:
        return services_of(self.client).settings.base_url

    def sign(self, claims: dict[str, Any], *, key: Any = None, algorithm: str = "ES256") -> str:
        return jwt.encode(claims, key or self.key, algorithm=algorithm)

    def times(self) -> dict[str, int]:
        seconds = self.clock_ms() // 1000
        return {"iat": seconds, "exp": seconds + 60}

    def proof(self, code: str) -> str:
        return self.sign({"aud": self.audience, "code": code.replace("-", ""), **self.times()})

    def enrol_body(self, code: str, **changes: Any) -> dict[str, Any]:
        return {"code": code, "public_key": self.jwk, "proof": self.proof(code), "name": "phone 7"} | changes

    def enrol(self, code: str, **changes: Any) -> Any:
        answer = self.client.post("/api/devices/enrol", json=self.enrol_body(code, **changes))
        if answer.status_code == 201:
            self.device_id = answer.json()["device_id"]
        return answer

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": self.device_id,
            "sub": self.device_id,
            "aud": self.audience,
            "jti": uuid.uuid4().hex,
            **self.times(),
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def ask_token(self, assertion: str | None = None, **changes: Any) -> Any:
        signed = assertion or self.sign(self.claims(**changes))
        answer = self.client.post("/api/devices/token", data={"grant_type": JWT_BEARER, "assertion": signed})
        if answer.status_code == 200:
            self.bearer = answer.json()["access_token"]
        return answer

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.bearer}"}

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, headers=self.headers() | more.pop("headers", {}), **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.client.post(path, headers=self.headers() | more.pop("headers", {}), **more)

    def revoke(self) -> None:
        services = services_of(self.client)
        services.store.write_now(lambda tx: devices.revoke(tx, self.device_id, actor=ADMIN, now=now_ms()))


def make_code(
    client: Client, username: str = "rivera", *, ward: str | None = None, lifetime_ms: int = 900_000
) -> str:
    """A one-time code for this officer's phone."""
    return services_of(client).store.write_now(
        lambda tx: devices.make_code(tx, username, ward=ward, now=now_ms(), lifetime_ms=lifetime_ms)
    )


def enrolled_phone(client: Client, username: str = "okafor", *, role: str = "schools_officer") -> Phone:
    """A phone of a new officer, enrolled and holding a token."""
    add_person(client, username, role=role)
    phone = Phone(client)
    assert phone.enrol(make_code(client, username, ward="E05014095")).status_code == 201
    assert phone.ask_token().status_code == 200
    return phone


def assert_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """The answer is this problem, whole and in the right media type; gives its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
    body: dict[str, Any] = msgspec.json.decode(answer.content)
    assert body["type"] == f"/problems/{slug}", body
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["hint"] and body["instance"]
    return body
