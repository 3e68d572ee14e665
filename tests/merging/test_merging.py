"""Merging two records by what a person sees and what follows: each rule by an example, on both engines."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest

from server import answering, duplicates, merging, showing
from server.access.errors import NotAllowed, ReasonNeeded
from server.access.identity import Person
from server.linkage.standardise import encode_record, standardise
from server.merging import Decided, Impossible
from server.records import cases, children, children_shown, clusters, duties, flags, merges
from server.records.child import Details, encode_details
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, REGISTRY, SOUTHWARK, Road, somebody

RIVERA = somebody("rivera")
GAFFER = somebody("gaffer", "force_duty_officer", None)
WHY = "same guardian on the phone"
MOVED = msgspec.structs.replace(AMARA, address="77 Kingsway Road", postcode="E17 4PP", school=None)
"""Amara where she lived before."""


def merge(road: Road, one: int, other: int, person: Person = GAFFER, **more: Any) -> Decided:
    return road.store.write_now(
        lambda tx: merging.merge(
            tx, road.worlds.current(tx), person, one, other, now=road.now, reason=WHY, **more
        )
    )


def undo(road: Road, decided: Decided, person: Person = GAFFER, **more: Any) -> Decided:
    return road.store.write_now(
        lambda tx: merging.undo(tx, road.worlds.current(tx), person, decided.event_id, now=road.now, **more)
    )


def apart(road: Road, one: int, other: int, person: Person = GAFFER) -> Decided:
    return road.store.write_now(
        lambda tx: merging.not_the_same(tx, person, one, other, now=road.now, reason="two cousins")
    )


def propose(road: Road, one: int, other: int) -> int:
    return road.store.write_now(
        lambda tx: merges.propose(
            tx, REGISTRY, one, other, probability=0.97, weight=11.0, evidence=None,
            reason="date of birth and school agree", now=road.now,
        )
    )  # fmt: skip


def answer(road: Road, proposal_id: int, said: str) -> Decided:
    return road.store.write_now(
        lambda tx: merging.answer(tx, road.worlds.current(tx), GAFFER, proposal_id, said, now=road.now)
    )


def waiting(road: Road, person: Person = GAFFER) -> list[int]:
    return [one.proposal_id for one in road.store.read_now(lambda tx: merges.waiting(tx, person))]


def shown(road: Road, child_id: int, person: Person = GAFFER, reason: str | None = None) -> Any:
    return road.store.read_now(
        lambda tx: showing.timeline(
            tx, road.worlds.current(tx).decider.model, person, child_id, now=road.now, reason=reason
        )
    )


def rules(road: Road, child_id: int) -> list[str]:
    return sorted(flag.rule for flag in road.store.read_now(lambda tx: cases.flags_of(tx, child_id)))


def steps(road: Road, alert_id: int) -> list[str]:
    return [
        kind
        for (kind,) in road.rows(
            "SELECT kind FROM alert_event WHERE alert_id = :a ORDER BY event_id", a=alert_id
        )
    ]


@pytest.fixture
def two(road: Road) -> tuple[int, int]:
    """Amara with two missing episodes, and a boy with one."""
    amara, jonas = road.child(AMARA), road.child(JONAS, SOUTHWARK)
    for username in ("lam", "khan"):
        road.officer(username).writes(AMARA, category=Category.MISSING)
        road.passes(hours=24 * 10)
    road.officer("osei", SOUTHWARK).writes(JONAS, category=Category.MISSING)
    return amara, jonas


def test_a_merge_reads_two_records_as_one_child_and_moves_nothing(road: Road, two: tuple[int, int]) -> None:
    amara, jonas = two
    stood = road.rows("SELECT subject_id, child_id FROM subject ORDER BY subject_id")
    decided = merge(road, jonas, amara)
    assert decided.kept_id == amara
    for child_id in two:
        timeline = shown(road, child_id)
        assert timeline.child.child_id == amara
        assert len(timeline.entries) == 3
        assert [one.child_id for one in timeline.child.records] == [amara, jonas]
    assert road.rows("SELECT subject_id, child_id FROM subject ORDER BY subject_id") == stood
    assert "Jonas Petrauskas" in shown(road, amara).child.details.aliases


def test_what_two_records_mean_only_together_is_somebody_s_duty_at_once(
    road: Road, two: tuple[int, int]
) -> None:
    amara, jonas = two
    before = {alert.alert_id for child in two for alert in road.alerts_of(child)}
    decided = merge(road, amara, jonas)
    assert "missing_repeat" in rules(road, amara)
    [joint] = [alert for alert in road.alerts_of(amara) if alert.alert_id not in before]
    assert (joint.state, joint.grade) == ("open", "amber") and joint.deadline_at is not None
    assert steps(road, joint.alert_id) == ["raised"]
    undo(road, decided)
    assert "missing_repeat" not in rules(road, amara)
    assert steps(road, joint.alert_id) == ["raised", "separated", "closed"]
    closed = road.value("SELECT closed_reason FROM alert WHERE alert_id = :a", a=joint.alert_id)
    assert closed == flags.SEPARATE
    assert joint.alert_id not in {alert.alert_id for alert in road.alerts_of(amara)}


def test_no_alert_is_touched_and_whoever_has_a_duty_is_told(road: Road, two: tuple[int, int]) -> None:
    own = road.rows("SELECT * FROM alert ORDER BY alert_id")
    decided = merge(road, *two)
    assert road.rows("SELECT * FROM alert WHERE joint = 0 ORDER BY alert_id") == own
    for row in own:
        assert steps(road, row[0])[-1] == "joined"
    undo(road, decided)
    assert road.rows("SELECT * FROM alert WHERE joint = 0 ORDER BY alert_id") == own
    for row in own:
        assert steps(road, row[0])[-1] == "separated"


def test_the_record_in_the_registry_goes_on_then_the_older(road: Road) -> None:
    first = road.child_of(road.officer("a").writes(MOVED))
    second = road.child_of(road.officer("b").writes(JONAS))
    registered = road.child(Subject(given_names="Zofia", family_name="Wisniewska"))
    assert merge(road, second, first).kept_id == first
    assert merge(road, second, registered).kept_id == registered
    assert {road.store.read_now(lambda tx: children.kept(tx, one)) for one in (first, second)} == {registered}  # noqa: B023


def test_a_joint_duty_runs_on_when_the_child_continues_as_another_record(road: Road) -> None:
    for username in ("lam", "khan"):
        road.officer(username).writes(MOVED, category=Category.MISSING)
        road.passes(hours=24 * 10)
    first = road.child_of(road.officer("x").writes(MOVED, category=Category.NEGLECT))
    second = road.child_of(road.officer("osei").writes(JONAS, category=Category.MISSING))
    merge(road, first, second)
    [running] = road.rows("SELECT alert_id, started_at, deadline_at, rev FROM alert WHERE joint = 1")
    road.passes(minutes=30)
    registered = road.child(Subject(given_names="Zofia", family_name="Wisniewska"))
    last = merge(road, first, registered)
    assert last.kept_id == registered
    assert "missing_repeat" in rules(road, registered)
    assert road.rows(
        "SELECT alert_id, started_at, deadline_at, rev FROM alert WHERE joint = 1 AND child_id = :c",
        c=registered,
    ) == [running]
    undo(road, last)
    assert road.rows(
        "SELECT alert_id, started_at, deadline_at, rev FROM alert WHERE joint = 1 AND child_id = :c"
        " AND state = 'open'", c=first,
    ) == [running]  # fmt: skip


def test_a_child_of_several_records_comes_apart_where_the_merge_is_undone(road: Road) -> None:
    ids = [road.child(AMARA), road.child(JONAS), road.child(MOVED), road.child(Subject(given_names="Ife"))]
    merge(road, ids[0], ids[1])
    middle = merge(road, ids[1], ids[2])
    merge(road, ids[2], ids[3])
    whole = road.store.read_now(lambda tx: children.whole(tx, [ids[3]]))
    assert whole == set(ids)
    undo(road, middle)
    assert road.store.read_now(lambda tx: children.whole(tx, [ids[0]])) == set(ids[:2])
    assert road.store.read_now(lambda tx: children.whole(tx, [ids[3]])) == set(ids[2:])
    with pytest.raises(Impossible, match="taken back already"):
        undo(road, middle)


def test_two_joint_duties_in_one_alert_each_go_on_when_the_child_comes_apart(road: Road) -> None:
    zofia = Subject(given_names="Zofia", family_name="Wisniewska", date_of_birth=AMARA.date_of_birth)
    ife = Subject(given_names="Ife", family_name="Adeyemi", date_of_birth=JONAS.date_of_birth)
    ids = [road.child(subject) for subject in (AMARA, JONAS, zofia, ife)]
    # One officer, so that these notes are one source.
    officer = road.officer("lam")
    for subject in (AMARA, AMARA, JONAS):
        officer.writes(subject, category=Category.MISSING)
        road.passes(hours=24 * 10)
    road.passes(hours=24 * 40)
    road.officer("hale").writes(zofia)
    road.passes(hours=48)
    road.officer("grant").writes(ife)
    middle = merge(road, ids[0], ids[2])
    merge(road, ids[0], ids[1])
    merge(road, ids[2], ids[3])
    assert {"missing_repeat", "sources_several"} <= set(rules(road, ids[0]))
    assert road.count("alert", "joint = 1") == 1
    undo(road, middle)
    for kept, rule in ((ids[0], "missing_repeat"), (ids[2], "sources_several")):
        carried = road.rows(
            "SELECT f.rule FROM alert a JOIN alert_flag l ON l.alert_id = a.alert_id JOIN flag f"
            " ON f.flag_id = l.flag_id AND f.retracted_at IS NULL WHERE a.child_id = :c AND a.joint = 1"
            " AND a.state = 'open'",
            c=kept,
        )
        assert (rule,) in carried


def test_a_merge_that_is_one_already_or_of_one_record_is_refused(road: Road, two: tuple[int, int]) -> None:
    merge(road, *two)
    events = road.count("merge_event")
    for pair in (two, two[::-1], (two[0], two[0])):
        with pytest.raises(Impossible):
            merge(road, *pair)
    with pytest.raises(Impossible):
        apart(road, *two)
    assert road.count("merge_event") == events


def test_a_record_that_waits_for_a_review_is_decided_there(road: Road) -> None:
    amara = road.child(AMARA)
    doubtful = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)
    holding = road.child_of(road.officer().writes(doubtful))
    with pytest.raises(Impossible, match="review"):
        merge(road, amara, holding)
    assert propose(road, amara, holding) == 0


@pytest.mark.parametrize(
    "person",
    [
        somebody("elsewhere", borough=CAMDEN),
        somebody("officer", "ward_officer"),
        somebody("t", "scrutiny", None),
    ],
    ids=["another borough", "no desk role", "scrutiny"],
)
def test_who_may_not_decide_merges_and_undoes_nothing(
    road: Road, two: tuple[int, int], person: Person
) -> None:
    with pytest.raises(NotAllowed):
        merge(road, *two, person=person)
    with pytest.raises(NotAllowed):
        apart(road, *two, person=person)
    decided = merge(road, *two)
    with pytest.raises(NotAllowed):
        undo(road, decided, person=person)


def test_both_records_must_be_in_sight(road: Road, two: tuple[int, int]) -> None:
    with pytest.raises(NotAllowed):
        merge(road, *two, person=RIVERA)
    decided = merge(road, *two)
    # The child is of every borough that either record was of; and again of its own when they are apart.
    for borough in (LAMBETH, SOUTHWARK):
        assert len(shown(road, two[1], somebody("x", borough=borough)).entries) == 3
    undo(road, decided)
    with pytest.raises(NotAllowed):
        shown(road, two[1], RIVERA)


def test_one_restricted_record_makes_the_whole_child_restricted(road: Road) -> None:
    plain, secret = road.child(AMARA), road.child(JONAS, restricted=True)
    with pytest.raises(ReasonNeeded):
        merge(road, plain, secret, person=RIVERA)
    decided = merge(road, plain, secret, person=RIVERA, access_reason="the court asked today")
    without = msgspec.structs.replace(GAFFER, permissions=GAFFER.permissions - {"restricted.view"})
    for child_id in (plain, secret):
        with pytest.raises(NotAllowed):
            shown(road, child_id, without)
        with pytest.raises(ReasonNeeded):
            shown(road, child_id, RIVERA)
        listed = road.store.read_now(lambda tx: children_shown.names(tx, without, [child_id], now=road.now))  # noqa: B023
        assert listed == {}
    # Nothing is linked to it without a person, though the record that fits is not itself restricted.
    note_id = road.officer().writes(AMARA)
    assert road.child_of(note_id) not in (plain, secret)
    assert road.status_of(note_id) == "in_review"
    with pytest.raises(ReasonNeeded):
        undo(road, decided, person=RIVERA)
    undo(road, decided, person=RIVERA, access_reason="the court asked today")
    assert shown(road, plain, without).child.circumstances.restricted is False


def test_merges_and_comparisons_are_in_the_trail_with_both_records(road: Road, two: tuple[int, int]) -> None:
    amara, jonas = two
    decided = merge(road, amara, jonas)
    undo(road, decided)
    where = f"""verb = 'combination' AND kind = 'child' AND ids = '["{amara}","{jonas}"]' AND actor_id = 'gaffer'"""
    assert road.count("audit_entry", where) == 2
    looked = "verb = 'consultation' AND kind = 'child' AND actor_id = 'gaffer'"
    before = road.count("audit_entry", looked)
    road.store.read_now(
        lambda tx: duplicates.pair(tx, road.worlds.current(tx).decider, GAFFER, amara, jonas, now=road.now)
    )
    rows = road.rows(f"SELECT ids FROM audit_entry WHERE {looked} ORDER BY position")[before:]
    assert [ids for (ids,) in rows] == [f'["{amara}","{jonas}"]']


# Linkage over merged records


def test_records_of_one_child_count_as_one_candidate(road: Road) -> None:
    """Two records of one description leave every note in doubt, until a person says that they are one child."""
    first, second = road.child(AMARA), road.child(AMARA)
    doubtful = road.officer().writes(AMARA)
    assert road.status_of(doubtful) == "in_review"
    decided = merge(road, first, second)
    note_id = road.officer().writes(AMARA)
    assert road.child_of(note_id) in (first, second) and road.status_of(note_id) == "linked"
    assert note_id in {entry.note.note_id for entry in shown(road, first).entries}
    undo(road, decided)
    assert road.status_of(road.officer().writes(AMARA)) == "in_review"


def test_the_record_that_fits_best_speaks_for_the_child_and_takes_the_note(road: Road) -> None:
    """A provisional record merged into the registry's is found by its own keys, and keeps what it was found by."""
    amara = road.child(AMARA)
    provisional = road.child_of(road.officer("a").writes(JONAS))
    decided = merge(road, amara, provisional)
    assert decided.kept_id == amara
    note_id = road.officer("b").writes(JONAS)
    assert road.child_of(note_id) == provisional
    assert len(shown(road, amara).entries) == 2
    undo(road, decided)
    assert len(shown(road, provisional).entries) == 2
    assert shown(road, amara).entries == ()


