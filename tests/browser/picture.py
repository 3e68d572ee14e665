"""`python -m tests.browser.picture` takes the README's picture of a child's page anew. Everybody in it is invented."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, WAIT_MS
from tests.browser.stage import PASSWORD, staged
from tests.browser.test_pages_in_browser import story_address

PICTURE = Path(__file__).parents[2] / "server" / "console" / "screenshot.png"
WIDTH, HEIGHT = 1200, 1130
COLOURS = 256  # a page has few; the file is a third of the size


def main() -> None:
    """Put the page of a new server in the place of the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        staged(Path(folder) / "data") as stage,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, base_url=stage.address)
        page.set_default_timeout(WAIT_MS)
        page.goto("/sign-in")
        page.fill("#username", "adeyemi")
        page.fill("#password", PASSWORD)
        page.click("main button[type=submit]")
        page.goto(story_address(page))
        taken = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(taken)).quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE} ({PICTURE.stat().st_size // 1024} KiB)")


if __name__ == "__main__":
    main()
