"""Every problem this server answers with: RFC 9457 bodies (`application/problem+json`), each with a hint.

A handler raises `Problem(KIND, "what is wrong")`; refusals of the rooms below, of Litestar and of the
database are turned into one here. A problem never repeats a value it was sent, and the last resort (500)
tells the caller an incident number and the log the exception's type and place, never its text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec
import structlog
from litestar import MediaType, Request, Response, get
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.types import ExceptionHandlersMap

from server.access import errors as access
from server.storage.blobs import BlobError, NoRoom, PartBusy
from server.storage.port import StorageBusy, StorageUnavailable
from sync import media

PROBLEM_JSON = "application/problem+json"
PROBLEM_PATH = "/problems/"
ERRORS_MAX = 20  # as many wrong fields as anybody mends at once
BLOBS_RETRY_AFTER_S = "60"  # a full or failing disk needs a person
FIELD_LENGTH_MAX = 80  # a field's name may be repeated to who sent it, cut to this

log = structlog.get_logger("server.problem")
Page = Callable[[Request[Any, Any, Any], "ProblemBody"], Response[Any]]


class ProblemBody(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The answer to a request that failed. Some kinds add members of their own."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
    instance: str = ""


class Kind(msgspec.Struct, frozen=True):
    """A kind of problem: its page is `/problems/<slug>`."""

    slug: str
    status: int
    title: str
    hint: str


KINDS: dict[str, Kind] = {}


def _kind(slug: str, status: int, title: str, hint: str) -> Kind:
    KINDS[slug] = Kind(slug, status, title, hint)
    return KINDS[slug]


BAD_REQUEST = _kind(
    "bad-request", 400, "The request cannot be read", "Compare it with the API pages under /docs."
)
INVALID = _kind(
    "invalid", 400, "Some values are not valid", "Correct the fields named in errors and send it again."
)
BAD_ENCODING = _kind(
    "bad-encoding", 400, "The compressed body is damaged", "Compress the body again and resend it."
)
NOT_SIGNED_IN = _kind("not-signed-in", 401, "You are not signed in", access.NotSignedIn.hint)
WRONG_PASSWORD = _kind("wrong-password", 401, "That did not work", access.WrongPassword.hint)
TOKEN_REFUSED = _kind("token-refused", 401, "The phone's token is not valid", access.TokenRefused.hint)
CSRF_FAILED = _kind(
    "csrf-failed",
    403,
    "The request did not come from a page of this server",
    "Load the page again. A program sends the value of the cookie csrftoken in the header x-csrftoken.",
)
NOT_ALLOWED = _kind("not-allowed", 403, "Your role does not allow this", access.NotAllowed.hint)
REASON_NEEDED = _kind("reason-needed", 403, "A reason is needed", access.ReasonNeeded.hint)
PASSWORD_MUST_CHANGE = _kind(
    "password-must-change", 403, "Choose your own password first", access.PasswordMustChange.hint
)
DEVICE_REVOKED = _kind("device-revoked", 403, "This phone has been revoked", access.DeviceRevoked.hint)
CODE_REFUSED = _kind("code-refused", 403, "The enrolment code is not valid", access.CodeRefused.hint)
NOT_FOUND = _kind(
    "not-found", 404, "There is nothing here", "Check the address, or go back to the first page."
)
METHOD_NOT_ALLOWED = _kind(
    "method-not-allowed",
    405,
    "This address does not do that",
    "The header Allow lists the methods that it takes.",
)
NOT_ACCEPTABLE = _kind("not-acceptable", 406, "No answer of that kind", "Ask for application/json.")
TIMED_OUT = _kind("timed-out", 408, "The request took too long to arrive", "Send it again.")
CONFLICT = _kind(
    "conflict", 409, "It has changed since you looked", "Load it again and decide on what is there now."
)
TOO_LARGE = _kind("too-large", 413, "The request is too large", "Send less at once.")
UNSUPPORTED_TYPE = _kind(
    "unsupported-type",
    415,
    "A body of that type is not read here",
    "The API pages under /docs say which type to send.",
)
UNSUPPORTED_ENCODING = _kind(
    "unsupported-encoding",
    415,
    "That compression is not read here",
    "Use zstd or gzip, as the answer to hello says, or none.",
)
TUS_VERSION = _kind("tus-version", 412, "Another version of tus", "Send the header Tus-Resumable: 1.0.0.")
OFFSET_MISMATCH = _kind(
    "offset-mismatch",
    409,
    "The upload is at another place",
    "Ask with HEAD how far it is, and go on from there.",
)
CHECKSUM_MISMATCH = _kind(
    "checksum-mismatch",
    460,
    "The bytes are not those that were meant",
    "Nothing of them was kept. Send them again.",
)
UPLOAD_GONE = _kind("upload-gone", 410, "This upload cannot go on", "Begin a new one.")
UPLOAD_BUSY = _kind(
    "upload-busy",
    423,
    "This upload is being received already",
    "Wait a moment, ask with HEAD, and go on from there.",
)
MEDIA_REFUSED = _kind(
    "media-refused",
    415,
    "That is not a photograph or recording that is taken here",
    f"These are taken: {media.IN_WORDS}. Keep the original, and tell the borough what it is.",
)
TOO_MANY_UPLOADS = _kind(
    "too-many-uploads", 429, "Too many uploads are unfinished", "Finish or delete some of them first."
)
DAMAGED = _kind(
    "damaged",
    500,
    "A file on the server is damaged",
    "Tell the administrator: `earlysign attachments verify` names it, and a backup or the phone may still have it.",
)
DISK_FULL = _kind(
    "disk-full",
    507,
    "The server has no room for files",
    "Nothing that was received is lost. Keep it and try again later; notes are still taken.",
)
PASSWORD_TOO_WEAK = _kind(
    "password-too-weak", 422, "That password is not accepted", access.PasswordTooWeak.hint
)
KEY_REFUSED = _kind("key-refused", 400, "The phone's key is not valid", access.KeyRefused.hint)
PROOF_REFUSED = _kind("proof-refused", 400, "The signature does not hold", access.ProofRefused.hint)
CLOCK_REFUSED = _kind(
    "clock-refused", 400, "The phone's clock is off", "Correct it by server_time and sign again."
)
TOO_MANY = _kind("too-many-attempts", 429, "Too many attempts", "Wait for as long as Retry-After says.")
INTERNAL = _kind(
    "internal",
    500,
    "Something went wrong on the server",
    "Try again. If it happens twice, give the incident number to the administrator: the log names it.",
)
UNAVAILABLE = _kind(
    "unavailable", 503, "The server is busy", "Nothing is lost. Wait for Retry-After and try again."
)
OTHER = _kind("other", 400, "The request was refused", "Compare it with the API pages under /docs.")

BY_STATUS = {
    400: BAD_REQUEST,
    401: NOT_SIGNED_IN,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    406: NOT_ACCEPTABLE,
    408: TIMED_OUT,
    409: CONFLICT,
    413: TOO_LARGE,
    415: UNSUPPORTED_TYPE,
    429: TOO_MANY,
    503: UNAVAILABLE,
}
BY_REFUSAL: dict[type[access.AccessError], Kind] = {
    access.NotSignedIn: NOT_SIGNED_IN,
    access.WrongPassword: WRONG_PASSWORD,
    access.TooManyAttempts: TOO_MANY,
    access.SearchedTooOften: TOO_MANY,
    access.Busy: UNAVAILABLE,
    access.PasswordTooWeak: PASSWORD_TOO_WEAK,
    access.PasswordMustChange: PASSWORD_MUST_CHANGE,
    access.NotAllowed: NOT_ALLOWED,
    access.ReasonNeeded: REASON_NEEDED,
    access.CodeRefused: CODE_REFUSED,
    access.KeyRefused: KEY_REFUSED,
    access.ClockRefused: CLOCK_REFUSED,
    access.ProofRefused: PROOF_REFUSED,
    access.TokenRefused: TOKEN_REFUSED,
    access.DeviceRevoked: DEVICE_REVOKED,
    access.AccountError: NOT_FOUND,
}


class Problem(Exception):
    """Raise it in a door. `extra` adds members to the body; nothing in it may be personal."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        hint: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.hint = hint or kind.hint
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
        self.status = status or kind.status


