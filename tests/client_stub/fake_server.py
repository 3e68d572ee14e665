"""The server's side of the wire over dictionaries, for the phone's tests: sync's own rules, no database.

`FakeServer.transport()` is an httpx transport for one process; `serve(server)` listens on a real socket, for what
must be cut or killed. What a test wants to go wrong it sets on the object.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from client_stub.keys import plain_code
from sync import cursor, inbox, receipts
from sync.envelope import (
    CUSTODY,
    Change,
    Code,
    Condition,
    Hello,
    Lease,
    Outcome,
    PullAnswer,
    PullRequest,
    PushAnswer,
    Resync,
    Verdict,
    split_lines,
)
from sync.holdings import checksum
from sync.limits import Limits
from sync.receipts import Receipt

CURSOR_KEY = b"k" * 32
NOW = 1_800_000_000_000
Reply = tuple[int, dict[str, str], bytes]


def problem(status: int, title: str, headers: dict[str, str] | None = None, **extra: Any) -> Reply:
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": title,
        "hint": "A hint.",
    } | extra
    return status, {"Content-Type": "application/problem+json"} | (headers or {}), msgspec.json.encode(body)


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


class FakeServer:
    """One server. `ledger` is what it answers for, `quarantine` what a person must look at."""

    def __init__(self, codes: dict[str, str] | None = None) -> None:
        self.codes = codes or {"AAAABBBBCCCCDDDD": "officer.jones"}
        self.key = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        self.devices: dict[str, tuple[str, Any]] = {}
        self.tokens: dict[str, str] = {}
        self.seen_jti: set[str] = set()
        self.ledger: dict[tuple[str, str, int], tuple[inbox.Recorded, bytes]] = {}
        self.notes: dict[str, bytes] = {}
        self.quarantine: list[bytes] = []
        self.changes: list[Change] = []
        self.incarnation = "first"
        self.now = NOW
        self.limits = Limits()
        self.wipe = False
        self.durable = True
        self.receipts_on = True
        self.backoff_ms = 0
        self.unpacked_bytes_max = Limits().push_unpacked_bytes
        self.scripted: list[Reply | str] = []
        """Answers given instead, each once: a reply, or "drop" (do the work, lose the answer), or "cut"."""
        self.push_script: list[Reply | str] = []
        """The same, for pushes alone."""
        self.requests: list[tuple[str, int]] = []
        self.bodies: list[bytes] = []
        self.page_size = 500
        self.spoil_checkpoints = 0
        self.lease: Lease | None = None
        self.pulls: list[PullRequest] = []
        self.conditions: list[Condition] = []
        self.lock = threading.Lock()

    # Doors

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        self.requests.append((path, len(body)))
        if path == "/api/devices/enrol":
            return self._enrol(body)
        if path == "/api/devices/token":
            return self._token(body)
        device = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if device is None:
            return problem(401, "The token has expired.")
        if path == "/api/sync/hello" and method == "GET":
            return self._json(200, self._hello(device))
        if path == "/api/sync/push":
            return self._push(device, headers, body)
        if path == "/api/sync/condition":
            self.conditions.append(msgspec.json.decode(body, type=Condition))
            return 204, {}, b""
        if path == "/api/sync/pull":
            if self.wipe:
                return problem(403, "This phone has been revoked.", wipe=True)
            return self._json(200, self._pull(msgspec.json.decode(body, type=PullRequest)))
        return problem(404, "There is nothing here.")

    def handle(self, request: httpx.Request) -> httpx.Response:
        script = self.push_script if request.url.path.endswith("/push") else []
        if not script and "/sync/" in request.url.path:
            script = self.scripted
        scripted = script.pop(0) if script else None
        if scripted == "cut":
            raise httpx.ConnectError("no signal", request=request)
        if isinstance(scripted, tuple):
            self.requests.append((request.url.path, len(request.read())))
            status, headers, body = scripted
        else:
            known = {name.lower(): value for name, value in request.headers.items()}
            status, headers, body = self.answer(request.method, request.url.path, known, request.read())
        if scripted == "drop":
            raise httpx.ReadError("the answer was lost", request=request)
        return httpx.Response(status, headers=headers, content=body)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    # What they do

    def _json(self, status: int, value: Any) -> Reply:
        return status, {"Content-Type": "application/json"}, msgspec.json.encode(value)

    def _enrol(self, body: bytes) -> Reply:
        asked = msgspec.json.decode(body)
        code = plain_code(asked["code"])
        if code not in self.codes:
            return problem(403, "That code is wrong, used already, or too old.")
        jwk = asked["public_key"]
        key = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1()).public_key()
        claims = self._claims(asked["proof"], key)
        if isinstance(claims, tuple):
            return claims
        assert claims["code"] == code
        device_id = "device-" + jwk["x"][:8].replace("_", "x").replace("-", "x")
        self.devices[device_id] = (self.codes[code], key)
        return self._json(
            201,
            {
                "device_id": device_id,
                "user": self.codes[code],
                "officer_name": "PC Jones",
                "ward": "E05013667",
                "borough": "E09000022",
                "server_key": self.public_key(),
            },
        )

    def public_key(self) -> dict[str, str]:
        public = base64.urlsafe_b64encode(self.key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return {"kid": "key-1", "kty": "OKP", "crv": "Ed25519", "x": public}

    def _claims(self, proof: str, key: Any) -> dict[str, Any] | Reply:
        claims: dict[str, Any] = jwt.decode(
            proof,
            key,
            algorithms=["ES256"],
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
        if abs(claims["iat"] * 1000 - self.now) > 120_000:
            return problem(400, "The phone's clock is off.", server_time=self.now)
        return claims

    def _token(self, body: bytes) -> Reply:
        form = urllib.parse.parse_qs(body.decode())
        assertion = form["assertion"][0]
        device_id = jwt.decode(assertion, options={"verify_signature": False})["sub"]
        claims = self._claims(assertion, self.devices[device_id][1])
        if isinstance(claims, tuple):
            return claims
        if claims["jti"] in self.seen_jti:
            return problem(400, "The assertion was used before.")
        self.seen_jti.add(claims["jti"])
        token = f"token-{len(self.seen_jti)}"
        self.tokens[token] = device_id
        return self._json(200, {"access_token": token, "token_type": "Bearer", "expires_in": 900})

    def _hello(self, device: str) -> Hello:
        epochs = {epoch for known, epoch, _ in self.ledger if known == device}
        return Hello(
            server_time=self.now,
            incarnation=self.incarnation,
            limits=self.limits,
            durable_through={epoch: self._through(device, epoch) for epoch in epochs},
            wipe=self.wipe,
        )

    def _through(self, device: str, epoch: str) -> int:
        return inbox.contiguous_through(0, [s for d, e, s in self.ledger if (d, e) == (device, epoch)])

    def _push(self, device: str, headers: dict[str, str], body: bytes) -> Reply:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        elif headers.get("content-encoding") == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        if len(body) > self.unpacked_bytes_max:
            return problem(413, "The request is too large.")
        self.bodies.append(body)
        verdicts: list[Verdict] = []
        taken: list[tuple[str, int, str]] = []
        rotate = False
        epoch = None
        with self.lock:
            for index, line in enumerate(split_lines(body)):
                arrival = inbox.read_line(index, line, device=device)
                verdict = self._receive(device, arrival)
                verdicts.append(verdict)
                rotate = rotate or verdict.code == Code.KEY_REUSED
                if verdict.v in CUSTODY:
                    envelope = arrival.envelope
                    epoch = epoch if envelope is None else envelope.epoch
                    taken.append(
                        ("", 0, arrival.digest)
                        if envelope is None
                        else (envelope.epoch, envelope.seq, arrival.digest)
                    )
        receipt = None
        if self.receipts_on:
            receipt = receipts.seal(
                Receipt(
                    key_id="key-1",
                    incarnation=self.incarnation,
                    device=device,
                    received_at=self.now,
                    ops=tuple(taken),
                ),
                self.key.sign,
            )
        through = self._through(device, epoch) if epoch else 0
        return self._json(
            200,
            PushAnswer(
                verdicts=tuple(verdicts),
                epoch=epoch,
                contiguous_through=through,
                durable_through=through if self.durable else 0,
                receipt=receipt,
                backoff_ms=self.backoff_ms,
                rotate_epoch=rotate,
            ),
        )

    def _receive(self, device: str, arrival: inbox.Arrival) -> Verdict:
        envelope = arrival.envelope
        if envelope is None:
            self.quarantine.append(arrival.line)
            return arrival.verdict(Outcome.QUARANTINED, arrival.fault)
        key = (device, envelope.epoch, envelope.seq)
        recorded = self.ledger.get(key)
        before = inbox.against_ledger(arrival, recorded[0] if recorded else None)
        if before is not None:
            if before.v is Outcome.QUARANTINED and arrival.line not in self.quarantine:
                self.quarantine.append(arrival.line)
            return before
        outcome, code = Outcome.APPLIED, None
        fault = Code.DEVICE_REVOKED if self.wipe else arrival.fault
        if fault is not None:
            outcome, code = Outcome.QUARANTINED, fault
            self.quarantine.append(arrival.line)
        else:
            self.notes.setdefault(envelope.entity_id, arrival.line)
        self.ledger[key] = (inbox.Recorded(arrival.digest, outcome, code, 1), arrival.line)
        return arrival.verdict(outcome, code, rev=1)

    def _pull(self, request: PullRequest) -> PullAnswer:
        position, resync = 0, None
        if request.cursor is not None:
            try:
                place = cursor.open_sealed(request.cursor, CURSOR_KEY)
                position = place.seq
                if place.incarnation != self.incarnation:
                    raise cursor.CursorError("another incarnation")
            except cursor.CursorError:
                position, resync = 0, Resync(reason="restored", cursor=self._cursor(0))
        self.pulls.append(request)
        if request.emptied:
            position = 0
        rows = min(request.limit, self.page_size)
        page = tuple(self.changes[position : position + rows]) if resync is None else ()
        end = position + len(page)
        more = end < len(self.changes)
        checkpoint = None
        if not more and resync is None:
            checkpoint = self.checkpoint()
            if self.spoil_checkpoints:
                self.spoil_checkpoints -= 1
                checkpoint = {"own": (99, "0" * 16)}
        return PullAnswer(
            changes=page,
            cursor=self._cursor(end),
            more=more,
            checkpoint=checkpoint,
            resync=resync,
            lease=self.lease,
        )

    def _cursor(self, seq: int) -> str:
        return cursor.seal(cursor.Cursor(self.incarnation, "v1", 0, seq), CURSOR_KEY)

    def checkpoint(self) -> dict[str, tuple[int, str]]:
        rows: dict[str, dict[tuple[str, str], int]] = {}
        for change in self.changes:
            bucket = rows.setdefault(change.bucket, {})
            if change.op == "put":
                bucket[change.kind, change.id] = change.rev
            else:
                bucket.pop((change.kind, change.id), None)
        return {
            name: (len(held), checksum((kind, row_id, rev) for (kind, row_id), rev in held.items()))
            for name, held in rows.items()
        }


@contextlib.contextmanager
def serve(server: FakeServer) -> Iterator[str]:
    """Listen on a real socket of this computer; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def log_message(self, *_args: Any) -> None:
            return None

        def do_GET(self) -> None:
            self._go()

        def do_POST(self) -> None:
            self._go()

        def _go(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            try:
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                    return
                known = {name.lower(): value for name, value in self.headers.items()}
                status, headers, content = server.answer(self.command, self.path, known, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_args: Any) -> None:
            return None  # a connection that was cut is what these tests are about

    listener = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
