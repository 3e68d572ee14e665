"""What every page's door uses: the frame, forms, redirects that stay on this server, and what is said once."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.utils.scope.state import ScopeState

from server.access import people
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.access.restricted import REASON_LENGTH_MIN
from server.clock import now_ms
from server.console import render
from server.console.views import NavItem, Notice, RestrictedPage, Shell, View
from server.http.csrf import COOKIE as CSRF_COOKIE
from server.http.problems import NOT_FOUND, Problem
from server.http.services import Services
from server.records import merges, overview, quarantine
from server.storage.port import Transaction

AnyRequest = Request[Any, Any, Any]
Page = Response[str]

SAID = "earlysign_said"
"""Cookie that carries a word from one answer to the next page, which shows it once. Never personal."""
SAID_SECONDS = 60  # a redirect takes a moment; a word about something long ago would mislead
FORM_BYTES_MAX = 32 * 1024  # the largest form has one reason of 500 characters
REASON_CHARACTERS_MAX = 500
PATH_CHARACTERS_MAX = 500

shows = partial(get, include_in_schema=False)
"""A door that shows a page."""
sends = partial(post, include_in_schema=False, request_max_body_size=FORM_BYTES_MAX)
"""A door that a page's form is sent to."""

NOT_THERE = "There is no such record, or it is not in your boroughs."
NOT_THERE_HINT = "Check the address. If a colleague sent it, ask them which borough it belongs to."

_NOTICES: dict[str, tuple[str, bool]] = {
    "acknowledged": ("You have acknowledged the alert. It is yours now.", True),
    "handed-over": ("Handed over. It is theirs now, and they see your reason.", True),
    "graded": ("Graded. Your rationale stands on the record.", True),
    "announced": ("Announced. Publish the commitment now; draw it when the public value is known.", True),
    "drawn": ("Drawn. The secret is published with it.", True),
    "reviewed": ("Saved with the sample.", True),
    "say-why": ("Nothing was changed: say why it is an event of its own.", False),
    "apart": ("Counted as an event of its own. The rules have judged the child anew.", True),
    "joined": ("Counted as one event from now on. The rules have judged the child anew.", True),
    "as-found": ("Undone: it is counted as the rules find it.", True),
    "offered": ("Offered. It stays yours, and the clock runs here, until they accept.", True),
    "accepted": ("Accepted. It is yours now.", True),
    "refused": ("Refused. It stays with those who offered it, who see your reason.", True),
    "taken-back": ("The offer is taken back.", True),
    "told-force": ("Written down: the other force was told.", True),
    "case": ("Saved. A new note about this child goes to the lead of its open case.", True),
    "case-closed": ("The case is closed. New notes go to the borough by the usual rule.", True),
    "closed": ("The alert is closed, with what you decided.", True),
    "alert-changed": ("This alert changed while you were looking. Here is how it stands now.", False),
    "same": ("Linked: the same child.", True),
    "not_same": ("Ruled out: not the same child.", True),
    "maybe_same": ("Undone: that child is a candidate again.", True),
    "new": ("Decided: a new child.", True),
    "cannot_tell": ("Left open: the note keeps a record of its own until more is known.", True),
    "review-changed": (
        "Somebody else decided this while you were looking. Nothing of yours was kept.",
        False,
    ),
    "review-undone": ("Undone. The note waits for a decision again.", True),
    "unlinked": ("The note is off that record. Say whose it is here, or leave it for later.", True),
    "merged": ("Merged: one child from now on. It can be undone on the timeline.", True),
    "kept-apart": ("Noted: not the same child. They will not be proposed again without something new.", True),
    "confirmed": ("Confirmed: a child of their own.", True),
    "merge-undone": ("Undone. Each record is as it would be without it.", True),
    "revoked": ("Revoked. It is told to wipe itself when it next connects.", True),
    "wipe-ordered": ("It will send what it still has and wipe itself when it next connects.", True),
    "released": ("Released. It has gone the whole road, and its alerts, if any, are with the borough.", True),
    "held-refused": (
        "Refused. Its bytes are kept, and its officer reads your reason on their phone after the next sync.",
        True,
    ),
    "held-decided": ("Somebody else decided this while you were looking.", False),
    "telling": ("Kept. This is how you are told from now on.", True),
    "browsers-gone": ("No browser of yours shows notifications any more.", True),
    "resent": ("They are tried again, from the beginning.", True),
    "let-go": ("Let go: it is kept, and nobody tries it again.", True),
    "nothing-resent": ("There was nothing left to do: somebody was quicker.", False),
    "pair-same": ("Merged: one child from now on.", True),
    "pair-not_same": ("Noted: not the same child. They are proposed again only on something new.", True),
    "pair-cannot_tell": ("Left open until more is known.", True),
    "pair-changed": ("This pair was decided, or its records changed, while you were looking.", False),
    "pair-undone": ("Undone. The pair waits for a decision again.", True),
    "account-closed": ("The account is closed. Its alerts went to somebody else.", True),
    "rules-changed": ("In force: in every process, from its next transaction on.", True),
    "password": ("Your password is changed. You were signed out everywhere else.", True),
}
"""What may be said: the words, and whether it is good news."""
_SAID = re.compile(r"([a-z_-]{1,20})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?")
_RULED_OUT = "not_same"


