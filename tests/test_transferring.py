"""A duty between boroughs: the sender's until the other accepts. Cases go to their lead, other forces are rung."""

from __future__ import annotations

import pytest

from server import duty, transferring
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.casework.routing import OTHER_FORCE
from server.records import alerts, children_shown, figures, open_cases
from server.records.alerts import Alert
from server.records.transfers import Answer
from server.transferring import TransferRefused
from tests.road import AMARA, LAMBETH, POLICY, REGISTRY, SOUTHWARK, Road, somebody

RIVERA = somebody("rivera")
OSEI = somebody("osei", borough=SOUTHWARK)
GAFFER = somebody("gaffer", "force_duty_officer", None)
WHY = "She lives with her aunt in Peckham now"


@pytest.fixture
def alert(road: Road) -> Alert:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    return road.alerts_of(child)[-1]


def add_people(road: Road) -> None:
    from server.access import people

    for one in (RIVERA, OSEI):
        road.store.write_now(
            lambda tx, p=one: people.add(  # type: ignore[misc]
                tx, username=p.username, name=p.name, role=p.role, borough=p.borough, unit=None,
                password_hash="!", must_change=False, actor=REGISTRY, now=road.now,
            )
        )  # fmt: skip


def offer(road: Road, alert: Alert, to: str = SOUTHWARK, *, whole: bool = False, by: Person = RIVERA) -> int:
    return road.store.write_now(
        lambda tx: transferring.offer(tx, POLICY, by, alert.alert_id, to, WHY, whole=whole, now=road.now)
    )


def answer(road: Road, transfer: int, by: Person, how: Answer, reason: str | None = None) -> None:
    road.store.write_now(lambda tx: transferring.answer(tx, by, transfer, how, reason, now=road.now))


def now_of(road: Road, alert: Alert) -> Alert:
    return road.store.read_now(lambda tx: alerts.show(tx, GAFFER, alert.alert_id, now=road.now))


def may_see(road: Road, person: Person, alert: Alert) -> bool:
    try:
        road.store.read_now(lambda tx: children_shown.require_sight(tx, person, alert.child_id))
        road.store.read_now(lambda tx: alerts.show(tx, person, alert.alert_id, now=road.now))
    except NotAllowed:
        return False
    return True


def test_until_it_is_accepted_it_is_the_senders_and_both_see_it(road: Road, alert: Alert) -> None:
    assert not may_see(road, OSEI, alert)
    offer(road, alert)
    after = now_of(road, alert)
    assert (after.borough, after.escalates_at, after.deadline_at) == (
        LAMBETH,
        alert.escalates_at,
        alert.deadline_at,
    )
    assert may_see(road, OSEI, alert) and may_see(road, RIVERA, alert)
    with pytest.raises(NotAllowed):
        road.store.write_now(lambda tx: duty.acknowledge(tx, OSEI, alert.alert_id, now=road.now))
    assert road.value("SELECT COUNT(*) FROM audit_entry WHERE verb = 'disclosure' AND recipients LIKE :to",
                      to=f"%borough:{SOUTHWARK}%") == 2  # fmt: skip


def test_accepted_it_is_the_receivers_with_the_same_clock_and_the_sender_keeps_a_copy(
    road: Road, alert: Alert
) -> None:
    transfer = offer(road, alert)
    road.passes(minutes=30)
    answer(road, transfer, OSEI, Answer.ACCEPTED)
    after = now_of(road, alert)
    assert (after.borough, after.owner, after.state) == (SOUTHWARK, "osei", "acknowledged")
    assert after.deadline_at == alert.deadline_at and after.escalates_at is None
    assert may_see(road, RIVERA, alert)
    with pytest.raises(NotAllowed):
        road.store.write_now(
            lambda tx: duty.close(tx, RIVERA, alert.alert_id, "Not ours any more", now=road.now)
        )
    with pytest.raises(TransferRefused):
        answer(road, transfer, OSEI, Answer.REFUSED, "Too late")