def test_two_people_of_one_note_are_not_put_on_two_records_of_one_child(road: Road) -> None:
    first, second = road.child(AMARA), road.child(JONAS)
    merge(road, first, second)
    note_id = road.officer().writes(AMARA, JONAS)
    placed = {road.child_of(note_id, 0), road.child_of(note_id, 1)}
    assert len(placed & {first, second}) == 1


def test_an_amendment_does_not_put_two_people_of_one_note_on_one_child_either(road: Road) -> None:
    amara, jonas = road.child(AMARA), road.child(JONAS)
    merge(road, amara, jonas)
    officer = road.officer()
    note_id = officer.writes(AMARA, Subject(given_names="Jonas", approximate_age=15.0))
    apart_from = road.child_of(note_id, 1)
    assert road.child_of(note_id, 0) == amara and apart_from not in (amara, jonas)
    assert officer.sends(officer.amendment(note_id, road.body(AMARA, JONAS))).v == "applied"
    assert road.child_of(note_id, 1) == apart_from


def test_who_is_ruled_out_is_ruled_out_by_every_record(road: Road) -> None:
    first, second = road.child(AMARA), road.child(AMARA)
    doubtful = Subject(given_names="Amara", family_name="Okonkwo-Bright", approximate_age=13.0)
    note_id = road.officer().writes(doubtful)
    review_id = road.review_of(note_id).review_id

    def answers(said: Any, child_id: int) -> None:
        road.store.write_now(
            lambda tx: said(tx, road.worlds.current(tx), GAFFER, review_id, child_id, now=road.now)
        )

    answers(answering.answer_not_same, first)
    decided = merge(road, first, second)
    with pytest.raises(NotAllowed):
        answers(answering.answer_same, second)
    undo(road, decided)
    answers(answering.answer_same, second)
    assert road.child_of(note_id) == second


