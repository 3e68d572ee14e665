"""The road as one transaction: what a push leaves behind, whatever is in it."""

from __future__ import annotations

import concurrent.futures
import datetime
from typing import Any

import msgspec
import pytest

from server.audit.verify import verify
from server.casework.areas import Area, parse_geojson
from server.casework.facts import HOUR_MS
from server.records import ledger, note_subjects, notes, notes_shown, reference
from server.storage import Transaction
from sync.envelope import Code, Outcome
from sync.note import Place, Subject
from sync.operations import Kind
from sync.vocabulary import Category
from tests.road import (
    AMARA,
    BORN,
    CAMDEN,
    JONAS,
    LAMBETH,
    SOUTHWARK,
    START_MS,
    TWIN,
    VAGUE,
    Road,
    at,
    somebody,
)


def test_a_note_about_a_known_child_is_on_its_timeline_with_a_duty_on_its_borough(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(AMARA)
    assert road.child_of(note_id) == amara
    assert road.status_of(note_id) == "linked"
    assert road.flags_of(amara) == ["concern"]
    [alert] = road.alerts_of(amara)
    assert (alert.borough, alert.state, alert.grade, alert.owner) == (LAMBETH, "open", "green", None)
    assert road.pulled("okafor") == {note_id: "linked"}


def test_a_note_about_nobody_known_makes_a_record_that_the_next_note_finds(road: Road) -> None:
    first = road.officer("okafor").writes(JONAS)
    road.passes(hours=30)
    second = road.officer("lam", SOUTHWARK).writes(JONAS)
    child = road.child_of(first)
    assert road.child_of(second) == child
    assert road.standing_of(child) == "provisional"
    assert road.status_of(first) == "new_child"
    assert road.status_of(second) == "linked"


def test_a_vague_note_is_taken_and_somebody_has_the_duty(road: Road) -> None:
    note_id = road.officer().writes(VAGUE)
    assert road.alerts_of(road.child_of(note_id), "open")


def test_danger_now_is_red_where_the_child_was_found(road: Road) -> None:
    amara = road.child(AMARA)
    place = Place(place="Camden Lock", borough="E09000007")
    road.officer().writes(AMARA, danger_now=True, found_at=place)
    [alert] = road.alerts_of(amara)
    assert (alert.grade, alert.borough) == ("red", "E09000007")
    copies = road.rows("SELECT borough FROM alert_copy WHERE alert_id = :a", a=alert.alert_id)
    assert (LAMBETH,) in copies


def test_the_third_missing_episode_in_ninety_days_makes_one_alert_graver(road: Road) -> None:
    amara = road.child(AMARA)
    for username in ("okafor", "lam", "khan"):
        road.officer(username).writes(AMARA, category=Category.MISSING)
        road.passes(hours=24 * 20)
    assert "missing_repeat" in road.flags_of(amara)
    [alert] = road.alerts_of(amara)
    assert alert.grade == "amber"


def test_every_note_comes_back_as_a_duplicate_when_it_is_sent_again(road: Road) -> None:
    road.child(AMARA)
    officer = road.officer()
    lines = [officer.note(AMARA)[1], officer.note(JONAS)[1], b"{not json"]
    before = officer.push(*lines)
    tables = ("op", "note", "subject", "link_event", "flag", "alert", "alert_event", "quarantine", "change")
    counts = [road.count(table) for table in tables]
    again = officer.push(*lines)
    assert [verdict.v for verdict in again.verdicts] == ["duplicate", "duplicate", "quarantined"]
    assert [road.count(table) for table in tables] == counts
    # Custody is the same, so that a receipt may be given again for what was lost on the way.
    assert again.custody == before.custody
    assert again.contiguous_through == before.contiguous_through == 2


def test_other_bytes_under_a_taken_key_are_set_aside_and_the_phone_is_told(road: Road) -> None:
    officer = road.officer()
    officer.sends(officer.note(AMARA)[1])
    officer.seq = 0
    received = officer.push(officer.note(JONAS)[1])
    assert (received.verdicts[0].v, received.verdicts[0].code) == (Outcome.QUARANTINED, Code.KEY_REUSED)
    assert received.rotate_epoch
    assert road.count("note") == 1
    assert road.count("quarantine", "line IS NOT NULL") == 1


def test_a_second_note_under_a_taken_id_is_set_aside_in_the_same_push_and_later(road: Road) -> None:
    officer, other = road.officer(), road.officer("lam")
    note_id, line = officer.note(AMARA)
    _, twice = officer.note(JONAS, note_id=note_id)
    assert [verdict.code for verdict in officer.push(line, twice).verdicts] == [None, Code.ENTITY_TAKEN]
    assert other.sends(other.note(JONAS, note_id=note_id)[1]).code == Code.ENTITY_TAKEN
    assert road.count("note") == 1
    assert road.count("quarantine") == 2


def test_a_revoked_phone_may_hand_in_to_quarantine_only(road: Road) -> None:
    officer = road.officer("okafor", revoked=True)
    verdict = officer.sends(officer.note(AMARA)[1])
    assert (verdict.v, verdict.code) == (Outcome.QUARANTINED, Code.DEVICE_REVOKED)
    assert (road.count("note"), road.count("quarantine")) == (0, 1)


def test_a_note_in_somebody_elses_name_is_set_aside(road: Road) -> None:
    officer = road.officer("okafor")
    line = officer.op(Kind.NOTE_WRITE, "n-1", road.body(AMARA), user="lam")
    assert officer.sends(line).code == Code.USER_MISMATCH
    assert road.count("note") == 0


def test_an_op_of_another_phone_is_set_aside_without_a_key(road: Road) -> None:
    officer, other = road.officer("okafor"), road.officer("lam")
    assert officer.sends(other.note(AMARA)[1]).code == Code.DEVICE_MISMATCH
    assert road.count("op") == 0


def a_bug(_tx: Any) -> None:
    raise RuntimeError("a bug that only this note meets")


def a_constraint(tx: Any) -> None:
    for _ in range(2):
        tx.execute("INSERT INTO child_key (key, child_id) VALUES (-1, -1)")


@pytest.mark.parametrize("fails", [a_bug, a_constraint])
def test_one_bad_line_among_fifty_costs_only_itself(
    road: Road, monkeypatch: pytest.MonkeyPatch, fails: Any
) -> None:
    officer = road.officer()
    names = [f"Nkemelu{one}{other}" for one in "abcde" for other in "abcdefghij"]
    lines = [officer.note(Subject(given_names="Ola", family_name=name))[1] for name in names]
    add_subject = note_subjects.add_subject

    def failing(tx: Any, note_key: int, ordinal: int, record: Any, *rest: Any) -> int:
        answer = add_subject(tx, note_key, ordinal, record, *rest)
        if "nkemeluce" in record.family:
            fails(tx)
        return answer

    monkeypatch.setattr(note_subjects, "add_subject", failing)
    received = officer.push(*lines)
    wrong = [index for index, verdict in enumerate(received.verdicts) if verdict.v != "applied"]
    assert wrong == [24]
    assert received.verdicts[24].code == Code.FAILED
    assert road.count("note") == road.count("subject") == road.count("alert") == 49
    assert road.count("child") == 49
    assert received.contiguous_through == 50
    assert road.store.read_now(verify).ok


def test_a_gap_is_known_and_closes(road: Road) -> None:
    officer = road.officer()
    first, second, third = (officer.note(AMARA)[1] for _ in range(3))
    assert officer.push(first, third).contiguous_through == 1
    [owed] = road.store.read_now(ledger.owed)
    assert owed.gaps == [(2, 2)]
    assert officer.push(second).contiguous_through == 3
    assert road.store.read_now(ledger.owed) == []


@pytest.mark.parametrize("same_push", [True, False])
def test_an_amendment_before_its_note_waits_and_is_applied_with_it(road: Road, same_push: bool) -> None:
    officer = road.officer()
    note_id, note = officer.note(AMARA)
    amendment = officer.amendment(note_id)
    first = [amendment, note] if same_push else [amendment]
    verdicts = [*officer.push(*first).verdicts, *(() if same_push else officer.push(note).verdicts)]
    assert [verdict.v for verdict in verdicts] == ["parked", "applied"]
    assert road.count("parked") == 0
    assert road.count("amendment") == 1
    assert officer.sends(amendment).code == "applied"


def test_an_amendment_from_the_officers_other_phone_may_come_first(road: Road) -> None:
    phone, other = road.officer("okafor"), road.officer("okafor")
    note_id, note = phone.note(AMARA)
    assert other.sends(other.amendment(note_id)).v == "parked"
    phone.sends(note)
    assert road.count("amendment") == 1
    assert road.count("quarantine") == 0


def test_an_amendment_by_somebody_else_never_applies(road: Road) -> None:
    officer, other = road.officer("okafor"), road.officer("lam")
    note_id, note = officer.note(AMARA)
    assert other.sends(other.amendment(note_id)).v == "parked"
    officer.sends(note)
    assert road.count("amendment") == 0
    assert other.sends(other.amendment(note_id)).code == Code.NOT_THE_AUTHOR
    assert road.count("quarantine") == 2


def test_a_parked_op_that_fails_costs_its_note_nothing(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    officer = road.officer()
    note_id, note = officer.note(AMARA)
    officer.sends(officer.amendment(note_id))

    def failing(*args: object, **more: object) -> int:
        raise RuntimeError("a bug that only this amendment meets")

    monkeypatch.setattr(notes, "amend", failing)
    assert officer.sends(note).v == "applied"
    assert road.count("note") == 1
    assert road.count("quarantine") == 1
    assert road.count("parked") == 0


def test_an_amendment_that_describes_the_child_anew_links_what_was_not_certain(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(Subject(given_names="Amara", approximate_age=13.0))
    assert road.child_of(note_id) != amara
    officer.sends(officer.amendment(note_id, road.body(AMARA)))
    assert road.child_of(note_id) == amara
    assert road.count("review", "closed_at IS NULL") == 0
    assert len(road.alerts_of(amara, "open")) == 1


def test_a_withdrawn_note_stops_counting_and_its_alert_is_closed(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(AMARA)
    assert officer.sends(officer.withdrawal(note_id)).v == "applied"
    assert road.flags_of(amara) == []
    [alert] = road.alerts_of(amara)
    assert alert.state == "closed"
    assert road.pulled("okafor") == {note_id: "withdrawn"}


def test_a_withdrawal_of_one_of_two_notes_leaves_the_alert_of_the_other(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    first = officer.writes(AMARA)
    road.passes(hours=40)
    officer.writes(AMARA, category=Category.KNIFE)
    officer.sends(officer.withdrawal(first))
    assert [alert.state for alert in road.alerts_of(amara)] == ["open"]
    assert road.flags_of(amara) == ["concern"]


def test_a_note_from_2090_is_taken_now_and_said_to_be_doubtful(road: Road) -> None:
    officer = road.officer()
    note_id, line = officer.note(AMARA, observed_at=datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC))
    verdict = officer.sends(line)
    assert (verdict.v, verdict.code) == (Outcome.APPLIED, Code.OBSERVED_OUT_OF_RANGE)
    row = road.rows("SELECT observed_at, observed_doubtful FROM note WHERE note_id = :n", n=note_id)
    assert row == [(START_MS, 1)]


@pytest.mark.parametrize(
    "instant",
    [
        datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=14))),
        datetime.datetime(9999, 12, 31, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-12))),
    ],
)
def test_the_first_and_the_last_instant_there_is_do_no_harm(road: Road, instant: datetime.datetime) -> None:
    officer = road.officer()
    subject = Subject(given_names="Jay", approximate_age=13.0)
    verdict = officer.sends(officer.note(subject, observed_at=instant, recorded_at=instant)[1])
    assert (verdict.v, verdict.code) == (Outcome.APPLIED, Code.OBSERVED_OUT_OF_RANGE)


