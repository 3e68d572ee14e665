"""A pull that brings nothing new is answered before the application, and in no other words than the door's."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from unittest import mock

import msgspec
import pytest

from server import intake, pulling
from server.access import devices
from server.audit import Actor
from server.clock import now_ms
from server.http import answered, at_once
from server.http.answered import Answered
from server.http.at_once import AtOnce
from server.records import ledger
from server.storage import StorageBusy, Transaction, WouldWait
from sync import cursor as cursors
from sync import receipts
from sync.envelope import Outcome, PullAnswer, PushAnswer
from tests.http.kit import Client, Phone, enrolled_phone, services_of
from tests.http.test_sync import NOTE, Sender, counted, own


def shown(answer: Any) -> dict[str, str]:
    """The headers of an answer, but for those that differ in every answer."""
    different = ("x-request-id", "content-length")
    return {name: value for name, value in answer.headers.items() if name not in different}


@pytest.fixture
def sender(client: Client, phone: Phone) -> Sender:
    return Sender(client, phone)


@pytest.fixture
def asked() -> Iterator[mock.Mock]:
    """Counts the pulls that came to the door."""
    with mock.patch.object(pulling, "page", wraps=pulling.page) as count:
        yield count


def test_a_fault_of_the_layer_is_answered_by_the_door_and_names_nobody(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(*_: Any) -> None:
        raise ValueError("Marker-name")

    monkeypatch.setattr(at_once, "page_of", fails)
    sender.push(sender.line())
    assert len(own(sender.pull())) == 1
    said = "".join(capsys.readouterr())
    assert "not_answered_at_once" in said and "ValueError" in said
    assert "Marker" not in said and "Traceback" not in said


def no_layer() -> Any:
    """In the block every request goes to its door."""

    async def through(self: AtOnce, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    return mock.patch.object(AtOnce, "__call__", through)


def has_everything(sender: Sender, notes: int = 2) -> str:
    """The cursor of a phone that has pulled to the end."""
    sender.push(*(sender.line() for _ in range(notes)))
    return sender.pull().cursor


def test_nothing_new_is_said_in_the_very_words_of_the_door(client: Client, sender: Sender) -> None:
    cursor = has_everything(sender)

    def ask() -> Any:
        return client.post("/api/sync/pull", json={"cursor": cursor}, headers=sender.headers)

    quick = ask()
    with no_layer():
        whole = ask()
    assert quick.status_code == whole.status_code == 200
    page, same = (msgspec.json.decode(one.content, type=PullAnswer) for one in (quick, whole))
    # The door seals a new cursor at the same place, which says when it did.
    place = cursors.open_sealed(same.cursor, services_of(client).cursor_key)
    before = cursors.open_sealed(page.cursor, services_of(client).cursor_key)
    assert msgspec.structs.replace(place, issued_at=before.issued_at) == before and page.cursor == cursor
    assert quick.content == whole.content.replace(same.cursor.encode(), cursor.encode())
    assert shown(quick) == shown(whole)
    requests = client.get("/metrics", headers={"authorization": "Bearer metrics-for-tests"}).text
    assert 'earlysign_requests_total{method="POST",route="/api/sync/pull",status="2xx"} 3.0' in requests


def test_a_page_is_what_the_door_would_send(client: Client, sender: Sender) -> None:
    sender.push(*(sender.line() for _ in range(3)))
    for body in ({"limit": 2}, {"cursor": sender.pull(limit=2).cursor}, {"cursor": "of another server"}):

        def ask(asked: Any = body) -> Any:
            return client.post("/api/sync/pull", json=asked, headers=sender.headers)

        quick = ask()
        with no_layer():
            whole = ask()
        assert shown(quick) == shown(whole)
        page, same = (msgspec.json.decode(one.content, type=PullAnswer) for one in (quick, whole))
        assert page.changes and bool(page.resync) == (body == {"cursor": "of another server"})
        # Its cursor says when it was sent.
        assert quick.content.replace(page.cursor.encode(), b"") == whole.content.replace(
            same.cursor.encode(), b""
        )
    disclosed = services_of(client).store.read_now(
        lambda tx: tx.value("SELECT COUNT(*) FROM audit_entry WHERE verb = 'disclosure' AND kind = 'note'")
    )
    assert disclosed == 7, "each page that was sent is in the log"


def test_where_the_database_is_busy_the_door_says_so(
    client: Client, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.push(sender.line())
    asked = 0

    def busy(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise StorageBusy("Everybody is here.")

    monkeypatch.setattr(pulling, "page", busy)
    answer = client.post("/api/sync/pull", json={}, headers=sender.headers)
    assert answer.status_code == 503 and answer.headers["retry-after"] and asked == 2


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
@pytest.mark.parametrize("layered", [True, False])
@pytest.mark.parametrize("ends", ["revoked", "closed"])
def test_invariant_8_a_phone_whose_end_comes_before_its_page_is_sent_none(
    client: Client, sender: Sender, ends: str, layered: bool
) -> None:
    """The look at its token is one, and its page another, perhaps behind others in the turn of whoever writes."""
    sender.push(sender.line())
    store, device_id = services_of(client).store, sender.phone.device_id

    def end(tx: Transaction) -> None:
        if ends == "revoked":
            devices.revoke(tx, device_id, actor=Actor("system", "t"), now=now_ms())
        else:
            tx.execute("UPDATE person SET active = 0 WHERE username = 'okafor'")

    recorded = type(store).read_recorded

    async def in_turn(self: Any, work: Any) -> Any:
        await self.write(end)
        return await recorded(self, work)

    with mock.patch.object(type(store), "read_recorded", in_turn), nullcontext() if layered else no_layer():
        answer = client.post("/api/sync/pull", json={}, headers=sender.headers)
    assert answer.status_code == 403 and "checkpoint" not in answer.text
    disclosed = "SELECT COUNT(*) FROM audit_entry WHERE verb = 'disclosure'"
    assert store.read_now(lambda tx: tx.value(disclosed)) == 0


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
    with no_layer():
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


def test_a_page_is_read_in_the_turn_of_the_writer_unless_pushes_wait_for_it(
    client: Client, sender: Sender
) -> None:
    sender.push(*(sender.line() for _ in range(2)))
    services = services_of(client)
    with mock.patch.object(type(services.store), "read_recorded", side_effect=StorageBusy("in turn")) as turn:
        answer = client.post("/api/sync/pull", json={}, headers=sender.headers)
        assert answer.status_code == 503 and turn.called
        with services.notes_first.pushing():
            assert len(own(sender.pull())) == 2


# A push that came before --------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[mock.Mock]:
    """Counts the pushes that took the road."""
    with mock.patch.object(intake, "receive", wraps=intake.receive) as count:
        yield count


def told(answer: Any) -> tuple[PushAnswer, receipts.Receipt]:
    """What a phone is told, and what its receipt covers; neither depends on when."""
    assert answer.status_code == 200, answer.text
    push = msgspec.json.decode(answer.content, type=PushAnswer)
    receipt = receipts.open_sealed(push.receipt or "", lambda _payload, _signature: True)
    return (
        msgspec.structs.replace(push, receipt=None),
        msgspec.structs.replace(receipt, received_at=0),
    )


@pytest.mark.invariant(3)
@pytest.mark.parametrize("packed", ["", "gzip"])
def test_invariant_3_a_push_that_came_before_is_answered_as_the_road_would(
    client: Client, sender: Sender, taken: mock.Mock, packed: str
) -> None:
    body = b"\n".join(sender.line() for _ in range(3))
    headers = {"content-encoding": packed} if packed else {}
    wire = gzip.compress(body, mtime=0) if packed else body
    first, _ = told(sender.send(wire, headers))
    assert [verdict.v for verdict in first.verdicts] == [Outcome.APPLIED] * 3 and taken.call_count == 1
    quick = sender.send(wire, headers)
    assert taken.call_count == 1
    with no_layer():
        whole = sender.send(wire, headers)
    assert taken.call_count == 2
    assert told(quick) == told(whole)
    assert [verdict.v for verdict in told(quick)[0].verdicts] == [Outcome.DUPLICATE] * 3
    assert shown(quick) == shown(whole)
    key, sealed = services_of(client).receipt_key, msgspec.json.decode(quick.content, type=PushAnswer).receipt
    assert receipts.open_sealed(sealed or "", lambda payload, signature: key.sign(payload) == signature)
    assert counted(client, "note") == 3


def test_a_push_with_anything_out_of_the_ordinary_takes_the_road_again(
    client: Client, sender: Sender, taken: mock.Mock
) -> None:
    note_id = str(uuid.uuid4())
    waits = sender.line(
        {"recorded_at": NOTE["recorded_at"], "reason": "More", "text": "More"},
        kind="note.amend",
        entity_id=note_id,
    )
    for lines in ([b"not an op"], [sender.line({"bad": 1})], [waits]):
        first, _ = told(sender.send(b"\n".join(lines)))
        again, _ = told(sender.send(b"\n".join(lines)))
        assert first.verdicts[0].v in (Outcome.QUARANTINED, Outcome.PARKED)
        assert again.verdicts[0].v in (Outcome.QUARANTINED, Outcome.DUPLICATE)
    assert taken.call_count == 6
    # What waited has come to another end since: the next repetition says so, whoever answers it.
    sender.push(sender.line(entity_id=note_id))
    settled, _ = told(sender.send(waits))
    assert settled.verdicts[0].code == Outcome.APPLIED


@pytest.mark.invariant(3)
def test_invariant_3_other_bytes_under_the_numbers_of_a_push_are_no_repetition(
    client: Client, sender: Sender
) -> None:
    lines = [sender.line() for _ in range(2)]
    sender.push(*lines)
    assert sender.push(*lines).verdicts[0].v is Outcome.DUPLICATE
    sender.seq = 1
    answer = sender.push(lines[0], sender.line())
    assert [verdict.v for verdict in answer.verdicts] == [Outcome.DUPLICATE, Outcome.QUARANTINED]
    assert answer.rotate_epoch
    # Nor does the ledger's word count less than what is remembered.
    services_of(client).store.write_now(lambda tx: tx.execute("UPDATE op SET digest = 'x' WHERE seq = 1"))
    assert sender.push(*lines).verdicts[0].v is Outcome.QUARANTINED


def test_the_body_of_another_phone_is_no_repetition(client: Client, sender: Sender, taken: mock.Mock) -> None:
    body = sender.line()
    sender.push(body)
    other = enrolled_phone(client, "banks")
    answer = client.post(
        "/api/sync/push", content=body,
        headers={"authorization": f"Bearer {other.bearer}", "content-type": "application/x-ndjson"},
    )  # fmt: skip
    assert msgspec.json.decode(answer.content, type=PushAnswer).verdicts[0].code == "device_mismatch"
    assert taken.call_count == 2


def test_a_revoked_phone_asks_again_for_what_it_handed_in_and_a_token_that_is_over_does_not(
    client: Client, sender: Sender
) -> None:
    line = sender.line()
    sender.push(line)
    store, device_id = services_of(client).store, sender.phone.device_id
    store.write_now(lambda tx: devices.revoke(tx, device_id, actor=Actor("system", "t"), now=now_ms()))
    assert sender.push(line).verdicts[0].v is Outcome.DUPLICATE
    store.write_now(lambda tx: tx.execute("UPDATE device_token SET expires_at = 1"))
    assert sender.send(line).status_code == 401


@pytest.mark.invariant(11)
def test_invariant_11_a_repetition_promises_no_more_than_the_newest_backup_holds(
    client: Client, sender: Sender
) -> None:
    line = sender.line()
    assert sender.push(line).durable_through == 1
    store = services_of(client).store
    marks = store.write_now(ledger.begin_backup)
    done = ledger.Backup(name="b", begun_at=1)
    assert sender.push(line).durable_through == 0
    store.write_now(lambda tx: ledger.backed_up(tx, Actor("system", "t"), done, marks, now=now_ms()))
    assert sender.push(line).durable_through == 1


def test_a_process_that_has_not_answered_before_takes_the_road(
    client: Client, sender: Sender, taken: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = sender.line()
    sender.push(line)
    remembered = services_of(client).answered
    remembered._sent.clear()
    assert sender.push(line).verdicts[0].v is Outcome.DUPLICATE and taken.call_count == 2
    assert sender.push(line).verdicts[0].v is Outcome.DUPLICATE and taken.call_count == 2
    # Somebody who was never met is not listened to at length.
    remembered._tokens.clear()
    assert sender.push(line).verdicts[0].v is Outcome.DUPLICATE and taken.call_count == 3
    assert sender.push(line).verdicts[0].v is Outcome.DUPLICATE and taken.call_count == 3


def test_so_many_bodies_and_tokens_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered, "PUSHES_MAX", 2)
    monkeypatch.setattr(answered, "TOKENS_MAX", 2)
    remembered = Answered()
    for number in range(4):
        remembered.note(("", bytes([number])), "d", [("e", number + 1, "0" * 64)])
        remembered.met(str(number))
    assert [number for number in range(4) if remembered.find(("", bytes([number])))] == [2, 3]
    assert [number for number in range(4) if remembered.has_met(str(number))] == [2, 3]
    remembered.note(("", b"x"), "d", [("", 0, "0" * 64)])
    remembered.note(("", b"y"), "d", [("e", 1, "0" * 64), ("f", 1, "0" * 64)])
    assert remembered.find(("", b"x")) is None and remembered.find(("", b"y")) is None
