"""Reviews by their doors: side by side, each decision, taking it back, two people at once."""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec
import pytest

from server.access.policy import Permission
from server.linkage.explain import explain, in_words
from server.records import links
from tests.console.kit import Browser, text
from tests.http.kit import Client, add_person, services_of
from tests.road import AMARA, AMARA_VAGUE, CAMDEN, Road


def doubt(road: Road, home: str = "E09000022", **circumstances: Any) -> tuple[int, int, str]:
    """(candidate, review, note) after a vague note about a known child."""
    child = road.child(AMARA, home, **circumstances)
    note = road.officer("okafor", home).writes(AMARA_VAGUE)
    return child, road.review_of(note).review_id, note


def rev_of(page: str) -> str:
    found = re.search(r'name="rev" value="(\d+)"', page)
    assert found is not None
    return found[1]


def decide(browser: Browser, review: int, decision: str, **more: Any) -> Any:
    rev = rev_of(browser.get(f"/reviews/{review}").text)
    return browser.send(f"/reviews/{review}/decision", **({"decision": decision, "rev": rev} | more))


def test_the_list_says_whom_why_and_how_likely(rivera: Browser, road: Road) -> None:
    _, review, _ = doubt(road)
    said = text(rivera.get("/reviews").text)
    assert "Links in doubt, Lambeth" in said and "Amara, about 13" in said and "1 candidate" in said
    assert f'href="/reviews/{review}"' in rivera.get("/reviews").text


def test_the_review_shows_the_note_beside_the_candidate(rivera: Browser, road: Road) -> None:
    child, review, _ = doubt(road)
    page = rivera.get(f"/reviews/{review}").text
    said = text(page)
    for words in ("Is this a child we know?", "by PC Okafor", "Amara Okonkwo-Bright", "14 Coldharbour Lane",
                  "Agrees", "Near", "Missing", "None of these: a new child", "Cannot tell"):  # fmt: skip
        assert words in said, words
    assert f'value="same:{child}"' in page and f'value="not_same:{child}"' in page


def test_the_same_child_moves_the_note_and_can_be_undone(rivera: Browser, road: Road) -> None:
    child, review, note = doubt(road)
    answer = decide(rivera, review, f"same:{child}", reason="Same school, and I know the family")
    assert answer.status_code == 303
    assert rivera.said(answer) == "Linked: the same child."
    assert road.child_of(note) == child
    page = text(rivera.get(f"/children/{child}").text)
    assert "A person decided: the same child" in page and "“Same school, and I know the family”" in page
    decided = rivera.get(f"/reviews/{review}").text
    assert "Test rivera decided today" in text(decided) and 'value="same:' not in decided
    undone = rivera.send(f"/reviews/{review}/undo")
    assert "Undone" in rivera.said(undone) and road.child_of(note) != child
    assert road.review_of(note).review_id == review


def test_a_candidate_is_ruled_out_and_stays_so(rivera: Browser, road: Road) -> None:
    child, review, _ = doubt(road)
    answer = decide(rivera, review, f"not_same:{child}")
    assert answer.headers["location"] == f"/reviews/{review}"
    page = rivera.get(f"/reviews/{review}").text
    assert "Test rivera said: not the same" in text(page) and f'value="not_same:{child}"' not in page
    refused = decide(rivera, review, f"same:{child}")
    assert refused.status_code == 404


@pytest.mark.parametrize(("decision", "standing"), [("new", "known"), ("cannot_tell", "awaiting_review")])
def test_a_new_child_or_no_decision_keeps_the_record(
    rivera: Browser, road: Road, decision: str, standing: str
) -> None:
    _, review, note = doubt(road)
    answer = decide(rivera, review, decision)
    assert answer.headers["location"] == "/reviews"
    assert road.standing_of(road.child_of(note)) == standing
    assert "1 decided today" in text(rivera.get("/reviews").text)


def test_two_people_at_once_the_second_is_told_and_changes_nothing(
    rivera: Browser, client: Client, road: Road
) -> None:
    child, review, note = doubt(road)
    hale = Browser(client, add_person(client, "hale"))
    rev = rev_of(rivera.get(f"/reviews/{review}").text)
    decide(hale, review, "new")
    late = rivera.send(f"/reviews/{review}/decision", decision=f"same:{child}", rev=rev)
    assert "Somebody else decided this" in rivera.said(late)
    assert road.child_of(note) != child


