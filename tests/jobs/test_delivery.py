"""Delivery: at least once, later and later while it fails, and never to be forgotten quietly."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import httpx
import pytest

from server import intake
from server.alerts.channels import WebhookChannel
from server.alerts.presets import load_presets
from server.alerts.webhooks import Webhook
from server.audit.verify import verify
from server.jobs import delivery, escalation
from server.prepared import prepare
from server.records import dead_letters, deliveries, spreading
from server.records.dead_letters import Health
from server.storage import Transaction
from sync.vocabulary import Grade
from tests.alerts.receiver import SECRET, Receiver
from tests.alerts.ways import Way
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, POLICY, Road, spread_all

PRESETS = load_presets()


def deliver(road: Road, receiver: Receiver, draw: float = 1.0, **limited: Any) -> int:
    agreed = Webhook(url="https://hook.example", secret=SECRET, **limited)

    async def go() -> int:
        channel = WebhookChannel("mash", agreed, "https://earlysign.example", receiver)
        try:
            return await delivery.run(road.store, [channel], lambda: road.now, POLICY, PRESETS, lambda: draw)
        finally:
            await channel.close()

    return asyncio.run(go())


@pytest.fixture(autouse=True)
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver's library asks the time of day whether a signature is fresh; these tests live in 2026."""
    name = "standardwebhooks.Webhook._Webhook__verify_timestamp"
    monkeypatch.setattr(name, lambda self, header: _parsed(header))


def _parsed(header: str) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(float(header), datetime.UTC)


def test_what_is_raised_arrives_once_and_names_nobody(road: Road) -> None:
    road.officer().writes(AMARA)
    receiver = Receiver()
    assert deliver(road, receiver) == 1
    assert deliver(road, receiver) == 0
    [body] = receiver.received
    assert body["type"] == "alert.raised"
    assert "Amara" not in str(body) and "Coldharbour" not in str(body)
    assert road.rows(
        "SELECT state, attempts FROM delivery WHERE person_id = 0 AND channel <> 'everybody'"
    ) == [("delivered", 1)]


def test_every_attempt_is_logged_as_a_disclosure_to_the_receiver(road: Road) -> None:
    road.officer().writes(AMARA)
    deliver(road, Receiver(500))
    road.passes(hours=1)
    deliver(road, Receiver())
    rows = road.rows("SELECT kind, recipients FROM audit_entry WHERE verb = 'disclosure'")
    assert rows == [("alert", '["webhook:mash"]')] * 2
    assert road.store.read_now(verify).ok


def test_a_failed_attempt_waits_longer_each_time_and_keeps_its_id(road: Road) -> None:
    road.officer().writes(AMARA)
    receiver = Receiver(500)
    waits = []
    for _ in range(4):
        before = road.now
        assert deliver(road, receiver) == 0
        road.now = road.value("SELECT next_at FROM delivery WHERE person_id = 0 AND channel <> 'everybody'")
        waits.append(road.now - before)
    assert waits == [2_000, 4_000, 8_000, 16_000]
    road.now -= 1
    deliver(road, receiver)
    assert len(receiver.ids) == 4 and len(set(receiver.ids)) == 1
    assert (
        road.value("SELECT trouble FROM delivery WHERE person_id = 0 AND channel <> 'everybody'")
        == "refused with status 500"
    )


def test_the_wait_is_drawn_from_the_whole_span(road: Road) -> None:
    road.officer().writes(AMARA)
    deliver(road, Receiver(500), draw=0.25)
    assert (
        road.value("SELECT next_at FROM delivery WHERE person_id = 0 AND channel <> 'everybody'")
        == road.now + 500
    )


def test_a_receiver_that_asks_for_a_pause_gets_it(road: Road) -> None:
    road.officer().writes(AMARA)
    deliver(road, Receiver(429, headers={"retry-after": "600"}), draw=0.0)
    assert (
        road.value("SELECT next_at FROM delivery WHERE person_id = 0 AND channel <> 'everybody'")
        == road.now + 600_000
    )


def test_after_the_last_attempt_it_is_dead_and_stays_visible(road: Road) -> None:
    road.officer().writes(AMARA)
    receiver = Receiver(httpx.ConnectError("down"))
    for _ in range(deliveries.ATTEMPTS_MAX + 3):
        deliver(road, receiver)
        road.passes(hours=2)
    assert len(receiver.ids) == deliveries.ATTEMPTS_MAX
    assert road.rows(
        "SELECT state, trouble FROM delivery WHERE person_id = 0 AND channel <> 'everybody'"
    ) == [("dead", "no connection")]
    assert road.store.read_now(deliveries.counts) == {"dead": 1, "delivered": 1}


def health(road: Road) -> Health:
    [found] = road.store.read_now(lambda tx: dead_letters.health(tx, ["webhook:mash"], now=road.now))
    return found


def test_how_a_channel_fares_is_counted(road: Road) -> None:
    assert health(road) == Health(channel="webhook:mash")
    road.officer().writes(AMARA)
    began = road.now
    for _ in range(3):
        deliver(road, Receiver(500))
        road.passes(minutes=10)
    found = health(road)
    assert (found.attempts, found.failed_attempts, found.failures, found.waiting) == (3, 3, 3, 1)
    assert found.oldest_due_at == began, "however often it was tried since"
    deliver(road, Receiver())
    found = health(road)
    assert (found.attempts, found.failed_attempts, found.failures, found.waiting) == (4, 3, 0, 0)
    assert found.oldest_due_at is None


