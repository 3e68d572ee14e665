"""Offering a duty to another borough and answering, telling another force, and a child's open case, by their pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.kit import Browser, text
from tests.console.test_alert_pages import alert_on
from tests.http.kit import Client, add_person
from tests.road import AMARA, SOUTHWARK, Road

WHY = "The child moved to an aunt in Peckham"
REASON = "On call tonight, asked by the duty inspector"


@pytest.fixture
def osei(client: Client) -> Browser:
    return Browser(client, add_person(client, "osei", borough=SOUTHWARK))


def test_an_alert_is_offered_and_accepted(rivera: Browser, osei: Browser, road: Road) -> None:
    child, alert = alert_on(road)
    assert f"/alerts/{alert}/transfer" in rivera.get("/alerts").text
    form = text(rivera.get(f"/alerts/{alert}/transfer").text)
    assert "It stays yours, and the clock runs here" in form and "Southwark" in form
    answer = rivera.send(f"/alerts/{alert}/transfer", to=SOUTHWARK, what="alert", reason=WHY)
    assert "It stays yours" in rivera.said(answer)
    mine, theirs = text(rivera.get("/alerts").text), text(osei.get("/alerts").text)
    for said in (mine, theirs):
        assert "Offered by Lambeth to Southwark" in said and "not theirs until they accept" in said
    assert WHY in text(osei.get("/transfers").text) and "Amara" in text(osei.get("/transfers").text)
    assert osei.said(osei.send("/transfers/1", answer="accepted")) == "Accepted. It is yours now."
    story = text(osei.get(f"/children/{child}").text)
    assert "Accepted by Test osei: now with Southwark, before with Lambeth" in story and WHY in story


def test_what_is_wrong_is_said_and_what_was_written_kept(rivera: Browser, osei: Browser, road: Road) -> None:
    _, alert = alert_on(road)
    answer = rivera.send(f"/alerts/{alert}/transfer", to="", reason=WHY)
    assert answer.status_code == 422 and "Choose a borough." in answer.text and WHY in answer.text
    assert "Say why" in rivera.send(f"/alerts/{alert}/transfer", to=SOUTHWARK, reason="x").text
    assert "Choose another borough." in rivera.send(f"/alerts/{alert}/transfer", to="E99", reason=WHY).text
    rivera.send(f"/alerts/{alert}/transfer", to=SOUTHWARK, what="child", reason=WHY)
    refused = osei.send("/transfers/1", answer="refused", reason="")
    assert refused.status_code == 422 and "Say why, in a few words." in refused.text
    assert rivera.send("/transfers/1", answer="accepted").status_code == 404
    assert osei.send("/transfers/9", answer="accepted").status_code == 404
    assert osei.send("/transfers/1", answer="eaten").status_code == 404
    assert "takes it" not in osei.get("/transfers").text
    assert "stays with those who offered it" in osei.said(
        osei.send("/transfers/1", answer="refused", reason="The aunt lives in Lambeth")
    )


def test_the_other_force_is_rung_before_the_alert_ends(rivera: Browser, client: Client, road: Road) -> None:
    gaffer = Browser(client, add_person(client, "gaffer", role="force_duty_officer", borough=None))
    _, alert = alert_on(road)
    rivera.send(f"/alerts/{alert}/transfer", to="other-force", reason=WHY)
    gaffer.send("/transfers/1", answer="accepted")
    assert "Write down first" in text(
        gaffer.send(f"/alerts/{alert}/close", decision="Kent has taken it over", outcome="other_force").text
    )
    where = f"/alerts/{alert}/other-force"
    assert rivera.get(where).status_code == 404
    wrong = gaffer.send(where, force="Kent Police", spoke_to="", said="They visit", minutes="5")
    assert wrong.status_code == 422 and "Say whom you spoke to." in wrong.text and "Kent Police" in wrong.text
    gaffer.send(where, force="Kent Police", spoke_to="Sgt 412", said="They visit tonight", minutes="5")
    assert "Test gaffer rang Sgt 412, Kent Police" in text(gaffer.get(where).text)


def test_a_case_has_a_lead_and_ends_with_a_reason(rivera: Browser, osei: Browser, road: Road) -> None:
    child, _ = alert_on(road)
    where = f"/children/{child}/case"
    assert "No open case" in text(rivera.get(f"/children/{child}").text)
    assert osei.get(where).status_code == 404
    assert "Say why" in rivera.send(where, what="open", lead="rivera", reason="").text
    assert (
        "Choose somebody" in rivera.send(where, what="open", lead="osei", reason="A long enough reason").text
    )
    assert "goes to the lead" in rivera.said(
        rivera.send(where, what="open", lead="rivera", reason="Section 47 enquiry opened")
    )
    assert "Open case: Test rivera, Lambeth" in text(rivera.get(f"/children/{child}").text)
    rivera.send(where, what="close", reason="Enquiry ended, early help")
    assert "Closed by Test rivera: Enquiry ended, early help" in text(rivera.get(where).text)


def test_the_case_of_a_restricted_child_is_opened_with_a_reason_and_says_nothing_before(
    rivera: Browser, road: Road
) -> None:
    where = f"/children/{road.child(AMARA, restricted=True)}/case"
    asked = rivera.get(where)
    assert "This record is restricted" in asked.text and "Open a case" not in asked.text
    opening: dict[str, Any] = {"what": "open", "lead": "rivera", "reason": "Section 47 enquiry opened"}
    assert rivera.send(where, **opening).status_code == 404
    shown = rivera.send(f"{where}/open", reason=REASON)
    assert "Open a case" in shown.text and REASON in shown.text
    assert rivera.send(where, **opening, access_reason=REASON).status_code == 303
    assert "Section 47" not in rivera.get(where).text
    assert "Section 47" in rivera.send(f"{where}/open", reason=REASON).text
