"""Same child as another record, by its doors: side by side, merged, kept apart, undone on the timeline."""

from __future__ import annotations

import re

from sync.vocabulary import Category
from tests.console.kit import Browser, text, titles
from tests.http.kit import Client, add_person
from tests.road import AMARA, CAMDEN, JONAS, Road

WHY = "same guardian on the phone"


def merged(rivera: Browser, one: int, other: int) -> str:
    """Merge, and where the child goes on."""
    answer = rivera.send(f"/children/{one}/same", decision=f"same:{other}", reason=WHY)
    assert answer.status_code == 303, text(answer.text)
    assert "can be undone" in rivera.said(answer)
    return str(answer.headers["location"])


def test_the_records_that_may_be_the_same_stand_side_by_side(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(AMARA)
    road.officer().writes(JONAS)
    page = rivera.get(f"/children/{one}")
    assert f'href="/children/{one}/same"' in page.text and f"Record {one}" in text(page.text)
    page = rivera.get(f"/children/{one}/same")
    said = text(page.text)
    assert "Is this the same child as another record?" in said
    assert f"Record {other}" in said and "14 Coldharbour Lane" in said and "Agrees" in said
    assert f'value="same:{other}"' in page.text and f'value="not_same:{other}"' in page.text
    assert "Petrauskas" not in said
    assert all("Amara" not in title for title in titles(page.text))


def test_a_record_is_put_beside_by_its_number_however_unlike(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(JONAS)
    said = text(rivera.get(f"/children/{one}/same?other={other}").text)
    assert "Jonas Petrauskas" in said and "too unlike to be weighed" in said and "3 Peckham Road" in said
    for number, words in (("x", "in digits"), ("999999", "no such record"), ("9" * 40, "in digits")):
        answer = rivera.get(f"/children/{one}/same?other={number}")
        assert answer.status_code == 422 and words in text(answer.text)
    elsewhere = road.child(JONAS, CAMDEN)
    answer = rivera.get(f"/children/{one}/same?other={elsewhere}")
    assert "no such record" in text(answer.text)


def test_merged_the_old_record_leads_to_the_one_that_goes_on(rivera: Browser, road: Road) -> None:
    one = road.child(AMARA)
    road.officer("a").writes(AMARA, category=Category.MISSING)
    other = road.child_of(road.officer("b").writes(JONAS, category=Category.CSE))
    assert merged(rivera, other, one) == f"/children/{one}"
    leads = rivera.get(f"/children/{other}")
    assert leads.status_code == 303 and leads.headers["location"] == f"/children/{one}"
    page = rivera.get(f"/children/{one}")
    said = text(page.text)
    assert f"Records {one} and {other}, merged" in said
    assert f"Merged, the same child: records {other} and {one}" in said and f"“{WHY}”" in said
    assert f"Stands on record {other}, which was merged into this child." in said
    assert "Told the investigators of Lambeth: the records were merged" in said
    assert "also known as Jonas Petrauskas" in said
    assert "Missing, with a sign of exploitation" in said
    [event] = re.findall(r'action="/merges/(\d+)/undo"', page.text)
    answer = rivera.send(f"/merges/{event}/undo")
    assert "as it would be without it" in rivera.said(answer)
    for child, words in ((one, "Amara"), (other, "Jonas")):
        page = rivera.get(f"/children/{child}")
        said = text(page.text)
        assert page.status_code == 200 and words in said
        assert "Undone: merged, the same child" in said and "/merges/" not in page.text
        assert "Missing, with a sign of exploitation" not in said
    again = rivera.send(f"/merges/{event}/undo")
    assert again.status_code == 409 and "taken back already" in again.text


def test_the_queue_goes_on_with_both_duties(rivera: Browser, road: Road) -> None:
    one = road.child(AMARA)
    road.officer("a").writes(AMARA, category=Category.MISSING)
    other = road.child_of(road.officer("b").writes(JONAS, category=Category.KNIFE))
    merged(rivera, one, other)
    page = rivera.get("/alerts").text
    assert f'href="/children/{one}"' in page and f'href="/children/{other}"' in page
    live = text(rivera.get(f"/children/{one}").text).split("The story")[0]
    assert live.count("Acknowledge") >= 2


def test_not_the_same_is_said_beside_the_record_and_on_the_timeline(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(AMARA)
    answer = rivera.send(f"/children/{one}/same", decision=f"not_same:{other}", reason="two cousins")
    assert answer.headers["location"] == f"/children/{one}"
    page = rivera.get(f"/children/{one}/same")
    assert "said: not the same child" in text(page.text) and f'value="same:{other}"' not in page.text
    refused = rivera.send(f"/children/{one}/same", decision=f"same:{other}", reason=WHY)
    assert refused.status_code == 422 and "Undo that decision first" in text(refused.text)
    page = rivera.get(f"/children/{other}").text
    assert f"Not the same child: record {one}" in text(page)
    [event] = re.findall(r'action="/merges/(\d+)/undo"', page)
    rivera.send(f"/merges/{event}/undo")
    assert f'value="same:{other}"' in rivera.get(f"/children/{one}/same").text


def test_a_merge_asks_why(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(AMARA)
    answer = rivera.send(f"/children/{one}/same", decision=f"same:{other}", reason=" x ")
    assert answer.status_code == 422 and "Say why" in text(answer.text)
    assert road.count("merge_event") == 0
    for decision in ("new", "cannot_tell", "same:", "perhaps", f"same:{10**30}"):
        assert rivera.send(f"/children/{one}/same", decision=decision, reason=WHY).status_code == 400


def test_a_restricted_record_asks_for_a_reason_before_it_is_shown(rivera: Browser, road: Road) -> None:
    one, other = road.child(AMARA), road.child(JONAS, restricted=True)
    asked = rivera.get(f"/children/{one}/same?other={other}")
    assert "This record is restricted" in text(asked.text) and "Jonas" not in asked.text
    assert f'action="/children/{one}/same/open"' in asked.text
    short = rivera.send(f"/children/{one}/same/open", other=other, reason="x")
    assert short.status_code == 422
    shown = rivera.send(f"/children/{one}/same/open", other=other, reason="the court asked today")
    assert "Jonas Petrauskas" in text(shown.text)
    answer = rivera.send(
        f"/children/{one}/same",
        decision=f"same:{other}", reason=WHY, other=other, access_reason="the court asked today",
    )  # fmt: skip
    assert answer.status_code == 303
    assert "This record is restricted" in text(rivera.get(f"/children/{one}").text)


def test_a_provisional_record_is_confirmed_and_back(rivera: Browser, road: Road) -> None:
    child = road.child_of(road.officer().writes(AMARA))
    page = rivera.get(f"/children/{child}/same").text
    assert "Confirm a child of their own" in text(page)
    answer = rivera.send(f"/children/{child}/confirm")
    assert "a child of their own" in rivera.said(answer)
    page = rivera.get(f"/children/{child}").text
    assert "Provisional" not in text(page).split("The story")[0]
    [event] = re.findall(r'action="/merges/(\d+)/undo"', page)
    rivera.send(f"/merges/{event}/undo")
    assert "Provisional" in text(rivera.get(f"/children/{child}").text)


def test_who_may_not_decide_has_no_such_page(client: Client, road: Road) -> None:
    one, other = road.child(AMARA), road.child(AMARA)
    team = Browser(client, add_person(client, "team", role="scrutiny", borough=None))
    assert "/same" not in team.get(f"/children/{one}").text
    assert team.get(f"/children/{one}/same").status_code == 403
    elsewhere = Browser(client, add_person(client, "other", borough=CAMDEN))
    assert elsewhere.get(f"/children/{one}/same").status_code == 404
    assert elsewhere.send(f"/children/{one}/same", decision=f"same:{other}", reason=WHY).status_code == 404
    assert road.count("merge_event") == 0
