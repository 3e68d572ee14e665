"""What phones pull: buckets, the briefing of a ward, leases, and the ledger of what was on which phone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from server import duty, placing, pulling
from server.audit import Actor
from server.checkpoints import Totals
from server.records import briefing, conditions, leases, notes, published
from server.records.child import Details
from sync import holdings
from sync.cursor import Cursor
from sync.envelope import ChangeOp, Condition, PullAnswer, RemoveReason, Wipe
from tests.phones import enrolled
from tests.road import AMARA, JONAS, REGISTRY, VAGUE, Officer, Road, somebody

WARD, OTHER = "E05000001", "E05000002"
SHIFT_MS = 10 * 3_600_000
FAMILY_NAMES = ("Okonkwo-Bright", "Petrauskas")


class Phone:
    """A phone's side of pulling, over the rules of `sync` and without a wire."""

    def __init__(self, officer: Officer) -> None:
        self.officer, self.road = officer, officer.road
        self.cursor: Cursor | None = None
        self.held: holdings.Holdings = {}
        self.emptied: tuple[str, ...] = ()
        self.totals = Totals()

    @property
    def device_id(self) -> str:
        return self.officer.identity.device_id

    def begins(self) -> None:
        identity = self.officer.identity
        self.road.store.write_now(lambda tx: leases.begin(tx, identity, now=self.road.now, lasts=SHIFT_MS))

    def ask(self, limit: int = 500) -> pulling.Page:
        identity = self.officer.identity
        start = Cursor("life", f"notes:{identity.username}", 0, 0)
        return self.road.store.read_now(
            lambda tx: pulling.page(
                tx, identity, self.cursor, start, self.emptied, limit, now=self.road.now, totals=self.totals
            )
        )

    def take(self, page: pulling.Page) -> None:
        answer = PullAnswer(
            changes=page.changes, buckets_removed=page.removed, cursor="", more=page.more,
            checkpoint=page.checkpoint,
        )  # fmt: skip
        self.held = holdings.apply_page(self.held, answer)
        self.totals.keep(page.totals)
        self.cursor, self.emptied = page.after, ()

    def pulls(self, limit: int = 500) -> pulling.Page:
        """To the end; at the checkpoint the copy must be right (invariant 9). The last page."""
        for _ in range(100):
            page = self.ask(limit)
            self.take(page)
            if not page.more:
                break
        assert page.checkpoint is not None
        assert holdings.wrong_buckets(self.held, page.checkpoint) == []
        return page

    def told_of(self, ward: str = WARD) -> dict[int, dict[str, Any]]:
        rows = self.held.get(briefing.bucket(ward), {})
        return {int(id): held.data for (_, id), held in rows.items()}


@pytest.fixture
def officer(road: Road) -> Officer:
    return enrolled(road, "okafor", ward=WARD)


@pytest.fixture
def phone(officer: Officer) -> Phone:
    return Phone(officer)


def test_a_briefing_has_a_first_name_an_age_a_reason_and_whom_to_ask_and_no_more(
    road: Road, officer: Officer, phone: Phone
) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA, danger_now=True)
    phone.begins()
    phone.pulls()
    told = phone.told_of()[child]
    assert set(told) == {"first_name", "age", "grade", "look_out", "since", "borough"}
    assert (told["first_name"], told["age"], told["grade"]) == ("Amara", 13, "red")
    everything = msgspec.json.encode(list(phone.told_of().values())).decode()
    for value in (*FAMILY_NAMES, "Coldharbour", "SW9", "Stockwell", "2012", "bus station"):
        assert value not in everything


def test_without_a_lease_a_phone_holds_its_own_notes_and_words_only(
    road: Road, officer: Officer, phone: Phone
) -> None:
    road.store.write_now(lambda tx: published.publish(tx, published.VOCABULARY, published.vocabulary_rows()))
    officer.writes(AMARA)
    page = phone.pulls()
    assert page.lease is None
    assert set(phone.held) == {notes.bucket("okafor"), published.VOCABULARY}
    assert road.count("holding") == 0


def test_invariant_8_a_child_that_moves_wards_leaves_one_phone_and_enters_the_other_in_one_commit(
    road: Road, officer: Officer, phone: Phone
) -> None:
    other = Phone(enrolled(road, "banks", ward=OTHER))
    child = road.child(AMARA)
    first = officer.writes(AMARA)
    phone.begins()
    other.begins()
    phone.pulls()
    other.pulls()
    assert list(phone.told_of()) == [child] and other.told_of(OTHER) == {}
    # In one push of another ward's officer nothing leaves; then the first note is withdrawn.
    other.officer.writes(AMARA)
    officer.sends(officer.withdrawal(first))
    rows = road.rows("SELECT xid, bucket, op FROM change WHERE kind = 'child' ORDER BY seq")
    assert [(bucket, op) for _, bucket, op in rows][-1] == (briefing.bucket(WARD), "remove")
    phone.pulls()
    other.pulls()
    assert phone.told_of() == {} and list(other.told_of(OTHER)) == [child]