def test_a_decision_from_a_page_that_is_no_longer_true_is_not_taken(
    rivera: Browser, client: Client, road: Road
) -> None:
    child, review, note = doubt(road)
    hale = Browser(client, add_person(client, "hale"))
    rev = rev_of(rivera.get(f"/reviews/{review}").text)
    decide(hale, review, f"not_same:{child}")
    late = rivera.send(f"/reviews/{review}/decision", decision="new", rev=rev)
    assert "Somebody else decided this" in rivera.said(late)
    assert road.review_of(note).review_id == review  # still open


def test_the_next_review_follows_a_decision(rivera: Browser, road: Road) -> None:
    _, first, _ = doubt(road)
    road.passes(minutes=1)
    second = road.review_of(road.officer("lindqvist").writes(AMARA_VAGUE)).review_id
    answer = decide(rivera, first, "cannot_tell")
    assert answer.headers["location"] == f"/reviews/{second}"


@pytest.mark.parametrize(
    "decision", ["", "same", "same:", "same:x", "same:-1", "new:5", "merge:1", "same:" + "9" * 30]
)
def test_a_decision_that_no_page_offers_is_refused(rivera: Browser, road: Road, decision: str) -> None:
    _, review, _ = doubt(road)
    assert rivera.send(f"/reviews/{review}/decision", decision=decision).status_code == 400


def test_a_child_who_is_no_candidate_cannot_be_chosen(rivera: Browser, road: Road) -> None:
    _, review, note = doubt(road)
    other = road.child(AMARA_VAGUE, CAMDEN)
    before = road.child_of(note)
    assert decide(rivera, review, f"same:{other}").status_code == 404
    assert road.child_of(note) == before


def test_a_review_of_another_borough_is_not_there(rivera: Browser, road: Road) -> None:
    _, review, note = doubt(road, CAMDEN)
    before = road.child_of(note)
    shown, absent = rivera.get(f"/reviews/{review}"), rivera.get("/reviews/999999")
    assert shown.status_code == absent.status_code == 404 and text(shown.text) == text(absent.text)
    for path in ("decision", "undo"):
        one = rivera.send(f"/reviews/{review}/{path}", decision="new")
        two = rivera.send(f"/reviews/999999/{path}", decision="new")
        assert one.status_code == two.status_code == 404 and text(one.text) == text(two.text)
    assert road.child_of(note) == before
    assert "No link is in doubt" in text(rivera.get("/reviews").text)


def test_of_a_restricted_candidate_only_how_well_it_fits_is_shown(rivera: Browser, road: Road) -> None:
    _, review, _ = doubt(road, restricted=True)
    page = rivera.get(f"/reviews/{review}").text
    assert "Restricted record" in page and "withheld" in page
    assert "Coldharbour" not in page and "Okonkwo" not in page


def test_the_list_says_what_is_at_stake_and_shows_the_clock(rivera: Browser, road: Road) -> None:
    doubt(road)
    road.officer("lindqvist").writes(AMARA_VAGUE, danger_now=True)
    page = rivera.get("/reviews").text
    said = text(page)
    assert said.index("In danger now") < said.index("Waiting for") and "min left" in said
    assert page.index("alert--red") < page.index("alert--green")
    assert "waited longer" not in said and "identifiable subject" not in said  # a supervisor's business


def test_a_supervisor_sees_how_much_waits_too_long_and_how_much_is_left_to_a_person(
    client: Client, road: Road
) -> None:
    sergeant = Browser(client, add_person(client, "whitfield", role="supervisor"))
    road.now -= 3 * 24 * 3_600_000
    doubt(road)
    road.officer("a").writes(AMARA)
    said = text(sergeant.get("/reviews").text)
    assert "1 review waited longer than the grade allows. The oldest since" in said
    assert "Of 1 identifiable subject of notes in the last 30 days, 0 (0.0 %) were left to a person." in said
    named = msgspec.structs.replace(
        AMARA_VAGUE, family_name="Okonkwo-Bright", school=None, phone="07700 900123"
    )
    road.officer("b").writes(named)
    page = sergeant.get("/reviews").text
    assert "figure--much" in page
    assert "1 (50.0 %) was left to a person. Too many: linkage should leave 15.0 % at most." in text(page)


def test_an_administrator_sees_the_share_of_the_whole_force_and_no_child(client: Client, road: Road) -> None:
    warden = Browser(client, add_person(client, "warden", role="administrator", borough=None))
    road.officer("a", CAMDEN).writes(AMARA)
    said = text(warden.get("/").text)
    assert "Of 1 identifiable subject of notes in the last 30 days, 0 (0.0 %) were left" in said
    assert "Amara" not in said