# Not the same child


def test_not_the_same_persists_until_something_new_is_known(road: Road) -> None:
    first, second = road.child(AMARA, registry_id="r1"), road.child(MOVED, registry_id="r2")
    decided = apart(road, first, second)
    assert propose(road, second, first) == 0
    with pytest.raises(Impossible, match="not the same"):
        merge(road, first, second)
    _reregister(road, second, MOVED, guardian="Grace Bright")
    assert propose(road, first, second) == 0, "a field that one side lacks says nothing"
    _reregister(road, second, MOVED, upn="A123456789012")
    assert propose(road, first, second) > 0
    undo(road, decided)
    assert merge(road, first, second).kept_id == first


def test_a_change_of_what_the_decision_rested_on_is_new_too(road: Road) -> None:
    first, second = road.child(AMARA, registry_id="r1"), road.child(MOVED, registry_id="r2")
    apart(road, first, second)
    _reregister(road, second, AMARA)
    assert merge(road, first, second).kept_id == first


def test_who_was_kept_apart_stays_apart_from_the_whole_child(road: Road) -> None:
    first, second, third = road.child(AMARA), road.child(JONAS), road.child(MOVED)
    apart(road, first, second)
    merge(road, first, third)
    with pytest.raises(Impossible, match="not the same"):
        merge(road, third, second)
    note_id = road.officer().writes(AMARA)
    assert road.child_of(note_id) == first
    assert note_id not in {entry.note.note_id for entry in shown(road, second).entries}


