"""The wire: one method for each door of the server, over httpx, with errors that say what to do next.

    TransportError
    ├── NoSignal            nothing came back: it may have arrived or not. Send the same bytes again
    ├── Busy                the server asks for time (429, 503): wait `retry_after_ms`
    ├── ServerFault         the server failed (5xx): try again later
    ├── NotUnderstood       an answer that is not the contract: another program, or a portal in between
    └── Refused             the server said no (4xx). `problem` says why
        ├── TokenOver       401: ask for a new token
        ├── ClockWrong      the signature's times are off; carries the server's time
        ├── Revoked         403: this device may hand in notes and read nothing
        └── TooLarge        413: send fewer ops at once

TLS certificates are always verified. Plain http is let through to this computer only.
"""

from __future__ import annotations

import base64
import datetime
import gzip
import ssl
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import zstandard

from client_stub.keys import ServerKey
from sync.envelope import Condition, Encoding, Hello, PullAnswer, PullRequest, PushAnswer

T = TypeVar("T")

VERSION = "0.1.0"
TIMEOUT_S = 30.0
"""For one step of a request (connect, send, wait, read). A phone on a bad line gives up and tries again."""
PACKED_FROM_BYTES = 1400
"""Below one network packet compression saves nothing."""
RETRY_AFTER_MS_MAX = 3_600_000
"""A server that asks for more than an hour is believed for an hour."""
ANSWER_BYTES_MAX = 32 * 1024 * 1024
"""Far above any page or push answer: a wrong server cannot fill the phone's memory."""
PROBLEM_TYPE = "application/problem+json"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ATTACHMENTS = "/api/attachments"
TUS = {"Tus-Resumable": "1.0.0"}
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TransportError(Exception):
    """A request that did not succeed. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "Try again later: nothing on this device is lost.") -> None:
        super().__init__(message)
        self.hint = hint


class NoSignal(TransportError):
    pass


class Busy(TransportError):
    def __init__(self, message: str, retry_after_ms: int | None, hint: str) -> None:
        super().__init__(message, hint)
        self.retry_after_ms = retry_after_ms


class ServerFault(TransportError):
    pass


class NotUnderstood(TransportError):
    pass


class Refused(TransportError):
    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        said = problem.get("detail") or problem.get("title") or f"The server answered {status}."
        super().__init__(str(said), str(problem.get("hint") or "Ask the person who runs the server."))
        self.status = status
        self.problem = problem


class TokenOver(Refused):
    pass


class ClockWrong(Refused):
    """`server_time` is in milliseconds since the epoch."""

    server_time: int = 0


class Revoked(Refused):
    pass


class TooLarge(Refused):
    pass


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """What the server tells a device that enrolled."""

    device_id: str
    user: str
    server_key: ServerKey
    ward: str | None = None
    borough: str | None = None
    officer_name: str | None = None
    audience: str | None = None
    """What to name as `aud` from now on; else the address that was enrolled with."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived access token. `expires_in` is in seconds."""

    access_token: str
    expires_in: int


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """The server's receipt for one file."""

    receipt: str


class AddressProblem(ValueError):
    """The server's address cannot be used. The message says what to write instead."""