def test_each_webhook_hears_of_its_own_boroughs_and_grades(road: Road) -> None:
    road.officer().writes(AMARA, danger_now=True)
    assert deliver(road, Receiver(), boroughs=(CAMDEN,)) == 0
    road.officer("other").writes(JONAS, danger_now=True)
    assert deliver(road, Receiver(), boroughs=(LAMBETH,), grades=(Grade.AMBER,)) == 0
    road.passes(minutes=15)
    road.store.write_now(lambda tx: escalation.run(tx, road.now, road.worlds.current(tx)))
    assert deliver(road, Receiver(), boroughs=(LAMBETH,), grades=(Grade.RED,)) == 2


def test_much_that_waits_is_spread_a_part_at_a_time_with_the_reds_first(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "SPREAD_AT_ONCE_MAX", 1)
    monkeypatch.setattr(delivery, "SPREADS_MAX", 3)
    parts: list[list[str]] = []
    spread = spreading.spread

    def noting(tx: Transaction, **given: Any) -> int:
        grades: dict[int, str] = dict(
            tx.rows("SELECT d.delivery_id, e.grade FROM delivery d JOIN alert_event e USING (event_id)")
        )
        parts.append([grades[one] for one in given["chosen"]])
        return spread(tx, **given)

    monkeypatch.setattr(spreading, "spread", noting)
    officer = road.officer()
    for child in (AMARA, JONAS):
        for danger in (False, True):
            officer.writes(child, danger_now=danger)
    steps = road.value("SELECT COUNT(*) FROM delivery WHERE channel = 'everybody' AND state = 'waiting'")
    assert steps == 4
    deliver(road, Receiver())
    first = [grade for part in parts for grade in part]
    assert len(first) == 3 and first[0] == "red"
    assert first == sorted(first, key=lambda grade: grade != "red")
    deliver(road, Receiver())
    assert list(map(len, parts)) == [1, 1, 1, 1]


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(road: Road) -> None:
    road.officer().writes(AMARA)
    receiver = Receiver(410)
    for _ in range(3):
        deliver(road, receiver)
        road.passes(hours=2)
    assert len(receiver.ids) == 1


def test_what_was_taken_and_never_settled_comes_again(road: Road) -> None:
    """The process died between taking a message and hearing the answer."""
    road.officer().writes(AMARA)
    road.store.write_now(
        lambda tx: spread_all(tx, POLICY, PRESETS, [Way("webhook:mash", hears_all=True)], now=road.now)
    )
    taken = road.store.write_now(
        lambda tx: deliveries.take(tx, delivery.ACTOR, "webhook:mash", now=road.now, limit=10)
    )
    assert len(taken) == 1
    receiver = Receiver()
    assert deliver(road, receiver) == 0
    road.now += deliveries.TAKEN_FOR_MS
    assert deliver(road, receiver) == 1
    assert receiver.ids == [taken[0].message.message_id]


def test_a_rolled_back_note_tells_nobody(road: Road) -> None:
    officer = road.officer()
    prepared = prepare([officer.note(AMARA)[1]], officer.identity.device_id)

    def fails_at_its_end(tx: Transaction) -> None:
        assert tx.value("SELECT COUNT(*) FROM delivery") == 1
        raise RuntimeError

    def fails(tx: Transaction) -> None:
        intake.receive(tx, officer.identity, prepared, now=road.now, world=road.worlds.current(tx))
        tx.at_commit(fails_at_its_end)

    with pytest.raises(RuntimeError):
        road.store.write_now(fails)
    assert deliver(road, Receiver()) == 0
    assert road.count("delivery") == 0


class SlowOnce(Receiver):
    """The first message is not answered until all the others have been."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.others, self.answered = others, 0
        self.all_answered = asyncio.Event()
        self.under_way = self.most_under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        answer = await super().handle_async_request(request)
        if len(self.received) == 1:
            await self.all_answered.wait()
        else:
            await asyncio.sleep(0)
            self.answered += 1
        if self.answered == self.others:
            self.all_answered.set()
        self.under_way -= 1
        return answer


def test_a_receiver_gets_so_many_at_once_and_one_that_is_slow_holds_up_no_other(road: Road) -> None:
    officer = road.officer()
    for number in range(3 * delivery.AT_ONCE_MAX):
        officer.writes(JONAS, note_id=f"note-{number}")
        road.passes(hours=30)
    due = road.value("SELECT COUNT(*) FROM delivery WHERE channel = 'everybody'")
    receiver = SlowOnce(due - 1)
    assert deliver(road, receiver) == due
    assert len(set(receiver.ids)) == due
    assert 2 <= receiver.most_under_way <= delivery.AT_ONCE_MAX


def test_an_unknown_channels_messages_are_left_alone(road: Road) -> None:
    road.officer().writes(AMARA)
    assert not road.store.read_now(lambda tx: deliveries.is_due(tx, ["pager"], now=road.now))
    assert not road.store.read_now(lambda tx: deliveries.is_due(tx, [], now=road.now))
