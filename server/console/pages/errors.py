"""The page of a failed request, for a browser: what is wrong, what to do, and where to go."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie

from server.access.identity import Person
from server.console.pages.web import AnyRequest, bare_shell, go, page
from server.console.views import ErrorPage
from server.http.csrf import COOKIE as CSRF_COOKIE
from server.http.problems import PROBLEM_PATH, ProblemBody

_HEADINGS = {
    "not-found": "This page is not here",
    "not-allowed": "Your role does not include this",
    "csrf-failed": "That page was too old",
    "conflict": "It changed while you were looking",
    "too-many-attempts": "Too many tries",
    "internal": "Something went wrong here",
    "unavailable": "The server is busy",
    "too-large": "That was too much at once",
}
_NEXT = {
    "csrf-failed": "Go back, load the page again, and repeat what you did. Your browser must accept cookies.",
    "not-allowed": "Your supervisor knows who can do this. If it should be you, ask your administrator.",
    "internal": "Try again. If it happens twice, give the reference below to your administrator.",
    "unavailable": "Nothing is lost. Wait a few seconds, then try again.",
    "not-found": "Check the address. If a colleague sent it, ask them which borough it belongs to.",
    "method-not-allowed": "Go to your first page and start from there.",
}
_WHAT = {
    "not-found": "There is no such page or record, or it is not in your boroughs.",
    "csrf-failed": "What you sent did not come from a fresh page of this server, so nothing was done.",
    "method-not-allowed": "This address does something only when a form is sent to it.",
    "internal": "The server met something it did not expect. What you sent may not have been done.",
}


def problem_page(request: AnyRequest, problem: ProblemBody) -> Response[Any]:
    """The page for a problem; somebody who is not signed in is sent to sign in, and back afterwards."""
    kind = problem.type.removeprefix(PROBLEM_PATH)
    if kind == "not-signed-in" and "hx-request" not in request.headers:
        return go(_sign_in_and_back(request))
    if kind == "password-must-change":
        return go("/password")
    user = request.scope.get("user")
    view = ErrorPage(
        status=problem.status,
        heading=_HEADINGS.get(kind, problem.title),
        what=_WHAT.get(kind, problem.detail),
        todo=_NEXT.get(kind, problem.hint),
        reference=problem.instance.removeprefix("urn:request:")[:12] if problem.status >= 500 else None,
        retry=problem.status == 503,
    )
    frame = bare_shell(request, user if isinstance(user, Person) else None)
    answer = page("error.html", frame, view, status=problem.status)
    if kind == "csrf-failed":
        # A token from before the server's key changed would fail for ever: the next page sets a new one.
        answer.set_cookie(Cookie(key=CSRF_COOKIE, value="", path="/", max_age=0))
    return answer


def _sign_in_and_back(request: AnyRequest) -> str:
    """The sign-in page that leads back to where a GET was going. Addresses hold numbers and filters only."""
    if request.method != "GET" or request.url.path == "/":
        return "/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/sign-in?next={quote(request.url.path + query, safe='')}"