def test_invariant_8_remove_and_put_are_of_one_transaction(road: Road, officer: Officer) -> None:
    """A note that was put on one child is taken off and put on another: both logs move in one commit."""
    enrolled(road, "banks", ward=OTHER)
    one, two = road.child(AMARA), road.child(JONAS)
    note_id = officer.writes(AMARA)
    before = road.value("SELECT MAX(seq) FROM change")
    person = somebody("gaffer", "force_duty_officer")
    world = road.world

    def move(tx: Any) -> None:
        placing.move(tx, Actor("person", person.username), world, road_subject, one, two, "Decided", road.now)

    road_subject = road.subject_of(note_id)
    road.store.write_now(move)
    rows = road.rows(
        "SELECT xid, id, op FROM change WHERE seq > :before AND kind = 'child' ORDER BY seq", before=before
    )
    assert [(id, op) for _, id, op in rows] == [(str(one), "remove"), (str(two), "put")]
    assert len({xid for xid, _, _ in rows}) == 1


def test_invariant_8_a_restricted_record_is_never_sent_and_leaves_when_it_becomes_one(
    road: Road, officer: Officer, phone: Phone
) -> None:
    restricted = road.child(JONAS, restricted=True)
    child = road.child(AMARA)
    officer.writes(AMARA)
    officer.writes(JONAS)
    phone.begins()
    phone.pulls()
    assert list(phone.told_of()) == [child] and restricted not in phone.told_of()
    # Nobody said `touch`: what may be sent is asked again when it is sent.
    road.store.write_now(
        lambda tx: tx.execute("UPDATE child SET restricted = 1 WHERE child_id = :c", {"c": child})
    )
    fresh = Phone(officer)
    page = fresh.ask()
    assert [change for change in page.changes if change.kind == "child" and change.op is ChangeOp.PUT] == []
    # Said by the registry, it leaves the phones that have it.
    road.store.write_now(lambda tx: briefing.touch(tx, child))
    phone.pulls()
    assert phone.told_of() == {}


def test_a_closed_alert_takes_the_child_off(road: Road, officer: Officer, phone: Phone) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    (alert,) = road.alerts_of(child)
    person = somebody()
    road.store.write_now(
        lambda tx: duty.close(tx, person, alert.alert_id, "Seen at home, all is well", now=road.now)
    )
    phone.pulls()
    assert phone.told_of() == {}


def test_what_a_ward_is_told_is_current_when_it_is_sent(road: Road, officer: Officer, phone: Phone) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    assert phone.told_of()[child]["grade"] != "red"
    officer.writes(AMARA, danger_now=True)
    road.registry_says(child, Details(given_names="Amarachi", family_name="Okonkwo-Bright"))
    phone.pulls()
    assert phone.told_of()[child]["grade"] == "red"
    assert phone.told_of()[child]["first_name"] == "Amarachi"


def test_a_lease_ends_and_syncing_does_not_prolong_it(road: Road, officer: Officer, phone: Phone) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    road.passes(hours=9)
    page = phone.pulls()
    assert page.lease is not None and page.lease.lasts == 3_600_000
    road.passes(hours=1)
    page = phone.ask()
    over = [change for change in page.changes if change.op is ChangeOp.REMOVE]
    assert [(change.id, change.reason) for change in over] == [(str(child), RemoveReason.LEASE_OVER)]
    assert page.removed == (briefing.bucket(WARD),) and page.lease is None
    phone.take(page)
    assert phone.told_of() == {}
    assert phone.pulls().lease is None


def test_only_the_bucket_that_is_wrong_begins_anew(road: Road, officer: Officer, phone: Phone) -> None:
    road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    page = phone.pulls()
    name = briefing.bucket(WARD)
    phone.held[name].clear()
    assert page.checkpoint is not None
    assert holdings.wrong_buckets(phone.held, page.checkpoint) == [name]
    phone.emptied = (name,)
    again = phone.pulls()
    assert {change.bucket for change in again.changes} == {name}
    phone.held[notes.bucket("okafor")].clear()
    phone.emptied = (notes.bucket("okafor"),)
    assert {change.bucket for change in phone.pulls().changes} == {notes.bucket("okafor")}


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_invariant_6_pages_of_any_size_end_in_the_same_copy(
    road: Road, officer: Officer, phone: Phone, limit: int
) -> None:
    for subject in (AMARA, JONAS, VAGUE):
        officer.writes(subject)
    phone.begins()
    phone.pulls(limit)
    assert len(phone.told_of()) == 3
    assert len(phone.held[notes.bucket("okafor")]) == 3