def _reregister(road: Road, child_id: int, subject: Subject, **changes: str) -> None:
    named = {
        name: getattr(subject, name)
        for name in Details.__struct_fields__
        if getattr(subject, name, None) is not None
    }
    details = msgspec.convert(named | changes, Details)
    record = encode_record(standardise(details.description()))
    road.store.write_now(
        lambda tx: tx.execute(
            "UPDATE child SET details = :details, record = :record WHERE child_id = :child",
            {"details": encode_details(details), "record": record, "child": child_id},
        )
    )


# Proposals


def test_proposals_wait_by_what_is_at_stake_and_each_answer_can_be_undone(road: Road) -> None:
    quiet = (road.child(AMARA), road.child(MOVED))
    grave = (road.child(JONAS), road.child(Subject(given_names="Jonas", family_name="Petrauskas")))
    road.officer().writes(JONAS, danger_now=True)
    first, second = propose(road, *quiet), propose(road, *grave)
    assert road.store.read_now(lambda tx: merges.count_waiting(tx, GAFFER)) == 2
    assert propose(road, *quiet[::-1]) == 0, "asked twice, it is one question"
    assert waiting(road) == [second, first]
    assert waiting(road, somebody("t", "scrutiny", None)) == []
    assert waiting(road, somebody("x", borough=CAMDEN)) == []
    for said in (merging.SAME, merging.NOT_SAME, merging.CANNOT_TELL):
        decided = answer(road, first, said)
        assert waiting(road) == [second]
        with pytest.raises(Impossible):
            answer(road, first, said)
        assert propose(road, *quiet) == 0
        undo(road, decided)
        assert waiting(road) == [second, first]
    assert road.store.read_now(lambda tx: children.kept(tx, quiet[1])) == quiet[1]


