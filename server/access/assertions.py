"""Phones prove who they are by signing: ES256 over a few claims (RFC 7523), checked here. `now` is given.

Claims of an assertion: `iss` and `sub` (the device id), `aud` (this server's public address, or its token
endpoint), `iat`, `exp` (at most five minutes after `iat`), `jti` (random, good once). Times are seconds.
Claims of an enrolment proof: `aud`, `iat`, `exp`, and `code` (the one-time code without dashes).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection
from typing import Any, TypeGuard

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from server.access.crypto import plain_code
from server.access.errors import ClockRefused, KeyRefused, ProofRefused
from sync.limits import ASSERTION_LIFETIME_S_MAX

ALGORITHM = "ES256"
ASSERTION_LENGTH_MAX = 4096  # ours are about 400 characters
JTI_LENGTH_MAX = 128
COORDINATE_BYTES = 32
DEVICE_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Claims(msgspec.Struct, frozen=True):
    """What a valid assertion says. `expires_at_ms` is when its `jti` may be forgotten."""

    device_id: str
    jti: str
    expires_at_ms: int


def read_public_key(jwk: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    """The P-256 public key of a JWK.

    Raises `KeyRefused` for any other, and for one that holds a private half.
    """
    if "d" in jwk:
        raise KeyRefused(
            "The key holds its private half, which must never leave the phone.", "Make a new key pair."
        )
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise KeyRefused("The key is not a P-256 key (kty EC, crv P-256).")
    x, y = _coordinate(jwk.get("x")), _coordinate(jwk.get("y"))
    try:
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise KeyRefused("The key's x and y are not a point of P-256.") from None


def _coordinate(value: object) -> int:
    if not isinstance(value, str) or not value.isascii():
        raise KeyRefused("The key's x and y must be base64url text.")
    try:
        raw = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise KeyRefused("The key's x and y must be base64url text.") from None
    if len(raw) != COORDINATE_BYTES:
        raise KeyRefused(f"The key's x and y must be {COORDINATE_BYTES} bytes each.")
    return int.from_bytes(raw, "big")


def plain_jwk(jwk: dict[str, Any]) -> str:
    """The members that make the key, as RFC 7638 orders them: stored, and hashed for the thumbprint."""
    return json.dumps({"crv": "P-256", "kty": "EC", "x": jwk["x"], "y": jwk["y"]}, separators=(",", ":"))


def thumbprint(jwk: dict[str, Any]) -> str:
    """The RFC 7638 thumbprint (SHA-256, base64url) of a P-256 public key."""
    digest = hashlib.sha256(plain_jwk(jwk).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# The key of a phone that does not exist: an unknown device id costs a signature check like a known one.
NOBODY = ec.generate_private_key(ec.SECP256R1()).public_key()


def claimed_device(assertion: str) -> str:
    """The device id an assertion claims, unverified.

    Raises `ProofRefused` when it is not a JWT of ours at all.
    """
    if len(assertion) > ASSERTION_LENGTH_MAX:
        raise ProofRefused(
            f"The assertion is longer than {ASSERTION_LENGTH_MAX} characters.", error="invalid_request"
        )
    try:
        if jwt.get_unverified_header(assertion).get("alg") != ALGORITHM:
            raise ProofRefused(f"The assertion is not signed with {ALGORITHM}.")
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise ProofRefused("The assertion is not a JWT.", error="invalid_request") from None
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or claims.get("sub") != issuer or not DEVICE_ID.fullmatch(issuer):
        raise ProofRefused("The assertion must name the phone's device id in both iss and sub.")
    return issuer


def verify(
    assertion: str,
    key: ec.EllipticCurvePublicKey | None,
    audiences: Collection[str],
    *,
    now: int,
    tolerance_ms: int,
) -> Claims:
    """Check signature, audience and times of an assertion against the key of the device it claims.

    `key=None` (no such device) costs the same and fails as a wrong signature does. Raises `ProofRefused`, or
    `ClockRefused` once the signature is known to hold.
    """
    claims = _signed_claims(assertion, key, audiences)
    jti = claims.get("jti")
    if (
        not isinstance(jti, str)
        or not 8 <= len(jti) <= JTI_LENGTH_MAX
        or not (jti.isascii() and jti.isprintable())
    ):
        raise ProofRefused(f"The assertion needs a random jti of 8 to {JTI_LENGTH_MAX} characters.")
    expires_at_ms = _check_times(claims, now=now, tolerance_ms=tolerance_ms)
    return Claims(str(claims.get("iss")), jti, expires_at_ms)


def verify_enrolment(
    proof: str,
    jwk: dict[str, Any],
    code: str,
    audiences: Collection[str],
    *,
    now: int,
    tolerance_ms: int,
) -> None:
    """Check that whoever sends a public key and a code holds the private key. Raises as `verify` does."""
    key = read_public_key(jwk)
    if len(proof) > ASSERTION_LENGTH_MAX:
        raise ProofRefused(
            f"The proof is longer than {ASSERTION_LENGTH_MAX} characters.", error="invalid_request"
        )
    claims = _signed_claims(proof, key, audiences)
    signed = claims.get("code")
    if not isinstance(signed, str) or not hmac.compare_digest(plain_code(signed), plain_code(code)):
        raise ProofRefused(
            "The proof is signed over another code.", "Sign the code that is sent, without its dashes."
        )
    _check_times(claims, now=now, tolerance_ms=tolerance_ms)


def _signed_claims(
    token: str, key: ec.EllipticCurvePublicKey | None, audiences: Collection[str]
) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key or NOBODY,
            algorithms=[ALGORITHM],
            audience=list(audiences),
            # Times are checked below: against the server's clock as given, and with an answer that helps.
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise ProofRefused("The signature does not match the key of an enrolled phone.") from None
    except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError):
        # Only reached after the signature was found good.
        expected = min(audiences, key=len)
        raise ProofRefused(
            "The signature is meant for another server.", f"Sign with aud {expected}."
        ) from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise ProofRefused("The signed text is not an ES256 JWT.", error="invalid_request") from None
    return claims


def _check_times(claims: dict[str, Any], *, now: int, tolerance_ms: int) -> int:
    """Raise unless iat <= now <= exp within the tolerance and the life is short; gives exp in ms."""
    issued, expires = claims.get("iat"), claims.get("exp")
    if not _is_time(issued) or not _is_time(expires):
        raise ProofRefused("The signed text needs iat and exp in seconds.")
    issued_ms, expires_ms = int(issued * 1000), int(expires * 1000)
    if not 0 < expires_ms - issued_ms <= ASSERTION_LIFETIME_S_MAX * 1000:
        raise ProofRefused(f"exp must be after iat, by at most {ASSERTION_LIFETIME_S_MAX} seconds.")
    if now > expires_ms + tolerance_ms:
        raise ClockRefused("The signed text has expired by the server's clock.", now)
    if issued_ms > now + tolerance_ms:
        raise ClockRefused("The signed text was made in the future by the server's clock.", now)
    return expires_ms


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11