# The ledger of holdings ---------------------------------------------------------------------------------


def held_at(phone: Phone, at: int) -> list[int]:
    ledger = phone.road.store.read_now(lambda tx: leases.show_ledger(tx, REGISTRY, phone.device_id, now=at))
    return [one.child for one in holdings.on_phone(ledger, at)]


def test_the_ledger_says_who_was_on_the_phone_lost_at_five_past_two(
    road: Road, officer: Officer, phone: Phone
) -> None:
    before = road.now
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    road.passes(minutes=5)
    phone.pulls()
    sent = road.now
    assert held_at(phone, before) == []
    assert held_at(phone, sent) == [child]
    # The lease runs out and nobody hears of the phone: it may still be there.
    road.passes(hours=30)
    assert held_at(phone, road.now) == [child]


def test_an_answer_that_was_lost_counts_as_on_the_phone(road: Road, officer: Officer, phone: Phone) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.ask()
    assert held_at(phone, road.now) == [child]


def test_a_child_is_off_the_phone_when_it_comes_back_from_beyond_the_removal_and_not_before(
    road: Road, officer: Officer, phone: Phone
) -> None:
    child = road.child(AMARA)
    note_id = officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    officer.sends(officer.withdrawal(note_id))
    road.passes(minutes=1)
    phone.ask()  # the answer is lost
    road.passes(minutes=1)
    phone.pulls()
    stored = road.now
    assert held_at(phone, stored) == [child]
    road.passes(minutes=1)
    phone.pulls()
    assert held_at(phone, road.now) == []
    assert held_at(phone, stored) == [child]


def test_a_phone_that_erased_by_itself_says_so_and_the_ledger_knows(
    road: Road, officer: Officer, phone: Phone
) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    road.passes(hours=11)
    erased = road.now
    phone.held.pop(briefing.bucket(WARD))
    phone.emptied = (briefing.bucket(WARD),)
    page = phone.pulls()
    assert page.removed == ()
    assert held_at(phone, erased - 1) == [child] and held_at(phone, erased) == []


def test_a_phone_that_says_that_it_was_wiped_holds_nothing(
    road: Road, officer: Officer, phone: Phone
) -> None:
    road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    road.passes(minutes=1)
    done = Condition(wall=1, monotonic=1, boot_id="b", offset=-7, waiting=0, wipe=Wipe.DONE)
    road.store.write_now(lambda tx: conditions.said(tx, phone.device_id, done, now=road.now))
    assert held_at(phone, road.now) == []
    (said,) = road.store.read_now(conditions.all_said).values()
    assert (said.offset_ms, said.boot_id, said.received_at) == (-7, "b", road.now)


def test_every_child_sent_is_a_disclosure_to_that_phone(road: Road, officer: Officer, phone: Phone) -> None:
    child = road.child(AMARA)
    officer.writes(AMARA)
    phone.begins()
    phone.pulls()
    rows = road.rows(
        "SELECT actor_id, ids, recipients FROM audit_entry WHERE verb = 'disclosure' AND kind = 'child'"
    )
    assert rows == [(phone.device_id, f'["{child}"]', f'["device:{phone.device_id}"]')]


def test_words_that_change_are_sent_and_those_taken_away_leave(road: Road, phone: Phone) -> None:
    def publish(**rows: Any) -> int:
        return road.store.write_now(lambda tx: published.publish(tx, published.VOCABULARY, rows))

    assert publish(a={"x": 1}, b={"x": 1}) == 2
    assert publish(a={"x": 1}, b={"x": 1}) == 0
    phone.pulls()
    assert publish(a={"x": 2}) == 2
    phone.pulls()
    assert {id: held.data for (_, id), held in phone.held[published.VOCABULARY].items()} == {"a": {"x": 2}}


def test_two_who_change_one_child_at_once_leave_the_briefing_right(road: Road, officer: Officer) -> None:
    """A note is withdrawn while somebody else acknowledges and writes: neither waits for the other for ever."""
    other = enrolled(road, "banks", ward=OTHER)
    child = road.child(AMARA)
    phones = [Phone(officer), Phone(other)]
    for phone in phones:
        phone.begins()

    def work(one: Officer) -> None:
        for _ in range(12):
            note_id = one.writes(AMARA)
            one.sends(one.withdrawal(note_id))
        one.writes(AMARA)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, officer), pool.submit(work, other)]:
            done.result(timeout=60)
    for phone, ward in zip(phones, (WARD, OTHER), strict=True):
        phone.pulls()
        assert list(phone.told_of(ward)) == [child]
    assert road.count("briefed", "gone = 0") == 2
