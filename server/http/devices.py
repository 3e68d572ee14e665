"""The door for phones: enrol with a one-time code, and exchange a signed assertion for a short-lived token.

A phone keeps its private key; what it sends is a signature. See `server/access/assertions.py` for the claims.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import JSONBody, URLEncodedBody
from msgspec import Meta

from server.access import assertions, devices, throttle
from server.access.signing import PublicSigningKey
from server.access.throttle import Limits
from server.clock import now_ms
from server.http import problems
from server.http.auth import OPEN, client_address
from server.http.problems import Problem, documented
from server.http.services import Services
from server.storage.port import Transaction

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_PATH = "/api/devices/token"
BODY_BYTES_MAX = 16 * 1024  # a key, a code and a signature are about 1 kB
# No control characters: they have no place in a name, and PostgreSQL keeps no NUL in text.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Proof = Annotated[str, Meta(min_length=1, max_length=assertions.ASSERTION_LENGTH_MAX)]


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """The public half of a P-256 key pair, as a JWK (RFC 7517). Other members are ignored, `d` is refused."""

    kty: Annotated[str, Meta(max_length=10)]
    crv: Annotated[str, Meta(max_length=20)]
    x: Annotated[str, Meta(max_length=100)]
    y: Annotated[str, Meta(max_length=100)]
    d: Annotated[str, Meta(max_length=200, description="Never send it: the private half.")] | None = None


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`proof`: a JWT signed with the new key (ES256) with the claims aud, iat, exp and code."""

    code: Annotated[
        str, Meta(min_length=1, max_length=64, description="The one-time code; dashes do not matter.")
    ]
    public_key: PublicKey
    proof: Proof
    name: Annotated[
        str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, description="What the phone is called.")
    ]
    app_version: Annotated[str, Meta(max_length=50, pattern=PRINTABLE)] | None = None


class EnrolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`audience` is what the phone names as `aud` from now on; receipts come signed by `server_key`.

    `server_time` is in ms since the epoch, UTC.
    """

    device_id: str
    user: str
    officer_name: str
    ward: str | None
    borough: str | None
    audience: str
    token_endpoint: str
    server_time: int
    server_key: PublicSigningKey


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7523, section 2.1. `client_id` and `scope` may be sent and are ignored."""

    grant_type: Annotated[str, Meta(max_length=100)]
    assertion: Proof


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6749, section 5.1; `server_time` (ms since the epoch) helps the phone to set its offset."""

    access_token: str
    token_type: str
    expires_in: int
    server_time: int


def _attempt(tx: Transaction, limits: Limits, address: str, now: int) -> list[int]:
    return throttle.begin(tx, limits, username=None, address=address, now=now)


@post(
    "/api/devices/enrol",
    opt=OPEN,
    status_code=201,
    request_max_body_size=BODY_BYTES_MAX,
    responses=documented(
        problems.INVALID,
        problems.KEY_REFUSED,
        problems.PROOF_REFUSED,
        problems.CODE_REFUSED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_TYPE,
        problems.TOO_MANY,
        problems.UNAVAILABLE,
    ),
    tags=["phones"],
    summary="Enrol a phone with a one-time code",
)
async def enrol(
    request: Request[Any, Any, Any], data: JSONBody[EnrolRequest], services: NamedDependency[Services]
) -> EnrolAnswer:
    """Spend a one-time code on the phone's public key. Sending the same again gives the same device."""
    settings, now = services.settings, now_ms()
    jwk = {name: value for name, value in msgspec.to_builtins(data.public_key).items() if value is not None}
    assertions.verify_enrolment(
        data.proof,
        jwk,
        data.code,
        settings.audiences,
        now=now,
        tolerance_ms=settings.clock_tolerance_seconds * 1000,
    )
    address = client_address(request)
    attempts = await services.store.write(lambda tx: _attempt(tx, services.limits, address, now))

    def work(tx: Transaction) -> devices.Enrolled:
        enrolled = devices.enrol(tx, data.code, jwk, name=data.name, app_version=data.app_version, now=now)
        throttle.forgive(tx, attempts, services.limits)
        return enrolled

    enrolled = await services.store.write(work)
    return EnrolAnswer(
        device_id=enrolled.device_id,
        user=enrolled.username,
        officer_name=enrolled.officer_name,
        ward=enrolled.ward,
        borough=enrolled.borough,
        audience=settings.base_url,
        token_endpoint=settings.base_url + TOKEN_PATH,
        server_time=now,
        server_key=services.receipt_key.public,
    )


def _invalid_token_request(_request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    problem = problems.from_validation(error)
    problem.extra["error"] = "invalid_request"
    return problems.respond(_request, problem)


@post(
    TOKEN_PATH,
    opt=OPEN,
    status_code=200,
    request_max_body_size=BODY_BYTES_MAX,
    responses=documented(
        problems.PROOF_REFUSED,
        problems.CLOCK_REFUSED,
        problems.TOO_LARGE,
        problems.UNSUPPORTED_TYPE,
        problems.UNAVAILABLE,
    ),
    exception_handlers={ValidationException: _invalid_token_request},
    tags=["phones"],
    summary="Exchange a signed assertion for an access token (RFC 7523)",
)
async def token(
    data: URLEncodedBody[TokenRequest], services: NamedDependency[Services]
) -> Response[TokenAnswer]:
    """A revoked phone still gets a token: with it, it may hand in what it holds, and is told to wipe."""
    settings, now = services.settings, now_ms()
    if data.grant_type != JWT_BEARER:
        raise Problem(
            problems.PROOF_REFUSED,
            "This grant type is not offered.",
            hint=f"Send grant_type={JWT_BEARER}.",
            extra={"error": "unsupported_grant_type"},
        )
    claimed = assertions.claimed_device(data.assertion)
    jwk = await services.store.read(lambda tx: devices.public_jwk(tx, claimed))
    key = None if jwk is None else assertions.read_public_key(jwk)
    tolerance_ms = settings.clock_tolerance_seconds * 1000
    claims = assertions.verify(data.assertion, key, settings.audiences, now=now, tolerance_ms=tolerance_ms)
    lifetime_ms = settings.device_token_minutes * 60_000
    access_token = await services.store.write(
        lambda tx: devices.issue_token(tx, claims, now=now, lifetime_ms=lifetime_ms, keep_ms=tolerance_ms)
    )
    answer = TokenAnswer(
        access_token=access_token, token_type="Bearer", expires_in=lifetime_ms // 1000, server_time=now
    )
    return Response(answer, headers={"cache-control": "no-store", "pragma": "no-cache"})


HANDLERS = [enrol, token]