def documented(*kinds: Kind) -> dict[int, ResponseSpec]:
    """`responses=` of a door: the problems it answers with, as OpenAPI shall describe them."""
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        titles.setdefault(kind.status, []).append(kind.title)
    return {
        status: ResponseSpec(
            ProblemBody,
            description=". ".join(found) + ".",
            media_type=cast("MediaType", PROBLEM_JSON),
            generate_examples=False,
        )
        for status, found in titles.items()
    }


def body_of(problem: Problem, number: str) -> ProblemBody:
    """A problem as it is told. `number` is that of the request."""
    return ProblemBody(
        type=PROBLEM_PATH + problem.kind.slug,
        title=problem.kind.title,
        status=problem.status,
        detail=problem.detail,
        hint=problem.hint,
        instance=f"urn:request:{number}",
    )


def respond(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    """The response to a problem: JSON, or a page where somebody looks at one with a browser."""
    body = body_of(problem, request_id(request))
    headers = {"cache-control": "no-store"} | problem.headers
    page = cast("Page | None", request.app.state.get("problem_page"))
    if page is not None and wants_page(request):
        answer = page(request, body)
        answer.headers.update({name: value for name, value in headers.items() if name not in answer.headers})
        return answer
    content = msgspec.to_builtins(body) | problem.extra
    return Response(content, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers)


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a browser asks for a page of the console: HTML is accepted and the address is not the API's."""
    path = request.scope["path"]
    return "text/html" in request.headers.get("accept", "") and not path.startswith(
        ("/api/", "/metrics", "/health")
    )


def request_id(request: Request[Any, Any, Any]) -> str:
    """The number of this request in the log, given by the outermost layer (`observe.py`)."""
    return str(request.scope["state"].get("request_id", "unknown"))


def from_refusal(error: access.AccessError) -> Problem:
    """What access control refused, as a problem."""
    kind = next(BY_REFUSAL[cls] for cls in type(error).__mro__ if cls in BY_REFUSAL)
    headers: dict[str, str] = {}
    extra: dict[str, Any] = {}
    if isinstance(error, access.TooManyAttempts | access.SearchedTooOften | access.Busy):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, access.TokenRefused):
        headers["www-authenticate"] = 'Bearer realm="earlysign", error="invalid_token"'
        extra["error"] = "invalid_token"
    if isinstance(error, access.ProofRefused):
        extra["error"] = error.error
    if isinstance(error, access.ClockRefused):
        extra["server_time"] = error.server_time_ms
    if isinstance(error, access.DeviceRevoked):
        extra["wipe"] = True
    return Problem(kind, str(error), hint=error.hint, extra=extra, headers=headers)