def test_the_first_sentence_says_why_it_was_not_linked_and_the_foot_by_which_model(
    rivera: Browser, road: Road
) -> None:
    _, review, _ = doubt(road)
    said = text(rivera.get(f"/reviews/{review}").text)
    assert said.index("Not linked: ") < said.index("by PC Okafor")
    assert "by model default-1-" in said and "against 1 known child." in said
    assert "read as stockwell park" in said and "read as born " in said
    assert "Not compared, since one side does not say: family name" in said


def test_a_candidate_ruled_out_says_so_and_one_button_takes_it_back(rivera: Browser, road: Road) -> None:
    child, review, _ = doubt(road)
    ruled = decide(rivera, review, f"not_same:{child}")
    assert rivera.said(ruled) == "Ruled out: not the same child."
    page = rivera.get(f"/reviews/{review}").text
    assert "Ruled out" in text(page) and f'value="same:{child}"' not in page
    back = rivera.send(f"/reviews/{review}/decision", decision=f"maybe_same:{child}")
    assert back.headers["location"] == f"/reviews/{review}"
    assert rivera.said(back) == "Undone: that child is a candidate again."
    page = rivera.get(f"/reviews/{review}").text
    assert "Ruled out" not in text(page) and f'value="same:{child}"' in page


def test_a_record_that_changed_since_shows_then_and_now(rivera: Browser, road: Road) -> None:
    child, review, _ = doubt(road)
    changed = road.child(msgspec.structs.replace(AMARA, given_names="Amarachi"))
    road.store.write_now(
        lambda tx: tx.execute(
            "UPDATE child SET details = (SELECT o.details FROM child o WHERE o.child_id = :other)"
            " WHERE child_id = :child",
            {"other": changed, "child": child},
        )
    )
    said = text(rivera.get(f"/reviews/{review}").text)
    assert "The record has changed since this was decided. Then " in said and "bits in all, now " in said
    assert re.search(r"now agrees, \+[0-9.]+: a short form of the same name", said)


def test_a_candidate_restricted_to_others_is_closed_and_nothing_of_it_is_told(
    client: Client, road: Road
) -> None:
    services = services_of(client)
    role = services.policy.roles["investigator"]
    bare = msgspec.structs.replace(role, permissions=role.permissions - {Permission.SEE_RESTRICTED})
    services.policy.roles["investigator"] = bare
    try:
        person = Browser(client, add_person(client, "novak"))
        child, review, _ = doubt(road, restricted=True)
        page = person.get(f"/reviews/{review}").text
    finally:
        services.policy.roles["investigator"] = role
    said = text(page)
    assert "This record is restricted, and not to you." in said
    assert f'value="same:{child}"' not in page and f"/children/{child}" not in page
    column = page[page.index('id="candidate-1"') : page.index('class="verdicts"')]
    assert not re.search(r"Agrees|Near|Differs|likely|bits|%|Household", text(column))
    assert "Okonkwo" not in page and "Coldharbour" not in page


def test_the_reviews_before_and_after_are_a_key_away(rivera: Browser, road: Road) -> None:
    _, first, _ = doubt(road)
    road.passes(minutes=1)
    second = road.review_of(road.officer("lindqvist").writes(AMARA_VAGUE)).review_id
    one, two = rivera.get(f"/reviews/{first}").text, rivera.get(f"/reviews/{second}").text
    assert f'href="/reviews/{second}" data-key="j"' in one and 'data-key="k"' not in one
    assert f'href="/reviews/{first}" data-key="k"' in two and 'data-key="j"' not in two


def test_the_chart_says_what_the_terminal_says(rivera: Browser, road: Road) -> None:
    road.child(AMARA)
    twin = msgspec.structs.replace(AMARA, given_names="Tobias")
    note = road.officer().writes(twin)
    review = road.review_of(note)
    [event] = road.store.read_now(lambda tx: links.history(tx, review.subject_id))
    decision = event.evidence
    assert decision is not None
    world = road.store.read_now(road.worlds.current)
    lines = in_words(explain(decision.candidates[0], world.decider.model, start=decision.start))
    assert any("put right by how often" in line for line in lines)
    page = rivera.get(f"/reviews/{review.review_id}").text
    described = re.search(r"<desc[^>]*>(.*?)</desc>", page, re.DOTALL)
    assert described is not None
    assert html.unescape(described[1]).strip() == " ".join(f"{line}." for line in lines)
    assert "put right by how often" in text(page[page.index('<table class="fall"') :])
