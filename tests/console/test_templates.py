"""Every template renders, says what it must at a glance, and keeps names out of titles and addresses."""

import html
import re

import pytest

from server.console import assets, render
from server.console.views import QueueRow, View
from server.console.views_child import NoteEntry
from server.console.words import MINUS
from tests.console import (
    samples,
    samples_administration,
    samples_child,
    samples_over,
    samples_queue,
    samples_review,
)

pytestmark = pytest.mark.skipif(
    not assets.up_to_date(), reason="the console's assets are not built: python -m server.console.assets"
)

PAGES = {
    "queue.html": samples_queue.queue(),
    "child.html": samples_child.child(),
    "review.html": samples_review.review(),
    "reviews.html": samples_review.reviews(),
    "same.html": samples_review.same(error="Say why, in a few words."),
    "pair.html": samples_review.pair(),
    "pairs.html": samples_review.pairs(),
    "search.html": samples.search(),
    "phones.html": samples_administration.phones(),
    "quarantine.html": samples_administration.quarantine("Say in a sentence why it is not released."),
    "people.html": samples_administration.people("That username is taken."),
    "rules.html": samples_administration.rules("version: line 1: missing."),
    "sign_in.html": samples.sign_in("The user name or the password is wrong."),
    "home.html": samples.home(),
    "error.html": samples.error(),
    "hand_over.html": samples_queue.hand_over("Choose who is to have it."),
    "grade.html": samples_child.grade("A grade needs a rationale."),
    "close.html": samples_queue.close("Say what was decided, in a sentence."),
    "telling.html": samples.telling("address", "Give an e-mail address."),
    "undelivered.html": samples.undelivered(),
    "password.html": samples.password("new", "A password needs at least 12 characters."),
    "restricted.html": samples.restricted("Say a little more: at least 8 characters."),
    **samples_over.PAGES,
}


def rendered(template: str, view: View | None = None) -> str:
    return render.page(template, samples.shell(), view or PAGES[template])


