"""Scrutiny by its pages: announce, draw, review, and the log of who did what."""

from __future__ import annotations

from typing import Any

import pytest

from server.records import sampling
from tests.console.kit import Browser, text
from tests.console.test_alert_pages import alert_on
from tests.http.kit import Client, add_person, services_of
from tests.road import Road, somebody


@pytest.fixture
def quill(client: Client) -> Browser:
    return Browser(client, add_person(client, "quill", role="scrutiny", borough=None))


def test_a_sample_is_announced_and_cannot_be_drawn_before_its_window_ends(quill: Browser) -> None:
    form: dict[str, Any] = {"closed_from": "2026-01-01", "closed_to": "2199-01-01", "most": "2"}
    short = quill.send("/scrutiny", **form, source="x")
    assert short.status_code == 422 and "Say which public value" in short.text
    assert "Give a number" in quill.send("/scrutiny", **form | {"most": "99"}, source="The lottery").text
    assert (
        "first and the last day"
        in quill.send("/scrutiny", **form | {"closed_to": "soon"}, source="The lottery").text
    )
    assert "Announced" in quill.said(quill.send("/scrutiny", **form, source="The lottery of 5 December"))
    page = text(quill.get("/scrutiny/1").text)
    assert "published when the sample is drawn" in page and "once its last day is over" in page
    assert "its window has not ended" in quill.send("/scrutiny/1", value="7").text


def test_a_case_of_a_sample_is_reviewed_with_outcome_and_words(
    quill: Browser, rivera: Browser, road: Road, client: Client
) -> None:
    _, alert = alert_on(road)
    rivera.send(f"/alerts/{alert}/close", decision="Spoken to the school", outcome="no_further_action")
    services_of(client).store.write_now(
        lambda tx: sampling.announce(
            tx, somebody("quill", "scrutiny", None), secret="ab" * 32, closed_from=0, closed_before=road.now + 1,
            per_stratum=1, public_source="The lottery", now=road.now,
        )
    )  # fmt: skip
    services_of(client).store.write_now(
        lambda tx: tx.execute("UPDATE alert SET closed_at = :at", {"at": road.now})
    )
    assert "Give the public value" in quill.send("/scrutiny/1", value="").text
    assert "Drawn" in quill.said(quill.send("/scrutiny/1", value="7 11 13"))
    where = f"/scrutiny/1/{alert}"
    assert "Cases like this one" in text(quill.get(where).text)
    wrong = quill.send(where, outcome="", words="A long enough sentence")
    assert wrong.status_code == 422 and "Choose an outcome." in wrong.text
    quill.send(where, outcome="inadequate", words="The school was not asked about the sister")
    assert (
        "1 of 1 case reviewed" in text(quill.get("/scrutiny/1").text)
        and "Inadequate" in quill.get("/scrutiny/1").text
    )
    assert quill.get("/scrutiny/1/999").status_code == 404
    assert rivera.get("/scrutiny").status_code == 403


def test_the_log_says_who_looked_and_that_the_log_was_read(
    quill: Browser, rivera: Browser, road: Road
) -> None:
    child, _ = alert_on(road)
    rivera.get(f"/children/{child}")
    said = text(quill.get(f"/audit?kind=child&id={child}").text)
    assert "Test rivera consultation" in said
    assert "consultation child" in text(quill.get("/audit?kind=person&id=rivera").text)
    assert "consultation audit person:rivera" in text(quill.get("/audit?kind=person&id=quill").text)
    assert "There is no such person." in quill.get("/audit?kind=person&id=nobody").text
    assert quill.get("/audit?kind=child&id=abc").status_code == 200
    assert rivera.get("/audit").status_code == 403
