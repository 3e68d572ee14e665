"""The webhook: signed, names nobody, and says in plain words what went wrong."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from server.alerts.channels import ChannelTrouble, Message, WebhookChannel
from server.alerts.webhooks import Webhook
from server.clock import now_ms
from tests.alerts.receiver import SECRET, Receiver

MESSAGE = Message(
    message_id="alert-event-17-webhook",
    alert_id=5,
    borough="E09000022",
    grade="red",
    kind="escalated",
    told="supervisor",
    at=1_767_225_600_000,
)


def send(receiver: Receiver, message: Message = MESSAGE) -> None:
    async def go() -> None:
        agreed = Webhook(url="https://hook.example/alerts", secret=SECRET)
        channel = WebhookChannel("mash", agreed, "https://earlysign.example/", receiver)
        try:
            await channel.send(message, now=now_ms())
        finally:
            await channel.close()

    asyncio.run(go())


def test_a_stranger_with_the_key_can_check_the_signature_and_read_it() -> None:
    receiver = Receiver()
    send(receiver)
    assert receiver.received == [
        {
            "type": "alert.escalated",
            "timestamp": "2026-01-01T00:00:00Z",
            "data": {
                "alert_id": 5,
                "borough": "E09000022",
                "grade": "red",
                "link": "https://earlysign.example/alerts/5",
                "told": "supervisor",
            },
        }
    ]
    assert receiver.ids == ["alert-event-17-webhook"]


def test_a_message_has_room_for_nobodys_name() -> None:
    fields = set(Message.__struct_fields__)
    assert fields == {
        "message_id",
        "alert_id",
        "borough",
        "grade",
        "kind",
        "told",
        "at",
        "to",
        "place",
        "count",
    }


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_a_refusal_is_trouble_that_may_pass(status: int) -> None:
    with pytest.raises(ChannelTrouble, match=f"refused with status {status}") as caught:
        send(Receiver(status))
    assert not caught.value.is_final


def test_gone_is_final() -> None:
    with pytest.raises(ChannelTrouble) as caught:
        send(Receiver(410))
    assert caught.value.is_final


@pytest.mark.parametrize(("asked", "wait_ms"), [("7", 7_000), ("999999", 3_600_000), ("soon", 0), ("-1", 0)])
def test_a_receiver_may_ask_for_a_pause(asked: str, wait_ms: int) -> None:
    with pytest.raises(ChannelTrouble) as caught:
        send(Receiver(429, headers={"retry-after": asked}))
    assert caught.value.wait_ms == wait_ms


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (httpx.ReadTimeout("https://hook.example/alerts?key=secret"), "no answer in time"),
        (httpx.ConnectError("https://hook.example/alerts?key=secret"), "no connection"),
    ],
)
def test_trouble_never_repeats_the_address(error: Exception, says: str) -> None:
    with pytest.raises(ChannelTrouble) as caught:
        send(Receiver(error))
    assert str(caught.value) == says


def test_the_body_is_small() -> None:
    receiver = Receiver()
    send(receiver)
    assert len(json.dumps(receiver.received[0])) < 400
