"""Made-up people and notes, as views: what the template tests render and the browser looks at.

Here the frame and the small pages; the rest in `samples_<subject>`.
"""

import datetime

from server.console.views import (
    ErrorPage,
    HomePage,
    NavItem,
    Notice,
    PasswordPage,
    RestrictedPage,
    Shell,
    SignInPage,
)
from server.console.views_search import Agreeing, SearchForm, SearchPage, SearchRow
from server.console.views_telling import (
    ChannelRow,
    GradeChoice,
    Option,
    TellingPage,
    UndeliveredPage,
    UndeliveredRow,
)
from server.console.words import DAY_MS, HOUR_MS, MINUTE_MS

NOW = int(datetime.datetime(2025, 3, 4, 14, 5, 9, tzinfo=datetime.UTC).timestamp() * 1000)


def ago(*, days: float = 0, hours: float = 0, minutes: float = 0) -> int:
    """An instant before NOW."""
    return NOW - int(days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS)


def shell(current: str = "Alerts", notice: Notice | None = None) -> Shell:
    """The frame for a signed-in investigator."""
    return Shell(
        now=NOW,
        csrf_token="a-token",
        person="DC Ruth Adeyemi",
        role="Borough investigator",
        nav=(
            NavItem(label="Alerts", href="/alerts", current=current == "Alerts", count=7),
            NavItem(label="Reviews", href="/reviews", current=current == "Reviews", count=3),
            NavItem(label="Pairs", href="/pairs", current=current == "Pairs", count=100, or_more=True),
            NavItem(label="Search", href="/search", current=current == "Search"),
        ),
        notice=notice,
    )


def stranger() -> Shell:
    """The frame before sign-in."""
    return Shell(now=NOW, csrf_token="a-token")


def home() -> HomePage:
    """An administrator's plain home."""
    return HomePage(
        role="Administrator",
        links=(NavItem(label="API documentation", href="/schema"),),
        commands=(
            ("earlysign devices list", "Which phones there are, and what they owe"),
            ("earlysign audit verify", "Checks that nobody changed the log"),
        ),
    )


def error() -> ErrorPage:
    """A page that is not there."""
    return ErrorPage(
        status=404,
        heading="This page is not here",
        what="There is no such record, or it is not in your boroughs.",
        todo="Check the address. If a colleague sent it, ask them which borough it belongs to.",
        reference="7f3a9c",
    )


def sign_in(error: str | None = None) -> SignInPage:
    """The sign-in form."""
    return SignInPage(username="ruth.adeyemi" if error else "", error=error)


def password(field: str | None = None, error: str | None = None) -> PasswordPage:
    """The form for one's own password."""
    return PasswordPage(least=12, wrong_field=field, error=error)


def restricted(error: str | None = None) -> RestrictedPage:
    """The question before a restricted record."""
    return RestrictedPage(least=8, error=error, action="/children/7")


def search() -> SearchPage:
    """A search that fits too many, with a record of each kind."""
    return SearchPage(
        form=SearchForm(text="jay about 13 peckham", family_name="Thompson"),
        searched=True,
        told_back=(("name, school or street", "jay peckham"), ("age", "about 13")),
        rows=(
            SearchRow(
                child_id=12,
                name="Jayden Thompson",
                born="4 March 2013 (13)",
                school="Harris Academy Peckham",
                borough="Southwark",
                standing=None,
                restricted=False,
                probability=0.87,
                grades=("red", "amber"),
                agreeing=(
                    Agreeing(field="Given names", verdict="agree", words="a short form of the same name"),
                    Agreeing(field="Date of birth", verdict="near", words="the age fits"),
                    Agreeing(field="School", verdict="differ", words="different"),
                ),
            ),
            SearchRow(
                child_id=13,
                name="“Jay”",
                born="",
                school=None,
                borough=None,
                standing="Known from a note only",
                restricted=True,
                probability=None,
                grades=(),
                agreeing=(),
            ),
        ),
        more=3,
        fitting=1250,
        alerted_only=True,
        place="Lambeth",
        ask=("Camden",),
        asks_reason=True,
        may_give_reason=True,
        incomplete=True,
    )


def telling(wrong_field: str | None = None, error: str | None = None) -> TellingPage:
    options = (Option(value="digest", label="Once a day, all in one message", chosen=True),)
    return TellingPage(
        address="ines.rivera@force.example", mail_open=True, mail_permitted=True, push_permitted=True,
        vapid_public="B" * 87, browsers=1, grades=(GradeChoice(grade="green", options=options),),
        digest_at="08:00", quiet_from="22:00", quiet_until="07:00",
        deputies=(Option(value="4", label="Sam Khan, Borough investigator"),),
        wrong_field=wrong_field, error=error,
    )  # fmt: skip


def undelivered() -> UndeliveredPage:
    channel = ChannelRow(
        name="E-mail", channel="mail", is_well=False, state="Failing: no connection.", waiting=2, dead=1,
        arrived_at=NOW - 60_000,
    )  # fmt: skip
    row = UndeliveredRow(
        delivery_id=5, alert_id=17, grade="red", what="A new alert, Lambeth", where="E-mail", whom="Ines Rivera",
        at=NOW - 3_600_000, attempts=12, why="No connection.", advice="Check the mail server.",
    )  # fmt: skip
    return UndeliveredPage(channels=(channel,), rows=(row,))
