"""E-mail to a real mail server, and Web Push to a service that decrypts: what arrives, and what a refusal means."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import json
import os
import ssl
import threading
from collections.abc import Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import http_ece  # type: ignore[import-untyped]  # has no stubs
import jwt
import msgspec
import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from server.alerts.channels import ChannelTrouble, Message
from server.alerts.mail import MailChannel, MailSettings
from server.alerts.push import PushChannel, Subscription, VapidKey, is_push_address
from tests.bench.setting import free_port

BASE = "https://earlysign.example"
MESSAGE = Message(
    message_id="alert-event-7-mail-3-0", alert_id=7, borough="E09000022", grade="red", kind="escalated",
    told="supervisor", at=0, to="ines@force.example", place="Lambeth",
)  # fmt: skip


class Mailbox:
    """What a mail server was handed. `refuses` is the answer to a recipient, where it refuses."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.was_encrypted: list[bool] = []
        self.refuses: str | None = None

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        self.was_encrypted.append(session.ssl is not None)
        return "250 OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


class Post:
    def __init__(self, mailbox: Mailbox, port: int, trusting: ssl.SSLContext) -> None:
        self.mailbox = mailbox
        self.port = port
        self.trusting = trusting

    def send(self, trusting: ssl.SSLContext | None = None, port: int | None = None) -> None:
        settings = MailSettings(
            host="127.0.0.1", port=port or self.port, sender="earlysign@force.example", security="starttls"
        )
        channel = MailChannel(settings, BASE, trusting or self.trusting)
        asyncio.run(channel.send(MESSAGE, now=0))


@pytest.fixture
def post(certificate: Path) -> Iterator[Post]:
    offering = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    offering.load_cert_chain(certificate)
    mailbox, port = Mailbox(), free_port()
    server = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=offering,
        require_starttls=True,
        server_hostname="mail",
    )
    server.start()
    try:
        yield Post(mailbox, port, ssl.create_default_context(cafile=str(certificate)))
    finally:
        server.stop()


def test_a_mail_arrives_over_tls_and_names_nobody(post: Post) -> None:
    post.send()
    [raw] = post.mailbox.mails
    mail = message_from_bytes(raw)
    assert post.mailbox.was_encrypted == [True]
    assert (mail["to"], mail["subject"]) == ("ines@force.example", "Red alert, Lambeth")
    assert mail["message-id"] == "<alert-event-7-mail-3-0@force.example>"
    said = str(mail.get_payload())
    assert "Nobody has answered an alert." in said and f"{BASE}/alerts/7" in said


def test_a_mail_server_that_cannot_prove_who_it_is_gets_nothing(post: Post) -> None:
    with pytest.raises(ChannelTrouble, match="no connection to the mail server"):
        post.send(trusting=ssl.create_default_context())
    assert post.mailbox.mails == []


@pytest.mark.parametrize(("answer", "is_final"), [("550 no such person", True), ("451 later", False)])
def test_what_the_mail_server_says_decides_whether_to_ask_again(
    post: Post, answer: str, is_final: bool
) -> None:
    post.mailbox.refuses = answer
    with pytest.raises(ChannelTrouble, match=f"refused it with {answer[:3]}") as caught:
        post.send()
    assert caught.value.is_final is is_final
    assert "person" not in str(caught.value), "the answer may hold an address"


def test_no_mail_server_is_a_trouble_that_may_pass(post: Post) -> None:
    with pytest.raises(ChannelTrouble) as caught:
        post.send(port=1)
    assert not caught.value.is_final


class PushService(BaseHTTPRequestHandler):
    """A browser's push service: keeps what it is given."""

    received: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    status: ClassVar[int] = 201

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        PushService.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(PushService.status)
        self.send_header("content-length", "0")
        self.send_header("retry-after", "90")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Browser:
    """A browser with a subscription: its keys, and how it reads a message."""

    def __init__(self, port: int) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        public = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.subscription = Subscription(f"http://127.0.0.1:{port}/push/abc", _text(public), _text(self.auth))

    def reads(self, body: bytes) -> Any:
        return json.loads(
            http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def browser() -> Iterator[Browser]:
    PushService.received.clear()
    PushService.status = 201
    with HTTPServer(("127.0.0.1", 0), PushService) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Browser(server.server_port)
        server.shutdown()
        thread.join(10)


def push(browser: Browser, times: int = 1) -> None:
    channel = PushChannel(VapidKey(bytes(32)), "mailto:it@force.example", BASE)
    message = msgspec.structs.replace(MESSAGE, to=msgspec.json.encode(browser.subscription).decode())

    async def send() -> None:
        for _ in range(times):
            await channel.send(message, now=0)

    asyncio.run(send())


def test_a_browser_reads_what_it_is_sent_and_it_names_nobody(browser: Browser) -> None:
    push(browser)
    [(headers, body)] = PushService.received
    assert browser.reads(body) == {
        "title": "Red alert, Lambeth", "body": "Nobody has answered an alert.", "link": f"{BASE}/alerts/7",
        "tag": "alert-event-7-mail-3-0",
    }  # fmt: skip
    assert headers["ttl"] == str(12 * 3600) and headers["urgency"] == "high"


def test_the_push_service_can_tell_that_it_is_us_each_time(browser: Browser) -> None:
    push(browser, times=2)
    key = VapidKey(bytes(32))
    for headers, _ in PushService.received:
        scheme, _, rest = headers["authorization"].partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert (scheme, fields["k"]) == ("vapid", key.public)
        audience = browser.subscription.endpoint.rpartition("/push")[0]
        claims = jwt.decode(fields["t"], key.private.public_key(), ["ES256"], audience=audience)
        assert claims["sub"] == "mailto:it@force.example"


def test_the_key_is_the_same_after_a_restart_and_another_for_another_server() -> None:
    assert VapidKey(bytes(32)).public == VapidKey(bytes(32)).public != VapidKey(b"x" * 32).public


@pytest.mark.parametrize(
    ("status", "is_final", "is_gone"),
    [(404, True, True), (410, True, True), (429, False, False), (503, False, False), (413, True, False)],
)
def test_what_the_push_service_says_decides(
    browser: Browser, status: int, is_final: bool, is_gone: bool
) -> None:
    PushService.status = status
    with pytest.raises(ChannelTrouble) as caught:
        push(browser)
    assert (caught.value.is_final, caught.value.is_gone) == (is_final, is_gone)
    assert caught.value.wait_ms == (0 if is_gone else 90_000)


def test_keys_that_are_none_are_the_end_of_a_subscription(browser: Browser) -> None:
    browser.subscription = msgspec.structs.replace(browser.subscription, p256dh="AAAA")
    with pytest.raises(ChannelTrouble) as caught:
        push(browser)
    assert caught.value.is_gone


@pytest.mark.parametrize(
    ("endpoint", "may"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", True),
        ("http://fcm.googleapis.com/fcm/send/abc", False),
        ("https://localhost/x", False),
        ("https://127.0.0.1/x", False),
        ("https://[::1]/x", False),
        ("https://user@fcm.googleapis.com/x", False),
        ("file:///etc/passwd", False),
    ],
)
def test_a_browser_cannot_make_the_server_call_its_own_network(endpoint: str, may: bool) -> None:
    assert is_push_address(endpoint) is may
