"""Who sits at the desk, and the two shapes that the doors of pages have.

A page is shown: one read, in which its view and the frame around it are made. A form is taken: one write, which ends
with `Done`, and the browser is sent on, or with the form again and what is wrong in it. What a person may not see is,
word for word, what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litestar.di import NamedDependency

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.clock import now_ms
from server.console.pages import alerts
from server.console.pages.alert_rows import Telling
from server.console.pages.web import AnyRequest, Form, Page, form_of, go, missing, page, said_cookie, shell
from server.console.views import QueueRow, Shell, View
from server.http.services import Services
from server.records.alerts import Alert, AlertConflict
from server.storage.port import Transaction


@dataclass(frozen=True)
class Done:
    """What a form asked for is done: where the browser goes on, and the word that is said there."""

    path: str
    said: str


@dataclass(frozen=True)
class Desk:
    """One request of a signed-in person. `now`: when it came, in milliseconds."""

    request: AnyRequest
    person: Person
    services: Services
    now: int

    @property
    def place(self) -> str:
        """What this person's boroughs are called together."""
        return alerts.place_of(self.services, self.person)

    def telling(self, tx: Transaction) -> Telling:
        """What turns records into rows for this person."""
        return alerts.telling_for(tx, self.services, self.person, self.now)

    def row(self, tx: Transaction, alert: Alert) -> QueueRow:
        """One alert as a row."""
        return alerts.row_of(tx, self.services, self.person, alert, self.now)

    async def form(self) -> Form:
        """What the page's form sent."""
        return await form_of(self.request)

    async def shows(
        self, template: str, place: str, view: Callable[[Transaction], View], *, status: int = 200
    ) -> Page:
        """The page; `place` is where the navigation says one is."""

        def look(tx: Transaction) -> tuple[Shell, View]:
            made = view(tx)
            return self._frame(tx, place), made

        try:
            return page(template, *await self.services.store.read(look), status=status)
        except NotAllowed as refused:
            raise missing(refused) from None

    async def takes(
        self,
        template: str,
        place: str,
        work: Callable[[Transaction], View | Done],
        *,
        is_good: Callable[[Any], bool] = lambda view: False,
    ) -> Page:
        """Do what a form asks. An alert that changed meanwhile sends one back to the queue, which says so.

        The page that comes back instead of a redirect says what is wrong, unless `is_good`: it shows what is shown
        once only.
        """

        def act(tx: Transaction) -> tuple[Shell, View] | Done:
            try:
                made = work(tx)
            except AlertConflict:
                return Done("/alerts", "alert-changed")
            return made if isinstance(made, Done) else (self._frame(tx, place), made)

        try:
            done = await self.services.store.write(act)
        except NotAllowed as refused:
            raise missing(refused) from None
        if isinstance(done, Done):
            return self.goes(done)
        return page(template, *done, status=200 if is_good(done[1]) else 422)

    def goes(self, done: Done) -> Page:
        """Send the browser on, with the word to be said there."""
        return go(done.path, said_cookie(self.services, done.said))

    def _frame(self, tx: Transaction, place: str) -> Shell:
        return shell(tx, self.request, self.person, place, now=self.now)


def provide_desk(
    request: AnyRequest, person: NamedDependency[Person], services: NamedDependency[Services]
) -> Desk:
    """Dependency `desk` of every page."""
    return Desk(request, person, services, now_ms())
