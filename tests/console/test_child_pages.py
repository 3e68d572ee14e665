"""The single view of a child by its door: the story, the reason of a restricted record, who has looked."""

from __future__ import annotations

import datetime
import re

import msgspec

from server.audit import Actor
from server.casework.facts import DAY_MS
from server.records import registry
from sync.note import MissingEpisode, Subject
from sync.vocabulary import Category, ChildSeen, RiskLevel, SubjectRole
from tests.console.kit import Browser, text, titles
from tests.http.kit import Client, add_person
from tests.road import AMARA, CAMDEN, LAMBETH, TWIN, Road, at

REASON = "on call, red alert tonight"


def story_of(road: Road) -> int:
    """A child with two missing episodes, a brother in one note, an amendment and a withdrawn note."""
    child = road.child(AMARA)
    okafor = road.officer("okafor")
    now = road.now
    road.now = now - 20 * DAY_MS
    brother = Subject(role=SubjectRole.SIBLING, given_names="Chidi", approximate_age=8.0)
    note = okafor.writes(
        AMARA, brother, category=Category.MISSING, observed_at=at(road.now - 3_600_000),
        missing=MissingEpisode(hours=6, risk_level=RiskLevel.MEDIUM, returned=True),
    )  # fmt: skip
    okafor.sends(okafor.amendment(note, text="The partner of her mother is called Carl"))
    wrong = okafor.writes(AMARA, observed_at=at(road.now - 9 * 3_600_000), category=Category.BULLYING)
    okafor.sends(okafor.withdrawal(wrong))
    road.now = now
    road.officer("lindqvist").writes(
        AMARA, category=Category.MISSING, observed_at=at(now - 9 * 3_600_000),
        saw_or_heard="With two men in a grey car; a streetwise girl", voice_of_child="I owe them",
        assessment="She is being made to carry", child_seen=ChildSeen.NOT_SEEN,
        not_seen_reason="asleep", missing=MissingEpisode(hours=30),
    )  # fmt: skip
    return child


def test_the_page_tells_what_is_live_first_and_then_the_story(rivera: Browser, road: Road) -> None:
    child = story_of(road)
    page = rivera.get(f"/children/{child}")
    said = text(page.text)
    assert said.index("What is live") < said.index("The story") < said.index("People and places")
    assert "Amara Okonkwo-Bright" in said and "Born 4 March 2012" in said
    assert "Missing 30 hours" in said and "Missing 6 hours, risk level medium, returned" in said
    assert "Not seen: asleep" in said
    assert said.index("Saw or heard With two men") < said.index("words I owe them")
    assert "assessment, not fact She is being made to carry" in said
    assert "This note says “streetwise”" in said
    assert "The partner of her mother is called Carl" in said
    assert "Withdrawn by its author: Written in error" in said
    assert "Chidi, about 8, brother or sister" in said
    assert "Told the investigators of Lambeth" in said
    assert titles(page.text)[0].startswith("Child record")
    for name in ("Amara", "Okonkwo", "Chidi"):
        assert not re.search(rf'(?:href|action)="[^"]*{name}', page.text)


def test_every_link_says_why_field_by_field(rivera: Browser, road: Road) -> None:
    page = rivera.get(f"/children/{story_of(road)}").text
    said = text(page)
    assert "Linked automatically" in said and "why?" in said
    for words in (
        "Given names",
        "Date of birth",
        "Agrees",
        "Missing",
        "Taken together",
        "each +1 doubles the odds",
    ):
        assert words in said, words


def test_a_flag_names_the_notes_that_raised_it(rivera: Browser, road: Road) -> None:
    page = rivera.get(f"/children/{story_of(road)}").text
    anchors = set(re.findall(r'id="((?:note|flag)-[^"]+)"', page))
    pointed = set(re.findall(r'href="#((?:note|flag)-[^"]+)"', page))
    assert any(one.startswith("note-") for one in pointed) and any(one.startswith("flag-") for one in pointed)
    assert pointed <= anchors, pointed - anchors


