"""Settings: read once, checked, and every one of them documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.settings import (
    Settings,
    SettingsError,
    describe,
    load_settings,
    settings_table,
    variable_of,
)

README = Path(__file__).parent.parent / "README.md"


def test_every_setting_is_documented() -> None:
    rows = describe()
    assert {row.variable for row in rows} == {variable_of(name) for name in Settings.__struct_fields__}
    for row in rows:
        assert len(row.description) > 12 and row.description.endswith("."), row.variable
        assert row.kind, row.variable
        assert f"`{row.variable}`" in settings_table()


def test_the_readme_has_the_table_as_it_is() -> None:
    """`earlysign doctor --settings` prints what belongs there."""
    text = README.read_text(encoding="utf-8")
    assert settings_table() in text


def test_nothing_set_gives_the_embedded_default() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.uses_sqlite and settings.migrates_on_start and not settings.behind_tls
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.sqlite_path.name == "earlysign.db"


def test_the_environment_is_read_and_options_stand_above_it(tmp_path: Path) -> None:
    environment = {
        "EARLYSIGN_PORT": "9001",
        "EARLYSIGN_JOBS": "no",
        "EARLYSIGN_DATA": str(tmp_path),
        "PATH": "x",
    }
    settings = load_settings(environment, port=9002, host=None)
    assert (settings.port, settings.jobs, settings.data, settings.host) == (
        9002,
        False,
        tmp_path,
        "127.0.0.1",
    )


def test_an_empty_variable_means_the_default() -> None:
    assert load_settings({"EARLYSIGN_PORT": " ", "EARLYSIGN_POLICY": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("EARLYSIGN_PORT", "many", "whole number"),
        ("EARLYSIGN_PORT", "70000", "65535"),
        ("EARLYSIGN_JOBS", "perhaps", "yes or no"),
        ("EARLYSIGN_LOG_LEVEL", "loud", "EARLYSIGN_LOG_LEVEL"),
        ("EARLYSIGN_PUBLIC_URL", "earlysign.example", "https://"),
        ("EARLYSIGN_DATABASE", "mysql://x", "postgresql://"),
        ("EARLYSIGN_SECRET", "abc", "64 hexadecimal"),
        ("EARLYSIGN_POLICY", "/nowhere/policy.toml", "does not exist"),
        ("EARLYSIGN_BOROUGHS", "/nowhere/boroughs.toml", "does not exist"),
        ("EARLYSIGN_PROT", "8000", "not a setting"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_to_write(variable: str, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load_settings({variable: text})
    assert variable in str(caught.value)


def test_the_phones_program_and_the_tests_have_variables_of_their_own() -> None:
    load_settings({"EARLYSIGN_DEVICE_HOME": "/x", "EARLYSIGN_TEST_POSTGRESQL": "y"})


def test_audiences_are_the_public_address_and_on_this_machine_its_other_names() -> None:
    public = load_settings({"EARLYSIGN_PUBLIC_URL": "https://es.example/"})
    assert public.base_url == "https://es.example"
    assert public.audiences == {"https://es.example", "https://es.example/api/devices/token"}
    assert "http://localhost:8000" in Settings().audiences
    assert "http://localhost:8000" not in Settings(host="10.0.0.4").audiences


def test_postgresql_is_not_migrated_unless_asked() -> None:
    assert not load_settings({"EARLYSIGN_DATABASE": "postgresql://x/y"}).migrates_on_start
    both = {"EARLYSIGN_DATABASE": "postgresql://x/y", "EARLYSIGN_MIGRATE_ON_START": "yes"}
    assert load_settings(both).migrates_on_start
