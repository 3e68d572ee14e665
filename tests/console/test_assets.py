"""What is vendored: locked, addressless, crownless, licensed."""

import json
import re

import pytest

from server.console import assets

LOCK = assets.SOURCES / "package-lock.json"


def test_the_lock_holds_digests_and_no_registry_address() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
    assert "registry" not in LOCK.read_text()


def test_the_stamp_changes_with_any_input(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = assets.stamp()
    files = assets.inputs()
    assert any(path.name == "console.scss" for path in files) and any(
        path.name == "assets.py" for path in files
    )
    monkeypatch.setattr(assets, "inputs", lambda: files[1:])
    assert assets.stamp() != before


@pytest.mark.skipif(not assets.up_to_date(), reason="not built: python -m server.console.assets")
def test_everything_named_is_built_with_no_crown_no_font_and_no_other_host() -> None:
    for name in (assets.CONSOLE_CSS, assets.GOVUK_JS, assets.HTMX_JS, assets.SWAGGER_JS, assets.SWAGGER_CSS):
        assert (assets.STATIC / name).stat().st_size > 1000
    css = (assets.STATIC / assets.CONSOLE_CSS).read_text()
    assert "GDS Transport" not in css and "@font-face" not in css
    assert not re.search(r"url\(", css)
    licences = {path.name for path in (assets.VENDOR / "licences").iterdir()}
    assert {"govuk-frontend.txt", "htmx.txt", "ministryofjustice-frontend.txt", "swagger-ui.txt"} <= licences
    assert not assets.build()
