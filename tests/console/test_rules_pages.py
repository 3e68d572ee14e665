"""The administrator's page of rules: what is in force; a changed pack checked, tried on past notes, put in force."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from server.app import create_app
from server.casework.pack import default_pack, default_pack_text
from server.settings import Settings
from tests.console.kit import Browser, text
from tests.http.kit import Client, add_person
from tests.road import AMARA, LAMBETH, Road


@pytest.fixture
def admin(client: Client) -> Browser:
    return Browser(client, add_person(client, "root", role="administrator", borough=None))


def test_the_rules_in_force_are_shown_with_their_clocks(admin: Browser) -> None:
    words = text(admin.get("/rules").text)
    pack = default_pack()
    assert f"In force: {pack.version}" in words and "None was put in force here" in words
    for rule in pack.rules:
        assert rule.name in words
    assert all(preset.label in words for preset in pack.clocks.presets.values())


def test_a_mistake_is_said_with_its_line_and_nothing_is_lost_of_what_was_typed(
    admin: Browser, road: Road
) -> None:
    wrong = default_pack_text().replace("at_least", "at_leest", 1)
    answer = admin.send("/rules", pack=wrong, do="put")
    words = text(answer.text)
    assert answer.status_code == 422 and "These rules cannot be used" in words and "line" in words
    assert "at_leest" in answer.text and road.count("in_force") == 0


def test_a_pack_is_tried_on_past_notes_and_changes_nothing(admin: Browser, road: Road) -> None:
    road.officer("okafor", LAMBETH).writes(AMARA, danger_now=True)
    before = road.rows("SELECT rule, grade FROM flag ORDER BY flag_id")
    fewer = without_danger(default_pack_text())
    words = text(admin.send("/rules", pack=fewer, do="try").text)
    assert "was tried, and is not in force" in words and "dropped" in words and "On 1 child" in words
    assert road.rows("SELECT rule, grade FROM flag ORDER BY flag_id") == before
    assert road.count("in_force") == 0
    assert ("root",) in road.rows("SELECT actor_id FROM audit_entry WHERE reason = 'rules replay'")
    assert "no flag would change" in text(admin.send("/rules", pack=default_pack_text(), do="try").text)


def test_a_pack_is_put_in_force_and_the_next_note_is_judged_by_it(admin: Browser, road: Road) -> None:
    fewer = without_danger(default_pack_text())
    assert "In force" in admin.said(admin.send("/rules", pack=fewer, do="put"))
    words = text(admin.get("/rules").text)
    assert "by root" in words
    road.officer("okafor", LAMBETH).writes(AMARA, danger_now=True)
    assert "danger_now" not in {rule for (rule,) in road.rows("SELECT rule FROM flag")}


def test_the_page_opens_also_where_the_file_of_the_rules_has_gone(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(default_pack_text(), encoding="utf-8")
    with TestClient(create_app(msgspec.structs.replace(settings, rules=file))) as running:
        admin = Browser(running, add_person(running, "root", role="administrator", borough=None))
        assert "danger_now" in admin.get("/rules").text
        file.unlink()
        page = admin.get("/rules")
        assert page.status_code == 200 and default_pack().version in page.text


def test_others_have_no_such_page(client: Client) -> None:
    desk = Browser(client, add_person(client, "rivera", role="investigator", borough=LAMBETH))
    assert desk.get("/rules").status_code in (403, 404)
    assert desk.send("/rules", pack=default_pack_text(), do="put").status_code in (403, 404)


def without_danger(pack: str) -> str:
    """The pack without its rule of danger now."""
    head, *rules = pack.split("[[rules]]")
    kept = [rule for rule in rules if 'name = "danger_now"' not in rule]
    assert len(kept) == len(rules) - 1
    return "[[rules]]".join([head, *kept])
