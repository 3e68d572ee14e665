"""`earlysign rules`, run as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.casework.pack import default_pack_text
from server.storage import open_store
from sync.vocabulary import Category
from tests.cli.kit import data_option, run
from tests.road import AMARA, JONAS, Road

STRICT = default_pack_text().replace('version = "default-1"', 'version = "strict"')
STRICT = STRICT.replace('knife = "amber"', 'knife = "red"')


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A server's folder with two children and a note about each; Amara is the first child."""
    folder = tmp_path / "data"
    assert run("migrate", *data_option(folder)).code == 0
    store = open_store(folder / "earlysign.db")
    road = Road(store)
    for subject in (AMARA, JONAS):
        road.child(subject)
        road.officer(f"pc-{subject.given_names}").writes(subject, category=Category.KNIFE)
    store.close_now()
    return folder


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    path = tmp_path / "strict.toml"
    path.write_text(STRICT, encoding="utf-8")
    return path


def test_check_says_the_version_or_the_line(tmp_path: Path, strict: Path) -> None:
    assert "Version default-1+" in run("rules", "check").out
    assert "Version strict+" in run("rules", "check", str(strict)).out
    strict.write_text(STRICT.replace("under_years = 10", "under_years = 99"), encoding="utf-8")
    wrong = run("rules", "check", str(strict))
    assert wrong.code == 1 and "on line" in wrong.err and "under_years" in wrong.err
    strict.write_text(STRICT.replace('role = "duty_inspector"', 'role = "mayor"'), encoding="utf-8")
    assert "`mayor` is not a role" in run("rules", "check", str(strict)).err
    strict.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in run("rules", "check", str(strict)).err
    assert "Traceback" not in run("rules", "check", str(tmp_path / "nowhere.toml")).err


def test_reload_puts_a_pack_in_force_and_show_says_who_did(data: Path, strict: Path) -> None:
    first = run("rules", "show", *data_option(data))
    assert "the pack that ships" in first.out and "missing_repeat" in first.out
    changed = run("rules", "reload", str(strict), *data_option(data))
    assert changed.code == 0 and "strict+" in changed.out and "default-1+" in changed.out
    shown = run("rules", "show", *data_option(data)).out
    assert "In force: strict+" in shown and "by command:" in shown
    assert "4 working h" in shown
    strict.write_text("version = 1", encoding="utf-8")
    refused = run("rules", "reload", str(strict), *data_option(data))
    assert refused.code == 1
    assert "In force: strict+" in run("rules", "show", *data_option(data)).out
    run("rules", "reload", *data_option(data))
    assert "In force: default-1+" in run("rules", "show", *data_option(data)).out


def test_replay_counts_and_names_nobody(data: Path, strict: Path) -> None:
    found = run("rules", "replay", "--since", "2025-01-01", "--pack", str(strict), *data_option(data))
    assert found.code == 0, found.err
    assert "2 children, 2 changes" in " ".join(found.out.split())
    assert "regraded" in found.out and "1, 2" in found.out
    assert "Amara" not in found.out + found.err
    nothing = run("rules", "replay", "--since", "2025-01-01", *data_option(data))
    assert "2 children, 0 changes" in " ".join(nothing.out.split())
    wrong = run("rules", "replay", "--since", "spring", *data_option(data))
    assert wrong.code == 1 and "not a day" in wrong.err


def test_explain_says_each_flag_and_names_nobody(data: Path, strict: Path) -> None:
    said = run("rules", "explain", "1", *data_option(data)).out
    assert "New concern: knife (amber)" in said and "rule concern of default-1+" in said
    assert "say the same" in said and "Amara" not in said
    run("rules", "reload", str(strict), *data_option(data))
    assert "(red) would be regraded" in run("rules", "explain", "1", *data_option(data)).out
    assert run("rules", "explain", "999", *data_option(data)).code == 1