def from_blobs(error: BlobError) -> Problem:
    """What the store of files could not do, as a problem."""
    log.warning("files unavailable", kind=type(error).__name__)
    if isinstance(error, PartBusy):
        return Problem(UPLOAD_BUSY, str(error), headers={"retry-after": "1"})
    kind = DISK_FULL if isinstance(error, NoRoom) else UNAVAILABLE
    return Problem(kind, str(error), headers={"retry-after": BLOBS_RETRY_AFTER_S})


SAFE_MESSAGE = re.compile(r"(Expected `[^`]*`|Object missing required field|Object contains unknown field)")


def safe_reason(message: str) -> str:
    """A validation message without the value that was sent (msgspec repeats a bad enum value)."""
    reason = message.partition(" - at ")[0]
    if SAFE_MESSAGE.match(reason):
        return reason[: 2 * FIELD_LENGTH_MAX]
    if reason.startswith("Invalid enum value"):
        return "Not one of the values that this field takes"
    return "Not a valid value"


def from_validation(error: ValidationException) -> Problem:
    """Litestar's validation failure as a problem that names the fields and repeats no value."""
    found = error.extra if isinstance(error.extra, list) else []
    errors = [
        {
            "field": str(item.get("key", ""))[:FIELD_LENGTH_MAX],
            "reason": safe_reason(str(item.get("message", ""))),
        }
        for item in found[:ERRORS_MAX]
        if isinstance(item, dict)
    ]
    return Problem(
        INVALID, "The request holds values that are missing or not valid.", extra={"errors": errors}
    )


