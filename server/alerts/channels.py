"""Channels: ways for an alert to reach somebody outside this server. The first is a signed webhook.

A message names nobody: it holds numbers, a borough code, a grade, and a link at which those who may see more
sign in. A new channel is a class with `name` and `send`.
`EVERYBODY` is not one: every step of an alert is queued for it, and `records/telling.py` turns that into deliveries
to the people and the other systems whom it concerns. So no caller can forget to tell.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from typing import Protocol

import httpx
import msgspec
from standardwebhooks import Webhook as Signer

from server.alerts.webhooks import Webhook
from sync.vocabulary import Grade

EVERYBODY = "everybody"
"""In the outbox: to be told to whoever it concerns, each as they have chosen."""

WEBHOOK = "webhook"
"""What the names of channels to other systems begin with, before a colon."""

SEND_SECONDS_MAX = 10.0
"""A receiver that takes longer is asked again later: a message must not hold up those behind it."""

ANSWER_BYTES_MAX = 4_096
"""What is read of an answer. Only its status counts."""

RETRY_AFTER_SECONDS_MAX = 3_600
"""A receiver may ask for a pause of up to an hour; an alert is of no use much later."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel carries. `message_id` is the same at every attempt, so that a receiver can tell a repeat.

    `told` is the id of a role (`supervisor`), never a person. `at` is in milliseconds since the epoch.
    """

    message_id: str
    alert_id: int
    borough: str
    grade: str
    kind: str
    told: str | None
    at: int
    to: str = ""
    """For a channel to people: the address (mail), or a `push.Subscription` as JSON. Never logged."""
    place: str = ""
    """The borough's name, for people."""
    count: int = 1
    """How many alerts a digest stands for."""


class ChannelTrouble(Exception):
    """A message did not get through. `str()` says why in a few plain words without an address or an answer.

    `is_final` says that asking again is no use, `is_gone` that the address is no more; `wait_ms` is a pause that the
    receiver asked for.
    """

    def __init__(self, why: str, *, is_final: bool = False, is_gone: bool = False, wait_ms: int = 0) -> None:
        super().__init__(why)
        self.is_final = is_final
        self.is_gone = is_gone
        self.wait_ms = wait_ms


class Channel(Protocol):
    """A way out. `name` is kept with each delivery, and is what the audit trail says was told (`webhook:mash`)
    where the delivery is to nobody in particular."""

    @property
    def name(self) -> str: ...

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        """Whether a step of these boroughs and grades goes out here by itself, to no person in particular."""

    async def send(self, message: Message, *, now: int) -> None:
        """Hand a message over. Raises ChannelTrouble, and nothing else, when that fails."""

    async def close(self) -> None:
        """Let go of connections."""


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook, as the Standard Webhooks specification has it."""

    type: str
    timestamp: datetime.datetime
    data: dict[str, object]


class WebhookChannel:
    """Sends alerts to one address, signed by the Standard Webhooks specification (HMAC-SHA256).

    Raises ValueError where its secret is not base64, with or without `whsec_` in front. `transport` is for tests.
    Redirects are not followed: what was agreed is this address.
    """

    def __init__(
        self, name: str, agreed: Webhook, base_url: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.name = f"{WEBHOOK}:{name}"
        self._agreed = agreed
        self._base_url = base_url.rstrip("/")
        self._signer = Signer(agreed.secret)
        self._client = httpx.AsyncClient(
            timeout=SEND_SECONDS_MAX, follow_redirects=False, transport=transport, trust_env=False
        )

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        return self._agreed.hears(boroughs, grades)

    async def send(self, message: Message, *, now: int) -> None:
        at = datetime.datetime.fromtimestamp(now // 1000, datetime.UTC)
        body = msgspec.json.encode(self._payload(message))
        headers = {
            "content-type": "application/json",
            "user-agent": "earlysign",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": self._signer.sign(message.message_id, at, body.decode()),
        }
        try:
            async with self._client.stream("POST", self._agreed.url, content=body, headers=headers) as answer:
                await _read_some(answer)
        except httpx.TimeoutException:
            raise ChannelTrouble("no answer in time") from None
        except httpx.HTTPError:
            raise ChannelTrouble("no connection") from None
        if not answer.is_success:
            raise _refused(answer.status_code, answer.headers)

    async def close(self) -> None:
        await self._client.aclose()

    def _payload(self, message: Message) -> _Payload:
        data: dict[str, object] = {
            "alert_id": message.alert_id,
            "borough": message.borough,
            "grade": message.grade,
            "link": f"{self._base_url}/alerts/{message.alert_id}",
        }
        if message.told is not None:
            data["told"] = message.told
        return _Payload(
            type=f"alert.{message.kind}",
            timestamp=datetime.datetime.fromtimestamp(message.at / 1000, datetime.UTC),
            data=data,
        )


async def _read_some(answer: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can be used again; drop a long one."""
    read = 0
    async for chunk in answer.aiter_raw():
        read += len(chunk)
        if read > ANSWER_BYTES_MAX:
            return


def _refused(status: int, headers: Mapping[str, str]) -> ChannelTrouble:
    """410 says that the receiver wants no more, ever; anything else may have passed by the next attempt."""
    asked = headers.get("retry-after", "")
    seconds = min(int(asked), RETRY_AFTER_SECONDS_MAX) if asked.isascii() and asked.isdigit() else 0
    return ChannelTrouble(f"refused with status {status}", is_final=status == 410, wait_ms=seconds * 1000)