def text(page: str) -> str:
    """What a person reads, in one line."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


def test_no_template_is_left_out() -> None:
    assert set(PAGES) == {path.name for path in (assets.ROOM / "templates").glob("*.html")} - {"base.html"}


@pytest.mark.parametrize("template", PAGES)
def test_every_page_is_marked_and_has_nothing_inline(template: str) -> None:
    page = rendered(template)
    assert page.count("OFFICIAL-SENSITIVE") == 2
    assert not re.search(r'\sstyle="|\son\w+="|<style', page)
    assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", page))
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)


@pytest.mark.parametrize("template", PAGES)
def test_no_title_or_address_names_anybody(template: str) -> None:
    page = rendered(template)
    title = re.search(r"<title>(.*?)</title>", page, re.S)
    assert title is not None
    addresses = " ".join(re.findall(r'(?:href|src|action|hx-\w+)="([^"]*)"', page))
    for name in ("Amira", "Hassan", "Okafor", "Jayden", "Tyrell", "Zofia", "Adeyemi"):
        assert name not in title.group(1)
        assert name not in addresses


@pytest.mark.parametrize("template", PAGES)
def test_every_form_that_changes_something_carries_the_token(template: str) -> None:
    forms = re.findall(r'<form\b[^>]*method="post".*?</form>', rendered(template), re.S)
    assert all('name="_csrf_token" value="a-token"' in form for form in forms)


@pytest.mark.parametrize("template", PAGES)
def test_headings_do_not_skip_a_level(template: str) -> None:
    main = re.search(r"<main\b.*</main>", rendered(template), re.S)
    assert main is not None
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", main.group())]
    first = levels.index(1)
    for before, after in zip(levels[first:], levels[first + 1 :], strict=False):
        assert after <= before + 1, levels


@pytest.mark.parametrize("template", PAGES)
def test_no_id_is_used_twice(template: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', rendered(template))
    assert len(ids) == len(set(ids))


def test_a_queue_row_says_grade_clock_why_child_owner_and_state() -> None:
    said = text(rendered("queue.html"))
    for words in (
        "Red late by 2 h 10 min",
        "Third missing episode in 90 days; two officers, two wards",
        "Amira , 14",
        "Nobody yet",
        "Escalated, waits for the BCU duty inspector until",
        "37 min left",
        "late by 9 h when it arrived",
        "no clock",
        "Acknowledged today 13:15",
    ):
        assert words in said, words


def test_an_empty_queue_says_when_the_last_note_came() -> None:
    said = text(rendered("queue.html", samples_queue.queue(empty=True)))
    assert "Nothing is waiting. The last note came today 13:53 (12 minutes ago)" in said
    assert "No alerts match red." in text(
        rendered("queue.html", samples_queue.queue(empty=True, narrowed="red"))
    )


def test_acknowledge_works_without_javascript_and_is_offered_only_where_allowed() -> None:
    page = rendered("queue.html")
    assert page.count('action="/alerts/41/acknowledge"') == 1
    assert 'action="/alerts/37/acknowledge"' not in page


def test_a_single_row_can_be_rendered_alone() -> None:
    row = samples_queue.rows()[0]
    part = render.part("parts/queue_row.html", samples.shell(), row).strip()
    assert part.startswith("<li") and part.endswith("</li>") and 'id="alert-41"' in part


def test_the_child_page_has_its_parts_in_order() -> None:
    said = text(rendered("child.html"))
    order = ["Amira Hassan", "What is live", "Uncertain:", "The story", "People and places", "Who has looked"]
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_the_story_keeps_facts_apart_sets_the_childs_words_off_and_explains_links() -> None:
    page = rendered("child.html")
    said = text(page)
    assert "Saw or heard Amira was with two men" in said
    assert "s assessment, not fact I think she is being made to carry" in said
    assert '<blockquote class="voice">' in page
    assert "Seen Today 04:35 (9 hours ago)" in said and "Written Today 04:55" in said
    assert "Received Today 09:55" in said
    assert "Linked automatically, 99.97 %, why?" in said
    assert "day and month swapped" in said
    assert "Nobody acknowledged in 15 minutes: told Sgt Whitfield, supervisor" in said
    assert 'href="#note-5b1e"' in page and 'id="note-5b1e"' in page


def test_a_child_of_whom_nothing_is_known_still_has_a_page() -> None:
    bare = samples_child.child(live=(), live_reviews=(), story=(), facts=(), people=(), places=(), looks=())
    said = text(rendered("child.html", bare))
    assert "No open alert." in said and "Nothing has been recorded about this child yet." in said
    assert "Nobody before you." in said


def test_the_review_shows_each_field_with_its_verdict_weight_and_the_household_in_words() -> None:
    page = rendered("review.html")
    said = text(page)
    for words in ("61 % likely", "Near +3.9 a short form", f"Differs {MINUS}3.2", "could be a brother"):
        assert words in said, words
    for value in ("same:201", "not_same:201", "same:209", "new", "cannot_tell"):
        assert f'value="{value}"' in page
    assert "number for the same child" in said
    assert "read as Jay" in said and f"a common name: counts less ({MINUS}1.2)" in said
    assert "Not used by linkage Description: Red jacket, thin moustache" in said


def test_a_decided_review_offers_undo_and_no_decision() -> None:
    page = rendered(
        "review.html", samples_review.review(decided="You decided: the same child.", can_undo=True)
    )
    assert 'action="/reviews/5/undo"' in page
    assert 'name="decision"' not in page


def test_what_an_officer_wrote_is_escaped() -> None:
    row = samples_queue.rows()[0]
    nasty = QueueRow(
        alert_id=1,
        grade="red",
        raised_at=row.raised_at,
        deadline_at=None,
        child_id=1,
        why="<script>alert(1)</script>",
        child_name='"><img src=x onerror=alert(1)>',
    )
    note = NoteEntry(
        note_id="n",
        observed_at=1,
        recorded_at=1,
        received_at=1,
        title="Other",
        author="PC <b>",
        facts="<img src=x onerror=alert(1)>",
        voice="{{ 7 * 7 }}",
    )
    page = rendered("child.html", samples_child.child(live=(nasty,), story=(note,)))
    assert "<script>alert" not in page and "<img" not in page and "PC <b>" not in page
    assert "{{ 7 * 7 }}" in page


def test_sign_in_says_what_is_wrong_and_keeps_the_user_name_only() -> None:
    page = rendered("sign_in.html")
    assert 'value="ruth.adeyemi"' in page
    assert not re.search(r'type="password"[^>]*value=', page)


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = render.CONTENT_SECURITY_POLICY
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
