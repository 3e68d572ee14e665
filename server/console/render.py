"""Turns a view into a page: the Jinja environment, addresses of assets, and the content security policy.

`page("queue.html", shell, view)` answers the HTML of a whole page; `part("parts/queue_rows.html", shell,
view)` that of a piece that htmx puts into one. Templates get `shell`, `view` and the words of `words`.
"""

import functools
import hashlib
from collections.abc import Mapping

import jinja2

from server.console import assets, words
from server.console.story import by_day
from server.console.views import Shell, View
from server.linkage.explain import NOT_COMPARED, OUTCOME_WORDS, waterfall

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
}
"""Sent with every page: nothing inline, nothing from elsewhere, nothing kept by a cache."""

FINGERPRINT_CHARACTERS = 12


@functools.lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a file under `static/`, with a digest of its content so that it may be cached for ever.

    Raises FileNotFoundError, saying how to build, when the file is not there.
    """
    path = assets.STATIC / name
    if not path.is_file():
        raise FileNotFoundError(f"{name} is not built: run `python -m server.console.assets`.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:FINGERPRINT_CHARACTERS]
    return f"{assets.STATIC_URL}{name}?v={digest}"


@functools.lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The one Jinja environment: everything escaped, and an unknown name in a template is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.ROOM / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(asset=asset, words=words, assets=assets, waterfall=waterfall, by_day=by_day)
    made.globals.update(OUTCOME_WORDS=OUTCOME_WORDS, NOT_COMPARED=NOT_COMPARED)
    return made


def page(template: str, shell: Shell, view: View) -> str:
    """The HTML of a whole page."""
    return environment().get_template(template).render(shell=shell, view=view)


part = page
"""The HTML of a piece of a page. The same call: a part is a template that does not extend the layout."""