def test_who_has_looked_names_those_before_and_leaves_lists_out(
    rivera: Browser, client: Client, road: Road
) -> None:
    child = story_of(road)
    rivera.get("/alerts")
    assert "Nobody before you" in text(rivera.get(f"/children/{child}").text)
    hale = Browser(client, add_person(client, "hale"))
    said = text(hale.get(f"/children/{child}").text)
    assert "Test rivera, borough investigator Opened the record, today" in said
    assert "Test hale, borough" not in said
    assert "Test hale" in text(rivera.get(f"/children/{child}").text).partition("Who has looked")[2]


def test_a_restricted_record_asks_why_by_form_and_says_nothing_before(
    rivera: Browser, road: Road, client: Client
) -> None:
    child = road.child(AMARA, restricted=True)
    asked = rivera.get(f"/children/{child}")
    assert asked.status_code == 200 and "This record is restricted" in asked.text
    assert "Amara" not in asked.text and "Coldharbour" not in asked.text
    assert f'method="post" action="/children/{child}"' in asked.text
    by_address = rivera.get(f"/children/{child}?reason=on+call+tonight")
    assert "Amara" not in by_address.text  # a reason in an address is no reason
    short = rivera.send(f"/children/{child}", reason="hm")
    assert short.status_code == 422 and "Amara" not in short.text
    shown = rivera.send(f"/children/{child}", reason=REASON)
    assert shown.status_code == 200 and "Amara" in shown.text and "Restricted record" in shown.text
    assert road.rows("SELECT person, reason FROM restricted_reason") == [("rivera", REASON)]
    scrutiny = Browser(client, add_person(client, "quinn", role="scrutiny", borough=None))
    assert scrutiny.get(f"/children/{child}").status_code == 404


def test_a_child_of_another_borough_is_not_there(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA, CAMDEN)
    answer = rivera.get(f"/children/{child}")
    assert answer.status_code == 404 and "Amara" not in answer.text
    assert "not in your boroughs" in answer.text


def test_a_note_is_taken_off_a_record_and_waits_for_a_decision(rivera: Browser, road: Road) -> None:
    child = story_of(road)
    page = rivera.get(f"/children/{child}").text
    subject = re.search(r'action="/links/(\d+)/undo"', page)
    assert subject is not None
    answer = rivera.send(f"/links/{subject[1]}/undo")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/reviews/")
    assert "off that record" in rivera.said(answer)
    assert "A note was taken off this record" in text(rivera.get(f"/children/{child}").text)


def test_a_link_of_another_borough_cannot_be_undone_and_is_not_there(rivera: Browser, road: Road) -> None:
    road.child(AMARA, CAMDEN)
    note = road.officer("lee", CAMDEN).writes(AMARA)
    subject = road.subject_of(note)
    answer, absent = rivera.send(f"/links/{subject}/undo"), rivera.send("/links/999999/undo")
    assert answer.status_code == absent.status_code == 404
    assert text(answer.text) == text(absent.text)