def clean_address(typed: str) -> str:
    """The server's address without a trailing slash. Raises AddressProblem."""
    parts = urlsplit(typed.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressProblem(
            "Write the server's address as https://name, for example https://earlysign.example.org"
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise AddressProblem("Only https:// is allowed: over http:// anyone on the way could read the notes.")
    return typed.strip().rstrip("/")


class Transport:
    """The doors of one server. `line` replaces the connection (tests and the simulator's bad line)."""

    def __init__(
        self, server: str, *, ca_file: Path | None = None, line: httpx.BaseTransport | None = None
    ) -> None:
        self.server = clean_address(server)
        verify: ssl.SSLContext | bool = True
        if ca_file is not None:
            verify = ssl.create_default_context(cafile=str(ca_file))
        self._client = httpx.Client(
            base_url=self.server,
            verify=verify,
            transport=line,
            timeout=TIMEOUT_S,
            follow_redirects=False,  # a redirect would carry notes somewhere nobody enrolled with
            headers={
                "User-Agent": f"earlysign-device/{VERSION}",
                "Accept": f"application/json, {PROBLEM_TYPE}",
            },
        )

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def enrol(self, *, code: str, public_key: dict[str, str], name: str, proof: str) -> Enrolled:
        """Spend a one-time code on this device's key. Sending it again with the same key is safe."""
        body = {"code": code, "public_key": public_key, "name": name, "proof": proof}
        return self._ask("POST", "/api/devices/enrol", Enrolled, content=msgspec.json.encode(body))

    def token(self, assertion: str) -> Token:
        """Exchange a signed assertion for an access token (RFC 7523)."""
        return self._ask(
            "POST", "/api/devices/token", Token, data={"grant_type": GRANT, "assertion": assertion}
        )

    def hello(self, token: str) -> Hello:
        """Learn the server's time, limits and what it has on disk."""
        return self._ask("GET", "/api/sync/hello", Hello, token=token)

    def push(self, token: str, body: bytes, encodings: Sequence[str] = ()) -> PushAnswer:
        """Send op lines (NDJSON), packed where that saves a packet: by zstd where the server offers it."""
        headers = {"Content-Type": "application/x-ndjson"}
        if len(body) >= PACKED_FROM_BYTES and Encoding.ZSTD in encodings:
            body = zstandard.ZstdCompressor(level=6, write_checksum=True).compress(body)
            headers["Content-Encoding"] = "zstd"
        elif len(body) >= PACKED_FROM_BYTES:
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return self._ask("POST", "/api/sync/push", PushAnswer, token=token, content=body, headers=headers)

    def pull(self, token: str, request: PullRequest) -> PullAnswer:
        """One page of changes in this device's scope."""
        return self._ask(
            "POST", "/api/sync/pull", PullAnswer, token=token, content=msgspec.json.encode(request)
        )

    def condition(self, token: str, condition: Condition) -> None:
        """Say how this device is."""
        self._exchange("POST", "/api/sync/condition", token=token, content=msgspec.json.encode(condition))

    def begin_upload(self, token: str, *, size: int, sha256: str) -> str:
        """Begin to upload a file (tus); gives the upload's address on this server."""
        declared = base64.b64encode(sha256.encode("ascii")).decode("ascii")
        headers = TUS | {"Upload-Length": str(size), "Upload-Metadata": f"sha256 {declared}"}
        response, _ = self._exchange("POST", ATTACHMENTS, token=token, headers=headers)
        address: str = urlsplit(response.headers.get("Location", "")).path
        if not address.startswith(ATTACHMENTS + "/"):
            raise NotUnderstood("The server gave no address for an upload.", "Check the server's address.")
        return address

    def upload_offset(self, token: str, *, address: str) -> int:
        """How many bytes of an upload are on the server's disk."""
        response, _ = self._exchange("HEAD", address, token=token, headers=TUS)
        return _offset_of(response)

    def send_bytes(self, token: str, *, address: str, offset: int, data: bytes) -> int:
        """Send bytes from an offset on; gives the offset that the server has then."""
        headers = TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        response, _ = self._exchange("PATCH", address, token=token, content=data, headers=headers)
        return _offset_of(response)

    def attachment_receipt(self, token: str, *, sha256: str) -> str:
        """The server's receipt for a file that this device has handed in whole."""
        return self._ask("GET", f"{ATTACHMENTS}/receipts/{sha256}", Signed, token=token).receipt

    def _ask(
        self,
        method: str,
        path: str,
        type_: type[T],
        *,
        token: str | None = None,
        content: bytes | None = None,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        _, body = self._exchange(method, path, token=token, content=content, data=data, headers=headers)
        try:
            return msgspec.json.decode(body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotUnderstood(
                f"The answer from {path} is not what this program knows.",
                "Check the server's address: a sign-in page of the network may be in between.",
            ) from error

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        content: bytes | None = None,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[httpx.Response, bytes]:
        """One request that succeeded: its answer and the answer's body. Raises TransportError."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            with self._client.stream(method, path, content=content, data=data, headers=sent) as response:
                body = _read_bounded(response)
        except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
            # The kind is enough: the exception's own text names addresses.
            raise NoSignal(f"The server did not answer ({type(error).__name__}).") from error
        if not response.is_success:
            raise _error_of(response, body)
        return response, body


def _offset_of(response: httpx.Response) -> int:
    said = response.headers.get("Upload-Offset", "")
    if not (said.isascii() and said.isdigit()) or len(said) > 16:
        raise NotUnderstood("The server does not say how far an upload is.", "Check the server's address.")
    return int(said)


def _read_bounded(response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise NotUnderstood("The server's answer is far too long.", "Check the server's address.")
        parts.append(part)
    return b"".join(parts)


def _error_of(response: httpx.Response, body: bytes) -> TransportError:
    status = response.status_code
    problem = _problem(response, body)
    hint = str(problem.get("hint") or "Try again later: nothing on this device is lost.")
    if status in (429, 503):
        return Busy("The server is busy.", _retry_after_ms(response), hint)
    if status >= 500:
        return ServerFault(f"The server failed ({status}).", hint)
    if status < 400:
        return NotUnderstood(f"The server sent us elsewhere ({status}).", "Check the server's address.")
    server_time = _server_time(problem)
    if server_time is not None:
        wrong = ClockWrong(status, problem)
        wrong.server_time = server_time
        return wrong
    if status == 403 and problem.get("wipe") is True:
        return Revoked(status, problem)
    kinds: dict[int, type[Refused]] = {401: TokenOver, 413: TooLarge}
    return kinds.get(status, Refused)(status, problem)


def _problem(response: httpx.Response, body: bytes) -> dict[str, Any]:
    if "json" not in response.headers.get("Content-Type", ""):
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _server_time(problem: dict[str, Any]) -> int | None:
    """The server's time in a problem: milliseconds, or RFC 3339 text."""
    said = problem.get("server_time")
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    if isinstance(said, str):
        try:
            moment = datetime.datetime.fromisoformat(said)
        except ValueError:
            return None
        return int(moment.timestamp() * 1000) if moment.tzinfo else None
    return None


def _retry_after_ms(response: httpx.Response) -> int | None:
    """How long the server asks to wait: seconds or a date (RFC 9110), or None where it does not say."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit() and len(said) < 10:
        return min(int(said) * 1000, RETRY_AFTER_MS_MAX)
    try:
        wanted = parsedate_to_datetime(said)
        now = parsedate_to_datetime(response.headers["Date"])  # the server's own clock: ours may be wrong
        wait = (wanted - now).total_seconds()
    except (ValueError, TypeError, KeyError):
        return None
    return min(max(int(wait * 1000), 0), RETRY_AFTER_MS_MAX)
