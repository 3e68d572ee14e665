"""Other systems that hear of alerts: each an address and a key of its own, in a TOML file (EARLYSIGN_WEBHOOKS).

[webhooks.mash]
url = "https://mash.example/alerts"
secret = "whsec_..."          # `openssl rand -base64 32` makes one
boroughs = ["E09000022"]      # left out: every borough
grades = ["red", "amber"]     # left out: every grade
"""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from server.casework.lines import WrongShape, on_line, read_toml
from server.settings import LOOPBACK
from sync.vocabulary import Grade

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Borough = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,20}$")]

SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
"""As the Standard Webhooks specification has it."""


class WebhooksError(Exception):
    """The file cannot be used; `str()` says which webhook, on which line, and why, and never repeats a key."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One other system, and of what it hears. Its channel is `webhook:` and its name."""

    url: str
    secret: str
    boroughs: tuple[Borough, ...] = ()
    grades: tuple[Grade, ...] = ()

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        """Whether a step that has to do with these boroughs, at these grades, is for it."""
        near = not self.boroughs or not set(self.boroughs).isdisjoint(boroughs)
        return near and (not self.grades or not set(self.grades).isdisjoint(grades))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    webhooks: dict[Name, Webhook] = {}


def load_webhooks(path: Path | None) -> dict[str, Webhook]:
    """The webhooks of a file by their names; none without one. Raises `WebhooksError`."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        found = read_toml(text, _File).webhooks
    except (OSError, UnicodeDecodeError) as error:
        raise WebhooksError(f"{path.name} cannot be read: {type(error).__name__}.") from None
    except tomllib.TOMLDecodeError as error:
        raise WebhooksError(f"{path.name} is not valid TOML: {error}.") from None
    except WrongShape as error:
        raise WebhooksError(f"{path.name} is wrong{error}.") from None
    for name, webhook in found.items():
        for key, why in (("url", _wrong_url(webhook.url)), ("secret", _wrong_secret(webhook.secret))):
            if why:
                where = on_line(text, ("webhooks", name, key))
                raise WebhooksError(f"{path.name} is wrong{where}: webhooks.{name}.{key}: {why}")
    return found


def _wrong_url(url: str) -> str | None:
    """A webhook goes over TLS, or stays on this machine."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return None if safe and parts.hostname else "begin with https:// (http:// only on this machine)."


def _wrong_secret(secret: str) -> str | None:
    """It is signed with a key that cannot be guessed."""
    text = secret.removeprefix("whsec_")
    try:
        length = len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:
        length = 0
    if SECRET_BYTES_MIN <= length <= SECRET_BYTES_MAX:
        return None
    return "give 24 to 64 bytes in base64: `openssl rand -base64 32` makes one."
