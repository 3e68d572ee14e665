"""Web Push: alerts to a person's own browser, also while no page is open (RFC 8030, 8291, 8292)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection
from urllib.parse import urlsplit

import msgspec
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02  # type: ignore[import-untyped]  # has no stubs
from pywebpush import WebPushException, webpush  # type: ignore[import-untyped]  # has no stubs

from server.access.crypto import derive
from server.alerts.channels import SEND_SECONDS_MAX, ChannelTrouble, Message
from server.alerts.wording import lines_of, link_of, title_of
from sync.vocabulary import Grade

TTL_SECONDS = 12 * 3600
"""How long a push service keeps a message for a browser that is away. The library's own default is not at all."""

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256's group: a private key is a number from 1 to one less (FIPS 186-5)."""


class VapidKey:
    """The key that push services know this server by. Derived from the server's secret, as the receipt key is, so
    that it is kept, backed up and shared by several processes with it."""

    def __init__(self, secret: bytes) -> None:
        number = int.from_bytes(derive(secret, "vapid") + derive(secret, "vapid 2"))
        self.private = ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())
        raw = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        """What a browser subscribes with (`applicationServerKey`)."""


class Subscription(msgspec.Struct, frozen=True):
    """Where a browser is reached, as it said itself."""

    endpoint: str
    p256dh: str
    auth: str


class PushChannel:
    """Hands messages to browsers' push services. `contact` is a `mailto:` for their operators."""

    name = "push"

    def __init__(self, key: VapidKey, contact: str, base_url: str) -> None:
        self._signer = Vapid02(key.private)
        self._contact = contact
        self._base_url = base_url.rstrip("/")

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        return False

    async def send(self, message: Message, *, now: int) -> None:
        """The library blocks, so it works in a thread."""
        await asyncio.to_thread(self._send, message)

    async def close(self) -> None:
        """Nothing is kept open between messages."""

    def _send(self, message: Message) -> None:
        to = msgspec.json.decode(message.to, type=Subscription)
        said = {
            "title": title_of(message),
            "body": lines_of(message, self._base_url)[0],
            "link": link_of(message, self._base_url),
            "tag": message.message_id,
        }
        try:
            webpush(
                {"endpoint": to.endpoint, "keys": {"p256dh": to.p256dh, "auth": to.auth}},
                data=msgspec.json.encode(said).decode(),
                vapid_private_key=self._signer,
                vapid_claims={"sub": self._contact},  # a new one each time: the library writes into it
                ttl=TTL_SECONDS,
                timeout=SEND_SECONDS_MAX,
                headers={"urgency": "high" if message.grade == "red" else "normal"},
            )
        except WebPushException as error:
            raise _refused(error) from None
        except requests.RequestException:
            raise ChannelTrouble("no connection to the browser's push service") from None
        except (ValueError, TypeError):
            raise ChannelTrouble("the browser's keys cannot be used", is_final=True, is_gone=True) from None


def is_push_address(endpoint: str) -> bool:
    """Whether messages may be sent there: over TLS, to a name, and not into a network of our own."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    named = "." in host and not host.replace(".", "").isdigit() and ":" not in host
    return parts.scheme == "https" and named and parts.username is None and not host.endswith(".local")


def _refused(error: WebPushException) -> ChannelTrouble:
    status = error.response.status_code if error.response is not None else 0
    if status in (404, 410):
        return ChannelTrouble("the browser has ended its subscription", is_final=True, is_gone=True)
    if not status:
        return ChannelTrouble("the browser's keys cannot be used", is_final=True, is_gone=True)
    wait = error.response.headers.get("retry-after", "")
    return ChannelTrouble(
        f"the push service refused it with {status}",
        is_final=status in (400, 413),
        wait_ms=min(int(wait), 3600) * 1000 if wait.isascii() and wait.isdigit() else 0,
    )