def said_cookie(
    services: Services, code: str, asked_id: int | None = None, child_id: int | None = None
) -> Cookie:
    """The cookie that makes the next page say this; with the number of a review or a pair it offers to undo that
    decision, with a child's too to take the word on that candidate back."""
    value = ".".join(str(part) for part in (code, asked_id, child_id) if part is not None)
    return Cookie(
        key=SAID, value=value, path="/", max_age=SAID_SECONDS, httponly=True, samesite="lax",
        secure=services.settings.behind_tls,
    )  # fmt: skip


def notice_of(request: AnyRequest) -> Notice | None:
    """What the last action left to be said. A cookie with anything else is ignored."""
    match = _SAID.fullmatch(request.cookies.get(SAID, ""))
    if match is None or match[1] not in _NOTICES:
        return None
    text, good = _NOTICES[match[1]]
    kind: Literal["done", "warning"] = "done" if good else "warning"
    if match[3] is None:
        place = "pairs" if match[1].startswith("pair-") else "reviews"
        undo = f"/{place}/{match[2]}/undo" if match[2] else None
        return Notice(text=text, kind=kind, undo_href=undo)
    if match[1] != _RULED_OUT:
        return Notice(text=text, kind=kind)
    href, decision = f"/reviews/{match[2]}/decision", f"maybe_same:{match[3]}"
    return Notice(text=text, kind=kind, undo_href=href, undo_decision=decision)


def csrf_token(request: AnyRequest) -> str:
    """What a form on this page must send back."""
    token = ScopeState.from_scope(request.scope).csrf_token
    return token if isinstance(token, str) else request.cookies.get(CSRF_COOKIE, "")


def bare_shell(request: AnyRequest, person: Person | None = None) -> Shell:
    """The frame without counts: before sign-in, and around an error."""
    return Shell(
        now=now_ms(),
        csrf_token=csrf_token(request),
        person=person.name if person else None,
        role=person.role_title if person else None,
        nav=navigation(person, "") if person else (),
        own=own_pages(person) if person else (),
    )


def navigation(
    person: Person,
    current: str,
    alerts: int | None = None,
    reviews: int | None = None,
    pairs: int | None = None,
    set_aside: int | None = None,
) -> tuple[NavItem, ...]:
    """The places that this person's role has."""
    places = []
    if person.may(Permission.SEE_ALERTS):
        places.append(NavItem(label="Alerts", href="/alerts", current=current == "alerts", count=alerts))
    if person.may(Permission.DECIDE_LINKS):
        places.append(NavItem(label="Reviews", href="/reviews", current=current == "reviews", count=reviews))
    if person.may(Permission.DECIDE_LINKS) and person.may(Permission.SEE_CHILDREN):
        more = pairs == merges.PROPOSALS_COUNTED_MAX
        places.append(
            NavItem(label="Pairs", href="/pairs", current=current == "pairs", count=pairs, or_more=more)
        )
    if person.may(Permission.SEARCH_CHILDREN) and person.may(Permission.SEE_CHILDREN):
        places.append(NavItem(label="Search", href="/search", current=current == "search"))
    if person.may(Permission.WORK_CASES):
        places.append(NavItem(label="Transfers", href="/transfers", current=current == "transfers"))
    if person.may(Permission.SEE_ALERTS) and person.may(Permission.SEE_CHILDREN):
        places.append(
            NavItem(label="Coming to notice", href="/coming-to-notice", current=current == "notice")
        )
    if person.may(Permission.SUPERVISE):
        places.append(NavItem(label="Overview", href="/overview", current=current == "overview"))
    if person.may(Permission.SAMPLE):
        places.append(NavItem(label="Scrutiny", href="/scrutiny", current=current == "scrutiny"))
    if person.may(Permission.READ_AUDIT):
        places.append(NavItem(label="Audit", href="/audit", current=current == "audit"))
    if person.may(Permission.MANAGE_DEVICES):
        places.append(NavItem(label="Phones", href="/phones", current=current == "phones"))
    if person.may(Permission.MANAGE_QUARANTINE):
        places.append(
            NavItem(label="Quarantine", href="/quarantine", current=current == "quarantine", count=set_aside)
        )
    if person.may(Permission.MANAGE_PEOPLE):
        places.append(NavItem(label="People", href="/people", current=current == "people"))
    if person.may(Permission.MANAGE_RULES):
        places.append(NavItem(label="Rules", href="/rules", current=current == "rules"))
    if person.may(Permission.MANAGE_QUARANTINE):
        places.append(NavItem(label="Undelivered", href="/undelivered", current=current == "undelivered"))
    return tuple(places)


