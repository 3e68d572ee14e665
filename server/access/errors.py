"""What access control refuses, and why.

    AccessError
    ├── NotSignedIn            no session, an unknown one, or one that ended
    ├── WrongPassword          username or password wrong (never says which)
    ├── TooManyAttempts        wait `retry_after_s`
    ├── SearchedTooOften       wait `retry_after_s`
    ├── Busy                   too many passwords waiting to be checked: wait `retry_after_s`
    ├── PasswordTooWeak        the new password is not accepted
    ├── PasswordMustChange     only changing the password is allowed now
    ├── NotAllowed             signed in, but the role does not hold the permission
    ├── ReasonNeeded           a restricted record asks for a reason first
    ├── CodeRefused            an enrolment code that is wrong, used or too old
    ├── KeyRefused             a public key that is not a P-256 public key
    ├── ProofRefused           a signature or claim that does not hold (`error` is an RFC 6749 code)
    │   └── ClockRefused       the claim's times are off: carries the server's time
    ├── TokenRefused           a bearer token that is missing, unknown or expired
    ├── DeviceRevoked          the phone may hand in notes but read nothing
    └── AccountError           a person or device that does not exist, or exists already (commands)

No message holds a name, a code, a token or a password.
"""

from __future__ import annotations


class AccessError(Exception):
    """Access was refused. `str()` says what is wrong; `hint` says what to do."""

    hint: str = "Ask the person who runs this server."

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class NotSignedIn(AccessError):
    hint = "Sign in and try again."


class WrongPassword(AccessError):
    hint = "Check both. An administrator can set a new password: earlysign people reset USERNAME."


class TooManyAttempts(AccessError):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "There were too many wrong attempts.", f"Wait {retry_after_s} seconds and try again."
        )
        self.retry_after_s = retry_after_s


class SearchedTooOften(AccessError):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "You have searched many times within a minute.", f"Wait {retry_after_s} seconds and search again."
        )
        self.retry_after_s = retry_after_s


class Busy(AccessError):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many people are signing in at this moment.", "Try again in a few seconds.")
        self.retry_after_s = retry_after_s


class PasswordTooWeak(AccessError):
    hint = "Use at least 12 characters: three random words are long and easy to remember."


class PasswordMustChange(AccessError):
    hint = "Choose a password of your own first: POST /api/password."


class NotAllowed(AccessError):
    hint = "Somebody with another role has to do this; your supervisor knows who."


class ReasonNeeded(AccessError):
    hint = "Say why you need to see it; the reason is kept with your name."


class CodeRefused(AccessError):
    hint = "Ask for a new code: earlysign devices enrol-code --officer USERNAME."


class KeyRefused(AccessError):
    hint = (
        "Send the public half of a P-256 key as a JWK with kty, crv, x and y, and never the private half (d)."
    )


class ProofRefused(AccessError):
    """`error` is the RFC 6749 code: invalid_request or invalid_grant."""

    hint = "Make a new signed assertion (ES256) with the key that this phone was enrolled with."

    def __init__(self, message: str, hint: str | None = None, error: str = "invalid_grant") -> None:
        super().__init__(message, hint)
        self.error = error


class ClockRefused(ProofRefused):
    """The signature holds but its times do not: `server_time_ms` lets the phone correct its offset."""

    def __init__(self, message: str, server_time_ms: int) -> None:
        super().__init__(
            message,
            "Correct the clock by server_time (keep the difference, not the phone's clock) and sign again.",
        )
        self.server_time_ms = server_time_ms


class TokenRefused(AccessError):
    hint = "Ask for a new token with a signed assertion: POST /api/devices/token."


class DeviceRevoked(AccessError):
    hint = "Hand in what is unsent (it is kept for a person to release), then wipe the phone."


class AccountError(AccessError):
    pass