def test_a_note_whose_clock_was_spent_on_the_phone_is_late_by_so_much(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    long_ago = at(road.now - 26 * 60 * 60 * 1000)
    officer.writes(AMARA, observed_at=long_ago)
    [alert] = road.alerts_of(amara)
    assert alert.late_by_ms == 2 * 60 * 60 * 1000
    assert alert.deadline_at == road.now + 24 * 60 * 60 * 1000


@pytest.mark.invariant(3, 4)
def test_a_parked_op_sent_again_in_the_push_that_brings_its_note_is_said_to_be_applied(road: Road) -> None:
    officer = road.officer()
    note_id, line = officer.note(AMARA)
    amendment = officer.amendment(note_id)
    assert officer.sends(amendment).v == "parked"
    again = officer.push(line, amendment).verdicts[1]
    assert (again.v, again.code, again.why) == ("duplicate", "applied", None)


def test_two_subjects_of_one_note_never_stand_on_one_child(road: Road) -> None:
    amara = road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(AMARA, msgspec.structs.replace(AMARA, role="sibling"))
    assert road.child_of(note_id, 0) == amara
    assert road.child_of(note_id, 1) != amara
    unknown = officer.writes(JONAS, JONAS)
    assert road.child_of(unknown, 0) != road.child_of(unknown, 1)


def test_a_twin_is_another_child(road: Road) -> None:
    amara, twin = road.child(AMARA), road.child(TWIN)
    officer = road.officer()
    assert road.child_of(officer.writes(AMARA)) == amara
    assert road.child_of(officer.writes(TWIN)) == twin


def test_a_nul_byte_in_a_note_is_kept_for_a_person_to_look_at(road: Road) -> None:
    officer = road.officer()
    verdict = officer.sends(officer.note(AMARA, found_at=Place(place="a\x00b"))[1])
    assert (verdict.v, verdict.code) == (Outcome.QUARANTINED, Code.BODY_INVALID)
    assert road.count("op") == road.count("quarantine") == 1


@pytest.mark.parametrize("text", ["名前 Ọlá نام ชื่อ Имя", "\u202e\u0301\U0001f600", "x" * 500])
def test_strange_text_anywhere_is_kept_and_harms_nothing(road: Road, text: str) -> None:
    officer = road.officer()
    subject = Subject(
        given_names=text, family_name=text, aliases=(text,), address=text, postcode=text, school=text,
        phone=text, guardian=text, upn=text, nhs_number=text, description=text,
    )  # fmt: skip
    note_id = officer.writes(
        subject, saw_or_heard=text, assessment=text, found_at=Place(place=text, borough=text)
    )
    shown = road.store.read_now(
        lambda tx: notes_shown.of_subject(tx, somebody(), road.subject_of(note_id), now=road.now)
    )
    assert shown is not None
    assert shown.body.subjects[0].given_names == text
    assert road.alerts_of(road.child_of(note_id), "open")


STRANGERS = [
    Subject(
        given_names="Mirembe",
        family_name="Nakato",
        date_of_birth=datetime.date(2011, 2, 27),
        postcode="E8 1EA",
    ),
    Subject(
        given_names="Oliver",
        family_name="Prichard",
        date_of_birth=datetime.date(2015, 7, 9),
        postcode="N4 2HT",
    ),
    Subject(
        given_names="Zofia",
        family_name="Wisniewska",
        date_of_birth=datetime.date(2009, 5, 30),
        postcode="W3 8DD",
    ),
    Subject(
        given_names="Haruto",
        family_name="Ishikawa",
        date_of_birth=datetime.date(2013, 12, 1),
        postcode="HA4 6QT",
    ),
]


@pytest.mark.invariant(17)
def test_two_phones_that_meet_the_same_unknown_child_at_once_end_with_one_child(road: Road) -> None:
    """Invariant 17, and the reason for the lock of the intake."""
    officers = [road.officer(f"officer{n}") for n in range(4)]
    for child in STRANGERS:
        lines = [officer.note(child) for officer in officers]
        with concurrent.futures.ThreadPoolExecutor(len(officers)) as pool:
            verdicts = list(
                pool.map(lambda pair: pair[0].sends(pair[1][1]), zip(officers, lines, strict=True))
            )
        assert {verdict.v for verdict in verdicts} == {"applied"}
        assert len({road.child_of(note_id) for note_id, _ in lines}) == 1
    assert road.count("child") == len(STRANGERS)


@pytest.mark.invariant(2, 3)
def test_the_same_push_from_two_connections_at_once_is_taken_once(road: Road) -> None:
    officer = road.officer()
    lines = [officer.note(Subject(given_names="Ada", family_name=f"Stone{n}"))[1] for n in range(20)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: officer.push(*lines), range(4)))
    assert road.count("note") == 20
    outcomes = sorted(verdict.v for answer in answers for verdict in answer.verdicts)
    assert outcomes == ["applied"] * 20 + ["duplicate"] * 60
    assert {answer.contiguous_through for answer in answers} == {20}


