"""A browser without JavaScript: forms with their token, no redirect followed unasked, pages as text."""

from __future__ import annotations

import html
import re
from typing import Any

from tests.http.kit import Client, Desk

HTML = {"accept": "text/html,application/xhtml+xml"}


class Browser(Desk):
    """A signed-in person's browser, as far as controllers can tell."""

    def get(self, path: str, **more: Any) -> Any:
        more["headers"] = HTML | more.get("headers", {})
        return (
            super().get(path, **{"follow_redirects": False} | more)
            if hasattr(self, "csrf")
            else (super().get(path, **more))
        )

    def send(self, path: str, *, headers: dict[str, str] | None = None, **fields: object) -> Any:
        """Send a form with the token of the page it stands on."""
        data = {"_csrf_token": self.csrf} | {name: str(value) for name, value in fields.items()}
        return self.client.post(
            path,
            data=data,
            headers=self.headers({"headers": HTML | (headers or {})}),
            follow_redirects=False,
        )

    def said(self, answer: Any) -> str:
        """What the page after a redirect says at its top; the cookie that carries it is sent along."""
        cookie = answer.cookies.get("earlysign_said", "")
        page = self.get(answer.headers["location"], headers={"cookie": self._with(cookie)})
        found = re.search(r'<div class="notice[^>]*>\s*<p>(.*?)</p>', page.text, re.S)
        return html.unescape(found[1]) if found else ""

    def headers(self, more: dict[str, Any]) -> dict[str, str]:
        given = dict(more.get("headers", {}))
        cookie = given.pop("cookie", None)
        made = super().headers({"headers": given})
        more.pop("headers", None)
        return made | ({"cookie": cookie} if cookie else {})

    def _with(self, said: str) -> str:
        cookies = self.cookies | {"earlysign_said": said}
        return "; ".join(f"{name}={value}" for name, value in cookies.items())


def stranger(client: Client, path: str, **more: Any) -> Any:
    """A GET by somebody who is not signed in."""
    client.cookies.clear()
    return client.get(path, headers=HTML, follow_redirects=False, **more)


def text(page: str) -> str:
    """The words of a page, without tags, in one line."""
    body = re.sub(r"<(script|style|title)\b.*?</\1>", " ", page, flags=re.S)
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
    return words.replace(" ,", ",")


def titles(page: str) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", page, re.S)