def own_pages(person: Person, current: str = "") -> tuple[NavItem, ...]:
    """A person's own settings, which are seldom needed: at the foot of the page, not among the places of work."""
    places = [NavItem(label="Change your password", href="/password")]
    if person.may(Permission.ACKNOWLEDGE_ALERTS):
        places.insert(0, NavItem(label="How I am told", href="/how-i-am-told", current=current == "telling"))
    return tuple(places)


def shell(tx: Transaction, request: AnyRequest, person: Person, current: str, *, now: int) -> Shell:
    """The frame of a signed-in person's page, with what waits for them."""
    return Shell(
        now=now,
        csrf_token=csrf_token(request),
        person=person.name,
        role=person.role_title,
        nav=navigation(
            person,
            current,
            overview.tally(tx, person, now=now).unanswered,
            overview.reviews_waiting(tx, person),
            merges.count_waiting(tx, person),
            quarantine.count(tx) if person.may(Permission.MANAGE_QUARANTINE) else None,
        ),
        own=own_pages(person, current),
        notice=notice_of(request),
    )


def page(template: str, frame: Shell, view: View, *, status: int = 200) -> Page:
    """A whole page. A word that it says is taken back, so that it is said once."""
    answer: Page = Response(
        render.page(template, frame, view),
        status_code=status,
        media_type=MediaType.HTML,
        headers=dict(render.HEADERS),
    )
    if frame.notice is not None:
        answer.set_cookie(Cookie(key=SAID, value="", path="/", max_age=0, httponly=True, samesite="lax"))
    return answer


def ask_why(request: AnyRequest, person: Person, given: str | None, *, action: str, other: str = "") -> Page:
    """The page that asks why a restricted record is opened, and for more where too little was `given` (None: it was
    not asked yet)."""
    more = f"Say a little more: at least {REASON_LENGTH_MIN} characters." if given is not None else None
    asked = RestrictedPage(
        least=REASON_LENGTH_MIN, error=more, reason=given or "", action=action, other=other
    )
    return page("restricted.html", bare_shell(request, person), asked, status=422 if more else 200)


def part(template: str, frame: Shell, view: View) -> Page:
    """A piece of a page, for htmx. Says nothing that was left to be said."""
    return Response(
        render.part(template, frame, view), media_type=MediaType.HTML, headers=dict(render.HEADERS)
    )


def go(path: str, *cookies: Cookie) -> Page:
    """Send the browser on with a GET."""
    return Response(
        "", status_code=303, media_type=MediaType.HTML, headers={"location": path}, cookies=list(cookies)
    )


def local_path(given: str, otherwise: str) -> str:
    """A path of this server that somebody sent, or `otherwise` where it might lead elsewhere."""
    plain = given.isascii() and given.isprintable() and " " not in given and "\\" not in given
    if not plain or len(given) > PATH_CHARACTERS_MAX or not given.startswith("/") or given.startswith("//"):
        return otherwise
    parts = urlsplit(given)
    return otherwise if parts.scheme or parts.netloc else given


class Form(msgspec.Struct, frozen=True):
    """What a form sent, by the name of the field."""

    fields: dict[str, str]

    def text(self, name: str, limit: int = REASON_CHARACTERS_MAX) -> str:
        """A field's text, cut to the limit; empty where it was not sent."""
        return self.fields.get(name, "").replace("\0", "")[:limit]

    def line(self, name: str, limit: int = REASON_CHARACTERS_MAX) -> str:
        """A field's text on one line, without spaces around it or twice within."""
        return " ".join(self.text(name, limit).split())

    def number(self, name: str) -> int | None:
        """A field's whole number; None where it is none."""
        given = self.fields.get(name, "")
        return int(given) if given.isascii() and given.isdigit() and len(given) <= 18 else None


async def form_of(request: AnyRequest) -> Form:
    """The form of this request. Files are left out."""
    sent = await request.form()
    return Form({name: value for name, value in sent.items() if isinstance(value, str)})


def missing(_error: NotAllowed | None = None) -> Problem:
    """The page of what is not there, and, word for word the same, of what one may not see."""
    return Problem(NOT_FOUND, NOT_THERE, hint=NOT_THERE_HINT)


def known_number(given: int) -> int:
    """A record's number from an address; one that no database could hold is not there."""
    if not 0 < given < 2**63:
        raise missing()
    return given


class Names:
    """Names of people by username, each looked up once in a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[str, tuple[str, str]] = {}

    def name(self, username: str) -> str:
        """A person's name; the username where there is no such person."""
        return self._find(username)[0]

    def role(self, username: str) -> str:
        """A person's role id, empty where there is no such person."""
        return self._find(username)[1]

    def _find(self, username: str) -> tuple[str, str]:
        if username not in self._known:
            row = people.find(self._tx, username)
            self._known[username] = (row.name, row.role) if row else (username, "")
        return self._known[username]