def test_a_twin_in_the_same_note_is_linked_from_people(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(TWIN)
    road.officer().writes(AMARA, TWIN)
    page = rivera.get(f"/children/{one}").text
    assert f'href="/children/{other}"' in page.partition('id="people"')[2]


def test_what_an_officer_wrote_reaches_the_page_escaped(rivera: Browser, road: Road) -> None:
    wicked = msgspec.structs.replace(AMARA, school="<script>alert(1)</script>")
    child = road.child(wicked)
    road.officer().writes(wicked, saw_or_heard="<img src=x onerror=alert(1)>")
    page = rivera.get(f"/children/{child}").text
    assert "<script>alert" not in page and "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_child_of_many_notes_in_many_scripts_still_has_a_page(rivera: Browser, road: Road) -> None:
    strange = Subject(
        given_names="Łukasz-Ọlá مریم", family_name="Nguyễn \u202e42", date_of_birth=datetime.date(2011, 2, 28)
    )
    child = road.child(strange, LAMBETH)
    officer = road.officer()
    for _ in range(30):
        road.passes(hours=-3)
        officer.push(officer.note(strange, category=Category.KNIFE)[1])
    said = text(rivera.get(f"/children/{child}").text)
    assert "Łukasz-Ọlá مریم" in said


def test_a_child_that_has_left_the_registry_says_since_when(rivera: Browser, road: Road) -> None:
    child = story_of(road)
    assert "no longer in the registry" not in text(rivera.get(f"/children/{child}").text)
    left_at = 1_772_539_200_000  # 3 March 2026, noon
    road.store.write_now(lambda tx: registry.leave(tx, Actor("system", "import"), [child], now=left_at))
    said = text(rivera.get(f"/children/{child}").text)
    assert "whether these details still hold: no longer in the registry since 3 March 2026" in said


def test_notes_of_one_event_say_so_and_can_be_counted_apart(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA)
    road.officer().writes(AMARA)
    note = road.officer("lindqvist").writes(AMARA)
    subject = road.subject_of(note)
    assert "Counted as one event with the note of" in text(rivera.get(f"/children/{child}").text)
    assert "say why" in rivera.said(rivera.send(f"/incidents/{subject}", apart="1", reason=""))
    assert rivera.send("/incidents/999", apart="1", reason="Another evening").status_code == 404
    answer = rivera.send(f"/incidents/{subject}", apart="1", reason="Another evening")
    assert "event of its own" in rivera.said(answer)
    said = text(rivera.get(f"/children/{child}").text)
    assert (
        "An event of its own, said Test rivera: “Another evening”" in said
        and "Undo: count it as the rules find it" in said
    )
    rivera.send(f"/incidents/{subject}")
    assert "Counted as one event with the note of" in text(rivera.get(f"/children/{child}").text)


def test_notes_of_two_events_are_counted_as_one_by_hand_and_back(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA)
    first = road.subject_of(road.officer().writes(AMARA, category=Category.KNIFE))
    road.passes(hours=40)
    second = road.subject_of(road.officer("lindqvist").writes(AMARA, category=Category.SCHOOL_ABSENCE))
    page = rivera.get(f"/children/{child}")
    assert f'<option value="{first}">' in page.text and "Counted as one event" not in text(page.text)
    for other, reason in ((str(first), ""), ("x", "One evening")):
        assert "say why" in rivera.said(rivera.send(f"/incidents/{second}", other=other, reason=reason))
    assert rivera.send(f"/incidents/{second}", other="999", reason="One evening").status_code == 404
    answer = rivera.send(f"/incidents/{second}", other=str(first), reason="One evening")
    assert "as one event" in rivera.said(answer)
    said = text(rivera.get(f"/children/{child}").text)
    assert "a person said that it is one event. Joined by Test rivera: “One evening”" in said
    rivera.send(f"/incidents/{second}")
    assert "Counted as one event" not in text(rivera.get(f"/children/{child}").text)


def test_what_may_be_one_event_is_said_beside_both_notes_until_a_person_has_said_so(
    rivera: Browser, road: Road
) -> None:
    child = road.child(AMARA)
    road.officer("lam").writes(AMARA, saw_or_heard="Crying outside the chip shop")
    road.passes(minutes=30)
    other = road.officer("khan").writes(AMARA, saw_or_heard="Nothing in common at all here")
    assert text(rivera.get(f"/children/{child}").text).count("Perhaps one event with the note of") == 2
    subjects = [number for (number,) in road.rows("SELECT subject_id FROM subject ORDER BY subject_id")]
    rivera.send(f"/incidents/{road.subject_of(other)}", other=subjects[0], reason="Both rang me about it")
    page = text(rivera.get(f"/children/{child}").text)
    assert "Perhaps one event" not in page and "Counted as one event with the note of" in page
