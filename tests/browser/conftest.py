"""One server with a past and one Chromium for all browser tests; a context of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, sync_playwright

from tests.browser.stage import PASSWORD, Stage, staged

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""`--no-sandbox` because the tests may run as root; the rest keeps Chromium from talking to anybody else."""
WAIT_MS = 20_000

Opens = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("Debian's Chromium is not installed (apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage") / "data") as made:
        yield made


@pytest.fixture(scope="session")
def signed_in(chromium: Browser, stage: Stage) -> Callable[[str], Any]:
    """The cookies of somebody at a desk, who signs in once for all tests."""
    kept: dict[str, Any] = {}

    def state(username: str) -> Any:
        if username not in kept:
            context = chromium.new_context(java_script_enabled=False)
            page = context.new_page()
            page.goto(f"{stage.address}/sign-in")
            page.fill("#username", username)
            page.fill("#password", PASSWORD)
            page.click("main button[type=submit]")
            kept[username] = context.storage_state()
            context.close()
        return kept[username]

    return state


@pytest.fixture
def opens(chromium: Browser, stage: Stage, signed_in: Callable[[str], Any]) -> Iterator[Opens]:
    """`opens(path, user, width=...)`: a page in a context of its own. No script may fail in any of them."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # An answer of 4xx is told on the console too; tests ask for some on purpose.
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            troubles.append(message.text)

    def open_page(
        path: str, username: str | None = "adeyemi", *, width: int = 1440, height: int = 900, **more: Any
    ) -> Page:
        state = None if username is None else signed_in(username)
        viewport: ViewportSize = {"width": width, "height": height}
        context = chromium.new_context(
            viewport=viewport,
            storage_state=state,
            base_url=stage.address,
            **more,
        )
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, troubles
