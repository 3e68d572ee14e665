"""A pull that brings nothing new is answered before the application, and in no other words than the door's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import msgspec
import pytest

from server import pulling
from server.access import devices
from server.audit import Actor
from server.clock import now_ms
from server.http import at_once
from server.storage import WouldWait
from sync.envelope import PullAnswer
from tests.http.kit import Client, Phone, enrolled_phone, services_of
from tests.http.test_sync import Sender, own

SECRET_HEADERS = {"x-request-id"}
"""What differs in every answer."""


@pytest.fixture
def sender(client: Client, phone: Phone) -> Sender:
    return Sender(client, phone)


@pytest.fixture
def asked() -> Iterator[mock.Mock]:
    """Counts the pulls that came to the door."""
    with mock.patch.object(pulling, "page", wraps=pulling.page) as count:
        yield count


def has_everything(sender: Sender, notes: int = 2) -> str:
    """The cursor of a phone that has pulled to the end."""
    sender.push(*(sender.line() for _ in range(notes)))
    return sender.pull().cursor


def test_nothing_new_is_said_in_the_very_words_of_the_door(client: Client, sender: Sender) -> None:
    cursor = has_everything(sender)

    def ask() -> Any:
        return client.post("/api/sync/pull", json={"cursor": cursor}, headers=sender.headers)

    quick = ask()
    with mock.patch.object(at_once, "PATH", "/nowhere"):
        whole = ask()
    assert quick.status_code == whole.status_code == 200
    assert msgspec.json.decode(quick.content, type=PullAnswer) == msgspec.json.decode(
        whole.content, type=PullAnswer
    )
    assert quick.content == whole.content
    assert {name: value for name, value in quick.headers.items() if name not in SECRET_HEADERS} == {
        name: value for name, value in whole.headers.items() if name not in SECRET_HEADERS
    }
    requests = client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"}).text
    assert 'earlysign_requests_total{method="POST",route="/api/sync/pull",status="2xx"} 3.0' in requests


def test_the_door_is_asked_whenever_there_is_anything(
    client: Client, sender: Sender, asked: mock.Mock
) -> None:
    cursor = has_everything(sender)
    assert asked.call_count == 1
    assert sender.pull(cursor).changes == () and asked.call_count == 1
    sender.push(sender.line())
    page = sender.pull(cursor)
    assert len(own(page)) == 1 and asked.call_count == 2
    assert sender.pull(page.cursor).changes == () and asked.call_count == 2
    for body in (
        {"cursor": page.cursor, "emptied": ["areas"]},
        {"cursor": page.cursor, "lease": "begin"},
        {},
    ):
        client.post("/api/sync/pull", json=body, headers=sender.headers).raise_for_status()
    assert asked.call_count == 5
    # A lease runs now: what is lent is the door's business.
    sender.pull(page.cursor)
    assert asked.call_count == 6


def test_a_phone_that_may_not_pull_hears_so_from_the_door_and_gets_nothing(
    client: Client, sender: Sender
) -> None:
    cursor = has_everything(sender)
    store, device_id = services_of(client).store, sender.phone.device_id
    assert sender.pull(cursor).changes == ()
    for token in ("Bearer nobody", "Basic x", "", f"Bearer {'x' * 300}"):
        answer = client.post("/api/sync/pull", json={"cursor": cursor}, headers={"authorization": token})
        assert answer.status_code == 401 and "checkpoint" not in answer.text
    store.write_now(lambda tx: devices.revoke(tx, device_id, actor=Actor("system", "t"), now=now_ms()))
    answer = client.post("/api/sync/pull", json={"cursor": cursor}, headers=sender.headers)
    assert answer.status_code == 403 and "checkpoint" not in answer.text


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE device_token SET expires_at = 1",
        "UPDATE person SET active = 0",
        "UPDATE device SET wipe_ordered_at = 1",
    ],
)
def test_a_token_that_is_over_an_account_that_is_closed_and_a_wipe_are_seen_at_once(
    client: Client, sender: Sender, spoil: str
) -> None:
    cursor = has_everything(sender)
    services_of(client).store.write_now(lambda tx: tx.execute(spoil))
    answer = client.post("/api/sync/pull", json={"cursor": cursor}, headers=sender.headers)
    assert answer.status_code in (401, 403) and "checkpoint" not in answer.text


@pytest.mark.invariant(8)
def test_invariant_8_the_cursor_of_another_officer_opens_nothing(client: Client, sender: Sender) -> None:
    cursor = has_everything(sender)
    other = enrolled_phone(client, "banks")
    answer = client.post(
        "/api/sync/pull", json={"cursor": cursor}, headers={"authorization": f"Bearer {other.bearer}"}
    )
    page = msgspec.json.decode(answer.content, type=PullAnswer)
    assert page.resync is not None and own(page) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"cursor": 7}', b"\xff\xfe", b'{"cursor":"x"}', b'{"x":1}']
)
def test_what_cannot_be_read_is_answered_by_the_door(client: Client, sender: Sender, body: bytes) -> None:
    headers = sender.headers | {"content-type": "application/json"}
    quick = client.post("/api/sync/pull", content=body, headers=headers)
    with mock.patch.object(at_once, "PATH", "/nowhere"):
        whole = client.post("/api/sync/pull", content=body, headers=headers)
    assert quick.status_code == whole.status_code < 500
    assert quick.status_code in (200, 400, 422)


def test_while_pushes_are_under_way_or_no_glance_is_to_be_had_a_thread_looks(
    client: Client, sender: Sender, asked: mock.Mock
) -> None:
    cursor = has_everything(sender)
    services = services_of(client)
    with services.notes_first.pushing(), mock.patch.object(type(services.store), "glance") as glance:
        assert sender.pull(cursor).changes == ()
        assert not glance.called
    with mock.patch.object(type(services.store), "glance", side_effect=WouldWait("busy")):
        assert sender.pull(cursor).changes == ()
    assert asked.call_count == 1