def from_msgspec(error: msgspec.MsgspecError) -> Problem:
    """A body that msgspec could not read, as a problem that repeats nothing of it."""
    if isinstance(error, msgspec.ValidationError):
        message = str(error)
        field = message.partition(" - at `")[2].rstrip("`")[:FIELD_LENGTH_MAX]
        reason = safe_reason(message)
        return Problem(
            INVALID,
            "The body holds a value that is not valid.",
            extra={"errors": [{"field": field, "reason": reason}]},
        )
    return Problem(BAD_REQUEST, "The body is not valid JSON.")


def _from_http(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    if isinstance(error, ValidationException):
        return from_validation(error)
    kind = BY_STATUS.get(error.status_code, INTERNAL if error.status_code >= 500 else OTHER)
    headers = dict(error.headers or {})
    if isinstance(error, MethodNotAllowedException):
        headers["allow"] = ", ".join(allowed_methods(request))
    detail = {404: "No page or door has this address.", 405: "This address exists, but not for this method."}
    text = detail.get(error.status_code, kind.title + ".")
    if error.status_code >= 500 and error.status_code != 503:
        log_incident(request, error)
    return Problem(kind, text, headers=headers, status=error.status_code)


def allowed_methods(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that the requested address takes, for the header Allow of a 405."""
    found = set()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        try:
            request.app.asgi_router.handle_routing(path=request.scope["path"], method=cast("Any", method))
        except HTTPException:
            continue
        found.add(method)
    return sorted(found)


def log_incident(request: Request[Any, Any, Any], error: BaseException) -> None:
    """Log the exception's type and the places it passed, not its text: that may quote a record."""
    log.error("incident", path=request.scope.get("path_template", ""), method=request.method, exc_info=error)


def busy(wait_seconds: int) -> Problem:
    """The server cannot take this now, and may after so many seconds."""
    return Problem(
        UNAVAILABLE, "The server cannot take this now.", headers={"retry-after": str(wait_seconds)}
    )


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any exception with a problem: the one handler of the whole server."""
    if isinstance(error, Problem):
        return respond(request, error)
    if isinstance(error, access.AccessError):
        return respond(request, from_refusal(error))
    if isinstance(error, StorageUnavailable):
        if not isinstance(
            error, StorageBusy
        ):  # that is load, a line for each phone of a shift; the access log has it
            log.warning("storage unavailable", kind=type(error).__name__)
        return respond(request, busy(error.retry_after_seconds))
    if isinstance(error, BlobError):
        return respond(request, from_blobs(error))
    if isinstance(error, HTTPException):
        cause = error.__cause__
        if isinstance(cause, msgspec.MsgspecError) and not isinstance(error, ValidationException):
            return respond(request, from_msgspec(cause))
        return respond(request, _from_http(request, error))
    if isinstance(error, msgspec.MsgspecError):
        return respond(request, from_msgspec(error))
    log_incident(request, error)
    number = request_id(request)
    return respond(
        request,
        Problem(
            INTERNAL,
            f"The server met something it did not expect (incident {number}).",
            extra={"incident": number},
        ),
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {HTTPException: handle, Exception: handle}


@get(
    "/problems/{slug:str}",
    opt={"door": "public", "exclude_from_csrf": True},
    media_type=MediaType.HTML,
    include_in_schema=False,
)
async def problem_page(slug: FromPath[str]) -> str:
    """What a kind of problem means, as a small page."""
    kind = KINDS.get(slug)
    if kind is None:
        raise Problem(NOT_FOUND, "There is no such kind of problem.")
    title, hint = html.escape(kind.title), html.escape(kind.hint)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><main><h1>{title}</h1><p>HTTP status {kind.status}.</p><p>{hint}</p></main></body></html>"
    )