def test_refused_or_taken_back_it_stays_and_may_be_offered_again(road: Road, alert: Alert) -> None:
    transfer = offer(road, alert)
    with pytest.raises(TransferRefused, match="already"):
        offer(road, alert)
    with pytest.raises(TransferRefused, match="already"):
        offer(road, alert, whole=True) and offer(road, alert, whole=True)
    with pytest.raises(TransferRefused, match="why"):
        answer(road, transfer, OSEI, Answer.REFUSED)
    answer(road, transfer, OSEI, Answer.REFUSED, "The aunt lives in Lambeth")
    assert now_of(road, alert).borough == LAMBETH
    again = offer(road, alert)
    with pytest.raises(NotAllowed):
        answer(road, again, OSEI, Answer.TAKEN_BACK, "Not theirs to take back")
    answer(road, again, RIVERA, Answer.TAKEN_BACK, "Offered by mistake")
    kinds = [kind for (kind,) in road.rows("SELECT kind FROM alert_event ORDER BY event_id")]
    assert kinds == ["raised", "offered", "transfer_refused", "offered", "transfer_taken_back"]


def test_nobody_accepts_for_the_other_side_what_they_offered(road: Road, alert: Alert) -> None:
    transfer = offer(road, alert, by=GAFFER)
    with pytest.raises(TransferRefused, match="somebody else"):
        answer(road, transfer, GAFFER, Answer.ACCEPTED)
    with pytest.raises(NotAllowed):
        answer(road, transfer, RIVERA, Answer.ACCEPTED)


def test_what_was_lost_before_acceptance_is_the_senders(road: Road, alert: Alert) -> None:
    transfer = offer(road, alert)
    assert alert.deadline_at is not None
    began = alert.started_at
    road.now = alert.deadline_at + 3_600_000
    answer(road, transfer, OSEI, Answer.ACCEPTED)
    found = road.store.read_now(lambda tx: figures.weekly(tx, GAFFER, from_ms=began, now=road.now, weeks=1))
    assert found[LAMBETH][0].idle_ms == 3_600_000
    assert found.get(SOUTHWARK) is None or found[SOUTHWARK][0].idle_ms == 0


def test_a_child_that_is_accepted_has_a_case_whose_lead_gets_what_comes_next(
    road: Road, alert: Alert
) -> None:
    add_people(road)
    answer(road, offer(road, alert, whole=True), OSEI, Answer.ACCEPTED)
    assert now_of(road, alert).borough == SOUTHWARK
    road.passes(hours=24 * 40)
    road.officer().writes(AMARA)
    newest = road.alerts_of(alert.child_id)[-1]
    assert newest.alert_id != alert.alert_id
    assert (newest.borough, newest.owner, newest.state) == (SOUTHWARK, "osei", "open")
    assert newest.escalates_at is not None, "a lead who does not answer is no reason for silence"
    assert may_see(road, OSEI, newest)


def test_a_closed_case_and_a_lead_who_left_send_notes_to_the_front_door_again(
    road: Road, alert: Alert
) -> None:
    add_people(road)
    child = alert.child_id

    def begin() -> None:
        road.store.write_now(
            lambda tx: transferring.begin_case(
                tx, POLICY, RIVERA, child, "rivera", "Strategy discussion held", now=road.now
            )
        )

    begin()
    with pytest.raises(TransferRefused, match="already"):
        begin()
    road.store.write_now(
        lambda tx: transferring.end_case(tx, RIVERA, child, "Handed to early help", now=road.now)
    )
    cases = road.store.read_now(lambda tx: open_cases.of_child(tx, RIVERA, child, now=road.now))
    assert [(one.lead, one.closed_reason) for one in cases] == [("rivera", "Handed to early help")]
    begin()
    road.store.write_now(lambda tx: tx.execute("UPDATE person SET active = 0 WHERE username = 'rivera'"))
    road.passes(hours=24 * 40)
    road.officer().writes(AMARA)
    assert road.alerts_of(child)[-1].owner is None


def test_an_alert_of_the_other_force_queue_ends_after_a_call_and_not_before(road: Road, alert: Alert) -> None:
    answer(road, offer(road, alert, OTHER_FORCE), GAFFER, Answer.ACCEPTED)
    number = alert.alert_id

    def close() -> None:
        road.store.write_now(lambda tx: duty.close(tx, GAFFER, number, "Kent has it", now=road.now))

    with pytest.raises(duty.ContactNeeded):
        close()
    with pytest.raises(NotAllowed):
        road.store.write_now(
            lambda tx: transferring.told_force(
                tx,
                RIVERA,
                number,
                force="Kent",
                spoke_to="Control",
                said="They go",
                called_at=0,
                now=road.now,
            )
        )
    road.store.write_now(
        lambda tx: transferring.told_force(
            tx, GAFFER, number, force="Kent Police", spoke_to="Sgt 412, control room", said="They visit tonight",
            called_at=road.now, now=road.now,
        )
    )  # fmt: skip
    close()
    assert now_of(road, alert).state == "closed"
