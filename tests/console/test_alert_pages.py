"""The queue by its doors: who sees what, filters, acknowledging, handing over."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from server.alerts.channels import Message
from server.alerts.wording import DIGEST, link_of
from sync.note import Subject
from sync.vocabulary import Category
from tests.console.kit import Browser, stranger, text, titles
from tests.http.kit import Client, add_person
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, SOUTHWARK, Road, at

DECIDED: dict[str, Any] = {"decision": "Strategy discussion held today", "outcome": "strategy_discussion"}
HX = {"hx-request": "true"}


def alert_on(road: Road, subject: Subject = AMARA, home: str = LAMBETH, **body: object) -> tuple[int, int]:
    """(child, open alert) after a note about a known child of that borough."""
    child = road.child(subject, home)
    road.officer("okafor", home).writes(subject, **body)
    return child, road.alerts_of(child, "open")[-1].alert_id


def rev_of(page: str, alert_id: int) -> str:
    found = re.search(rf'action="/alerts/{alert_id}/acknowledge".*?name="rev" value="(\d+)"', page, re.S)
    assert found is not None
    return found[1]


def test_the_queue_says_why_who_and_how_long_and_names_nobody_in_title_or_address(
    rivera: Browser, road: Road
) -> None:
    child, alert = alert_on(road, danger_now=True)
    page = rivera.get("/alerts")
    said = text(page.text)
    assert "Alerts in Lambeth" in said and "In danger now" in said
    assert "Amara" in said and "Nobody yet" in said and "left" in said
    assert "Okonkwo" not in said  # the family name is for the record, not for the list
    assert [title.split()[0] for title in titles(page.text)] == ["Alerts"]
    assert f'href="/children/{child}"' in page.text and f'id="alert-{alert}"' in page.text
    for name in ("Amara", "Okonkwo"):
        assert not re.search(rf'(?:href|action|hx-post)="[^"]*{name}', page.text)


def test_the_queue_holds_the_own_boroughs_and_copies_and_nothing_else(
    rivera: Browser, road: Road, client: Client
) -> None:
    _, mine = alert_on(road)
    _, theirs = alert_on(road, JONAS, CAMDEN)
    page = rivera.get("/alerts").text
    assert f"alert-{mine}" in page and f"alert-{theirs}" not in page and "Jonas" not in page
    camden = Browser(client, add_person(client, "lee", borough=CAMDEN))
    other = camden.get("/alerts").text
    assert f"alert-{theirs}" in other and f"alert-{mine}" not in other


def test_the_link_of_every_message_leads_to_the_alert_also_by_way_of_the_sign_in(
    rivera: Browser, road: Road, client: Client
) -> None:
    child, alert = alert_on(road)
    told = Message(
        message_id="m", alert_id=alert, borough=LAMBETH, grade="red", kind="raised", told=None, at=0
    )
    answer = rivera.get(link_of(told, ""))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/children/{child}#alert-{alert}")
    assert f'id="alert-{alert}"' in rivera.get(f"/children/{child}").text
    assert rivera.get(link_of(msgspec.structs.replace(told, kind=DIGEST), "")).status_code == 200
    asked = stranger(client, link_of(told, ""))
    assert asked.headers["location"] == f"/sign-in?next=%2Falerts%2F{alert}"


def test_what_one_may_not_see_answers_word_for_word_as_what_is_not_there(rivera: Browser, road: Road) -> None:
    child, alert = alert_on(road, JONAS, CAMDEN)
    pairs = [
        (f"/alerts/{alert}", "/alerts/999999"),
        (f"/alerts/{alert}/row", "/alerts/999999/row"),
        (f"/alerts/{alert}/hand-over", "/alerts/999999/hand-over"),
        (f"/children/{child}", "/children/999999"),
    ]
    for foreign, absent in pairs:
        first, second = rivera.get(foreign), rivera.get(absent)
        assert first.status_code == second.status_code == 404, foreign
        assert first.text.partition("data-now")[0] == second.text.partition("data-now")[0]
        assert text(first.text) == text(second.text)
    for foreign, absent in ((f"/alerts/{alert}", "/alerts/999999"), (f"/alerts/{2**70}", f"/alerts/{2**63}")):
        one = rivera.send(f"{foreign}/acknowledge", rev=1, here="/alerts")
        two = rivera.send(f"{absent}/acknowledge", rev=1, here="/alerts")
        assert one.status_code == two.status_code == 404
        assert text(one.text) == text(two.text)
    assert road.alerts_of(child, "open")


def test_filters_stand_in_the_address_and_unknown_ones_are_left_out(rivera: Browser, road: Road) -> None:
    _, red = alert_on(road, danger_now=True)
    _, green = alert_on(road, JONAS, category=Category.NEGLECT)
    assert f"alert-{green}" not in rivera.get("/alerts?grade=red").text
    both = rivera.get("/alerts?grade=red&grade=green").text
    assert f"alert-{green}" in both and f"alert-{red}" in both
    assert "Filtered: red or green" in text(both)
    assert "No alerts match red, owned by you" in text(rivera.get("/alerts?grade=red&owner=me").text)
    odd = rivera.get("/alerts?grade=purple&view=everything&owner=adeyemi&borough=E09000007")
    assert odd.status_code == 200 and f"alert-{red}" in odd.text
    assert f"alert-{red}" in rivera.get("/alerts?view=nobody").text
    assert f"alert-{red}" not in rivera.get("/alerts?view=mine").text
    assert f"alert-{red}" not in rivera.get("/alerts?view=closed").text


def test_the_rows_alone_come_where_the_header_asks_for_them(rivera: Browser, road: Road) -> None:
    _, alert = alert_on(road)
    part = rivera.get("/alerts", headers={"x-part": "rows"})
    assert part.text.lstrip().startswith('<div id="queue-rows"') and f"alert-{alert}" in part.text
    assert re.search(r'data-last-event-id="\d+-\d+"', part.text)
    row = rivera.get(f"/alerts/{alert}/row")
    assert row.text.lstrip().startswith("<li") and "Amara" in row.text


def test_acknowledging_by_form_leads_back_and_says_so_once(rivera: Browser, road: Road) -> None:
    child, alert = alert_on(road)
    rev = rev_of(rivera.get("/alerts").text, alert)
    answer = rivera.send(f"/alerts/{alert}/acknowledge", rev=rev, here="/alerts?grade=green")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?grade=green")
    assert rivera.said(answer).startswith("You have acknowledged the alert")
    assert "You have acknowledged" not in rivera.get("/alerts").text
    assert road.alerts_of(child)[-1].acknowledged_by == "rivera"


def test_acknowledging_with_htmx_answers_the_row_as_it_is_then(rivera: Browser, road: Road) -> None:
    _, alert = alert_on(road)
    rev = rev_of(rivera.get("/alerts").text, alert)
    answer = rivera.send(f"/alerts/{alert}/acknowledge", headers=HX, rev=rev, here="/alerts")
    assert answer.status_code == 200 and answer.text.lstrip().startswith("<li")
    assert "You Acknowledged today" in text(answer.text) and "met in time" in text(answer.text)
    assert "/acknowledge" not in answer.text


def test_an_alert_that_changed_meanwhile_is_not_acknowledged_but_shown_as_it_is(
    rivera: Browser, client: Client, road: Road
) -> None:
    child, alert = alert_on(road)
    rev = rev_of(rivera.get("/alerts").text, alert)
    add_person(client, "hale")
    rivera.send(f"/alerts/{alert}/hand-over", to="hale", reason="off duty", rev=rev)
    answer = rivera.send(f"/alerts/{alert}/acknowledge", headers=HX, rev=rev, here="/alerts")
    assert answer.status_code == 200 and "Test hale" in answer.text
    assert road.alerts_of(child, "open")
    plain = rivera.send(f"/alerts/{alert}/acknowledge", rev=rev, here="/alerts")
    assert "changed while you were looking" in rivera.said(plain)


def test_acknowledging_never_leads_elsewhere(rivera: Browser, road: Road) -> None:
    _, alert = alert_on(road)
    answer = rivera.send(f"/alerts/{alert}/acknowledge", rev=1, here="https://elsewhere.example/")
    assert answer.headers["location"] == "/alerts"


def test_a_role_that_only_looks_is_offered_nothing_to_do_and_can_do_nothing(
    client: Client, road: Road
) -> None:
    child, alert = alert_on(road)
    scrutiny = Browser(client, add_person(client, "quinn", role="scrutiny", borough=None))
    page = scrutiny.get("/alerts").text
    assert f"alert-{alert}" in page and "Acknowledge<" not in page and "hand-over" not in page
    assert scrutiny.send(f"/alerts/{alert}/acknowledge", rev=1).status_code == 403
    assert scrutiny.get("/reviews").status_code == 403
    assert road.alerts_of(child, "open")


def test_handing_over_needs_somebody_and_a_reason(rivera: Browser, client: Client, road: Road) -> None:
    child, alert = alert_on(road)
    add_person(client, "hale")
    add_person(client, "lee", borough=CAMDEN)
    form = rivera.get(f"/alerts/{alert}/hand-over")
    assert "Test hale" in form.text and "Test lee" not in form.text and "Test rivera, " not in form.text
    nobody = rivera.send(f"/alerts/{alert}/hand-over", to="", reason="off duty", rev=1)
    assert nobody.status_code == 422 and "Choose who takes" in nobody.text and "off duty" in nobody.text
    silent = rivera.send(f"/alerts/{alert}/hand-over", to="hale", reason=" ", rev=1)
    assert silent.status_code == 422 and "Say why" in silent.text
    foreign = rivera.send(f"/alerts/{alert}/hand-over", to="lee", reason="off duty", rev=1)
    assert foreign.status_code == 422 and "cannot take this alert" in foreign.text
    done = rivera.send(f"/alerts/{alert}/hand-over", to="hale", reason="off duty", rev=1)
    assert done.headers["location"] == "/alerts" and "Handed over" in rivera.said(done)
    assert road.alerts_of(child)[-1].owner == "hale"
    assert "Test hale Given to them, not acknowledged" in text(rivera.get("/alerts").text)


def test_an_answered_alert_is_closed_with_what_was_decided(rivera: Browser, road: Road) -> None:
    child, alert = alert_on(road)
    assert f"/alerts/{alert}/close" not in rivera.get("/alerts").text
    rivera.send(f"/alerts/{alert}/acknowledge", rev=1)
    assert f"/alerts/{alert}/close" in rivera.get("/alerts").text
    assert "Close this alert" in rivera.get(f"/alerts/{alert}/close").text
    short = rivera.send(f"/alerts/{alert}/close", decision="ok", rev=2)
    assert short.status_code == 422 and "Say what was decided" in short.text
    stale = rivera.send(
        f"/alerts/{alert}/close",
        decision="Strategy discussion held today",
        outcome="strategy_discussion",
        rev=1,
    )
    assert "changed while you were looking" in rivera.said(stale)
    done = rivera.send(
        f"/alerts/{alert}/close",
        decision="Strategy discussion held today",
        outcome="strategy_discussion",
        rev=2,
    )
    assert "The alert is closed" in rivera.said(done)
    assert "Closed today: Strategy discussion held today" in text(rivera.get("/alerts?view=closed").text)
    assert "Closed by Test rivera: Strategy discussion" in text(rivera.get(f"/children/{child}").text)


def test_an_alert_of_another_borough_cannot_be_closed_and_is_not_there(rivera: Browser, road: Road) -> None:
    child, alert = alert_on(road, JONAS, CAMDEN)
    one = rivera.send(f"/alerts/{alert}/close", **DECIDED)
    two = rivera.send("/alerts/999999/close", **DECIDED)
    assert one.status_code == two.status_code == 404 and text(one.text) == text(two.text)
    assert rivera.get(f"/alerts/{alert}/close").status_code == 404
    assert road.alerts_of(child, "open")


def test_a_duty_inspector_sees_boroughs_of_the_unit_by_name(client: Client, road: Road) -> None:
    alert_on(road)
    alert_on(road, JONAS, SOUTHWARK)
    grant = Browser(client, add_person(client, "grant", role="duty_inspector", borough=None, unit="AS"))
    said = text(grant.get("/alerts").text)
    assert "Lambeth" in said and "Southwark" in said and "Amara" in said and "Jonas" in said
    assert "Jonas" not in text(grant.get(f"/alerts?borough={LAMBETH}").text)


def test_an_empty_queue_says_when_the_last_note_came(rivera: Browser, road: Road) -> None:
    assert "No note has come yet" in text(rivera.get("/alerts").text)
    alert_on(road, JONAS, CAMDEN)
    assert "The last note came today" in text(rivera.get("/alerts").text)


def test_a_restricted_child_has_no_name_in_the_queue(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA, restricted=True)
    road.officer().writes(AMARA)
    holding = road.rows("SELECT child_id FROM alert")[0][0]
    assert holding != child  # never linked without a person
    review = road.rows("SELECT review_id FROM review")[0][0]
    answer = rivera.send(f"/reviews/{review}/decision", decision=f"same:{child}")
    assert answer.status_code == 303
    for view in ("open", "closed"):
        page = rivera.get(f"/alerts?view={view}").text
        assert "Amara" not in page, view
    assert "Restricted record" in rivera.get("/alerts").text
    # The record that waited tells of the restricted one now: a reason is asked for before it leads there.
    asked = rivera.get(f"/children/{holding}")
    assert "Amara" not in asked.text and 'name="reason"' in asked.text
    led = rivera.send(f"/children/{holding}", reason="On call tonight, asked by the supervisor")
    assert led.headers["location"] == f"/children/{child}"
    assert "Amara" not in rivera.get(f"/children/{child}").text
    assert road.alerts_of(child, "open")


def test_a_grade_is_given_by_form_and_stands_in_the_story(
    rivera: Browser, client: Client, road: Road
) -> None:
    child, alert = alert_on(road)
    assert f'href="/alerts/{alert}/grade"' in rivera.get("/alerts").text
    form = rivera.get(f"/alerts/{alert}/grade")
    assert form.status_code == 200 and "The rules propose green" in text(form.text)
    assert "1 note, 1 event" in text(form.text) and road.body(AMARA).saw_or_heard in text(form.text)
    path = f"/alerts/{alert}/grade"
    short = rivera.send(path, rev=1, grade="red", rationale="because")
    assert short.status_code == 422 and "needs a rationale" in text(short.text)
    assert 'value="red" checked' in short.text and ">because</textarea>" in short.text
    assert rivera.send(path, rev=1, grade="purple", rationale="Her aunt says so").status_code == 422
    done = rivera.send(path, rev=1, grade="red", rationale="Her aunt saw the injuries")
    assert (done.status_code, done.headers["location"]) == (303, "/alerts")
    assert rivera.said(done).startswith("Graded")
    late = rivera.send(path, rev=1, grade="amber", rationale="Seen by the school nurse")
    assert rivera.said(late).startswith("This alert changed")
    lower = rivera.send(path, rev=2, grade="amber", rationale="Seen by the school nurse")
    assert lower.status_code == 422 and "Only a supervisor lowers a grade" in text(lower.text)
    boss = Browser(client, add_person(client, "boss", role="supervisor", borough=LAMBETH))
    assert boss.send(path, rev=2, grade="amber", rationale="Seen by the school nurse").status_code == 303
    said = text(boss.get(f"/children/{child}").text)
    assert "It was red: a supervisor lowered it." in said
    assert "Grade changed from green to red by" in said and "“Her aunt saw the injuries”" in said
    assert "Grade changed from red to amber by" in said and "“Seen by the school nurse”" in said


def test_the_notes_of_a_restricted_record_stand_beside_no_form(rivera: Browser, road: Road) -> None:
    child, alert = alert_on(road)
    road.store.write_now(
        lambda tx: tx.execute("UPDATE child SET restricted = 1 WHERE child_id = :c", {"c": child})
    )
    form = text(rivera.get(f"/alerts/{alert}/grade").text)
    assert "restricted and asks for a reason" in form and road.body(AMARA).saw_or_heard not in form


def test_another_boroughs_alert_has_no_grade_form(rivera: Browser, road: Road) -> None:
    _, alert = alert_on(road, JONAS, CAMDEN)
    assert rivera.get(f"/alerts/{alert}/grade").status_code == 404
    sent = rivera.send(f"/alerts/{alert}/grade", rev=1, grade="red", rationale="Her aunt saw the injuries")
    assert sent.status_code == 404


def test_a_clock_of_its_own_stands_beside_the_grades(rivera: Browser, road: Road) -> None:
    child, _ = alert_on(road, police_protection_from=at(road.now - 3_600_000))
    said = text(rivera.get("/alerts").text)
    assert "In police protection, which ends by" in said and "Police protection ends" in said
    record = text(rivera.get(f"/children/{child}").text)
    assert "Police protection from" in record


def test_whoever_was_told_reads_that_there_is_less(rivera: Browser, road: Road) -> None:
    child = road.child(AMARA)
    officer = road.officer()
    wrong = officer.writes(AMARA, danger_now=True)
    officer.writes(AMARA, category=Category.KNIFE)
    officer.sends(officer.withdrawal(wrong))
    said = text(rivera.get(f"/children/{child}").text)
    assert "that part of it does not hold any more" in said
    assert "In danger now" not in said.partition("The story")[0]