def test_danger_now_comes_before_a_graver_wait(road: Road) -> None:
    """Two pairs with a red flag: the one whose child is in danger now comes first, however short it has waited."""
    small = Subject(
        given_names="Zofia", family_name="Wisniewska", date_of_birth=datetime.date(2019, 7, 19),
        address="8 Kentish Town Road", postcode="NW1 9PX",
    )  # fmt: skip
    one = road.child(small)
    road.officer("a").writes(small, category=Category.MISSING)
    missing = (one, road.child(msgspec.structs.replace(small, postcode="NW1 9PY")))
    grave = (road.child(JONAS), road.child(Subject(given_names="Jonas", family_name="Petrauskas")))
    road.officer("b").writes(JONAS, danger_now=True)
    first, second = propose(road, *missing), propose(road, *grave)
    found = road.store.read_now(lambda tx: merges.waiting(tx, GAFFER))
    assert [one.urgency for one in found] == [3, 3]
    assert [(one.proposal_id, one.danger) for one in found] == [(second, True), (first, False)]


def test_what_a_person_has_just_parted_is_not_proposed_again(road: Road, two: tuple[int, int]) -> None:
    undo(road, merge(road, *two))
    assert propose(road, *two) == 0
    assert merge(road, *two).kept_id == two[0], "a person may still"