def test_the_trail_holds_every_verb_of_the_road_and_holds(road: Road) -> None:
    road.child(AMARA)
    officer = road.officer()
    note_id = officer.writes(AMARA)
    officer.sends(officer.withdrawal(note_id))
    verbs = {verb for (verb,) in road.rows("SELECT DISTINCT verb FROM audit_entry")}
    assert {"collection", "combination", "alteration"} <= verbs
    assert road.store.read_now(verify).ok
    # Ids only: the trail must not become a second copy of who the children are.
    text = str(road.rows("SELECT ids, reason, recipients, actor_id FROM audit_entry"))
    assert "Amara" not in text and BORN.isoformat() not in text


def test_a_note_is_placed_by_the_boundaries_of_the_day_it_was_observed(road: Road) -> None:
    """The same spot was Lambeth's until yesterday and is Southwark's since."""

    def square(code: str) -> Area:
        ring = [[-0.2, 51.4], [-0.1, 51.4], [-0.1, 51.5], [-0.2, 51.5], [-0.2, 51.4]]
        content = {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"code": code, "name": code},
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                }
            ],
        }
        return parse_geojson(msgspec.json.encode(content))[0]

    changed_at = road.now - 24 * HOUR_MS

    def load(tx: Transaction) -> None:
        reference.replace_areas(tx, [square(LAMBETH)], now=road.now)
        reference.replace_areas(tx, [square(SOUTHWARK)], now=road.now, valid_from=changed_at)

    road.store.write_now(load)
    here = Place(latitude=51.45, longitude=-0.15)
    officer = road.officer(borough=CAMDEN)
    today = officer.writes(AMARA, found_at=here)
    earlier = officer.writes(JONAS, found_at=here, observed_at=at(changed_at - 1))
    places = dict(road.rows("SELECT note_id, found_borough FROM note"))
    assert places == {today: SOUTHWARK, earlier: LAMBETH}
    moved = road.body(JONAS, found_at=here, observed_at=at(changed_at))
    officer.sends(officer.amendment(earlier, moved))
    child = road.child_of(earlier)
    facts = road.store.read_now(lambda tx: note_subjects.facts_of_child(tx, child))
    assert [fact.borough for fact in facts] == [SOUTHWARK]
