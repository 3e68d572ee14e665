"""The file of other systems: each with an address, a key, and what it hears of; a mistake is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.alerts.ways import channels_of, open_ways
from server.alerts.webhooks import WebhooksError, load_webhooks
from server.settings import load_settings
from sync.vocabulary import Grade
from tests.alerts.receiver import SECRET
from tests.road import CAMDEN, LAMBETH, SOUTHWARK

GOOD = f"""
[webhooks.mash]
url = "https://mash.example/alerts"
secret = "{SECRET}"
boroughs = ["{LAMBETH}", "{SOUTHWARK}"]
grades = ["red", "amber"]

[webhooks.connect]
url = "http://127.0.0.1:9000"
secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "webhooks.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_has_its_own_address_key_boroughs_and_grades(tmp_path: Path) -> None:
    found = load_webhooks(written(tmp_path, GOOD))
    mash, connect = found["mash"], found["connect"]
    assert mash.hears([LAMBETH], [Grade.RED])
    assert mash.hears([CAMDEN, SOUTHWARK], [Grade.GREEN, Grade.AMBER]), "one of each is enough"
    assert not mash.hears([CAMDEN], [Grade.RED])
    assert not mash.hears([LAMBETH], [Grade.GREEN])
    assert connect.hears([CAMDEN], [Grade.BLUE])
    assert load_webhooks(None) == {}


def test_the_settings_open_a_channel_for_each(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    settings = load_settings({"EARLYSIGN_WEBHOOKS": str(path), "EARLYSIGN_SMTP_HOST": "mail.example",
                              "EARLYSIGN_SMTP_SENDER": "alerts@force.example"})  # fmt: skip
    names = ("push", "mail", "webhook:mash", "webhook:connect")
    assert open_ways(settings) == names
    assert tuple(way.name for way in channels_of(settings, bytes(32))) == names


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("https://mash", "http://mash", "line 3: webhooks.mash.url: begin with https"),
        ("http://127.0.0.1:9000", "ftp://127.0.0.1", "line 9: webhooks.connect.url: begin with https"),
        (f'"{SECRET}"', '"whsec_c2hvcnQ="', "line 4: webhooks.mash.secret: give 24 to 64 bytes"),
        (f'"{SECRET}"', '"not base64, sorry"', "line 4: webhooks.mash.secret: give 24 to 64 bytes"),
        ('"amber"]', '"purple"]', "line 6"),
        ("boroughs =", "borough =", "borough"),
        ("[webhooks.mash]", '[webhooks."Mash!"]', "webhooks"),
        ("[webhooks.mash]", "[webhooks.mash", "not valid TOML"),
        (f'secret = "{SECRET}"\n', "", "secret"),
    ],
)
def test_a_mistake_is_named_and_the_key_is_not_repeated(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    with pytest.raises(WebhooksError, match=says) as caught:
        load_webhooks(written(tmp_path, GOOD.replace(old, new, 1)))
    assert SECRET not in str(caught.value) and "not base64, sorry" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(WebhooksError, match=r"missing.toml cannot be read: FileNotFoundError"):
        load_webhooks(tmp_path / "missing.toml")