def test_a_decision_inside_one_child_says_nothing_of_a_third_record(road: Road, two: tuple[int, int]) -> None:
    undo(road, merge(road, *two))
    merge(road, *two)
    assert propose(road, two[0], road.child(MOVED)) > 0


def test_two_people_of_one_note_are_never_proposed(road: Road) -> None:
    note_id = road.officer().writes(AMARA, JONAS)
    assert propose(road, road.child_of(note_id, 0), road.child_of(note_id, 1)) == 0


def test_a_restricted_pair_waits_only_for_who_may_see_it(road: Road) -> None:
    pair = (road.child(AMARA), road.child(MOVED, restricted=True))
    proposal = propose(road, *pair)
    without = msgspec.structs.replace(GAFFER, permissions=GAFFER.permissions - {"restricted.view"})
    assert waiting(road) == [proposal] and waiting(road, without) == []


# Provisional children


def test_a_provisional_child_that_a_person_confirms_becomes_known(road: Road) -> None:
    child_id = road.child_of(road.officer().writes(AMARA))
    keys = road.count("child_key")

    def confirm() -> Decided:
        return road.store.write_now(
            lambda tx: merging.confirm(tx, RIVERA, child_id, now=road.now, reason="I met her")
        )

    decided = confirm()
    assert road.standing_of(child_id) == "known" and road.count("child_key") == keys
    with pytest.raises(Impossible):
        confirm()
    undo(road, decided, person=RIVERA)
    assert road.standing_of(child_id) == "provisional"
    assert road.child_of(road.officer("b").writes(AMARA)) == child_id


def test_a_record_emptied_while_merged_hides_nothing_of_the_others(road: Road) -> None:
    """The kept record's one note turns out to be about somebody else: the child is still there."""
    note_id = road.officer("a").writes(AMARA)
    first, second = road.child_of(note_id), road.child_of(road.officer("b").writes(JONAS))
    decided = merge(road, first, second)
    subject = road.subject_of(note_id)
    road.store.write_now(
        lambda tx: answering.undo_link(tx, road.worlds.current(tx), GAFFER, subject, now=road.now)
    )
    assert road.standing_of(first) == "retired"
    timeline = shown(road, second)
    assert len(timeline.entries) == 1 and timeline.child.standing == "provisional"
    undo(road, decided)
    assert len(shown(road, second).entries) == 1


def test_an_event_is_never_changed(road: Road, two: tuple[int, int]) -> None:
    decided = merge(road, *two)
    [event] = road.rows("SELECT * FROM merge_event")
    undo(road, decided)
    rows = road.rows("SELECT * FROM merge_event ORDER BY event_id")
    assert rows[0] == event and len(rows) == 2
    history = road.store.read_now(lambda tx: clusters.history(tx, two))
    assert [one.action for one in history] == ["merge", "undo"]
    assert history[1].undoes == decided.event_id and history[0].author == "gaffer"
    assert road.store.read_now(lambda tx: duties.open_ids(tx, two[0]))


def test_a_list_calls_a_merged_record_by_the_name_of_the_child_that_it_is(road: Road) -> None:
    amara, other = road.child(AMARA), road.child(Subject(given_names="Amy", family_name="Okonko"))
    decided = merge(road, amara, other)

    def called() -> dict[int, str | None]:
        found = road.store.read_now(lambda tx: children_shown.names(tx, RIVERA, [other, amara], now=road.now))
        return {child_id: child.details.given_names for child_id, child in found.items()}

    assert len(set(called().values())) == 1 and set(called()) == {amara, other}
    undo(road, decided)
    assert called() == {amara: AMARA.given_names, other: "Amy"}
