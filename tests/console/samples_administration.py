"""Samples of the administrator's pages: a phone that owes and one that was wiped; what was set aside, and decided."""

from __future__ import annotations

from server.console.views import Choice
from server.console.views_administration import (
    AccountRow,
    ClockRow,
    HeldRow,
    PackRow,
    PeoplePage,
    PhoneRow,
    PhonesPage,
    QuarantinePage,
    ReplayRow,
    RuleRow,
    RulesPage,
)
from tests.console.samples import NOW

MINUTE = 60_000


def phones() -> PhonesPage:
    """Two phones."""
    owes = PhoneRow(
        device_id="3f2c9a10-aaaa-4bbb-8ccc-0123456789ab", name="Grey phone", officer="okafor",
        place="Lambeth, ward E05014095", state="active", last_seen_at=NOW - 50 * MINUTE, version="0.1.0",
        owes="This phone owes notes 41 to 43.", holds=2, clock="3 min behind", clock_wrong=True,
        may_revoke=True, may_wipe=True, wipe_ordered_at=None, wipe_begun_at=None, wiped_at=None,
    )  # fmt: skip
    wiped = PhoneRow(
        device_id="aa11bb22-aaaa-4bbb-8ccc-0123456789ab", name="Blue phone", officer="banks", place="Camden",
        state="wiped", last_seen_at=NOW - 5 * MINUTE, version=None, owes=None, holds=0, clock=None,
        clock_wrong=False, may_revoke=False, may_wipe=False, wipe_ordered_at=NOW - 9 * MINUTE,
        wipe_begun_at=NOW - 6 * MINUTE, wiped_at=NOW - 5 * MINUTE,
    )  # fmt: skip
    return PhonesPage(rows=(owes, wiped), owing=1)


def quarantine(error: str | None = None) -> QuarantinePage:
    """One line that waits and one that was refused."""
    waits = HeldRow(
        number=7, received_at=NOW - 90 * MINUTE, phone="Grey phone", officer="okafor",
        what="A note, 612 bytes, schema 1", why="It was handed in by a phone that had been revoked.",
        to_do="Ask the officer whether they wrote it.", decision=None, decided_at=None, decided_by=None,
        reason=None,
    )  # fmt: skip
    refused = HeldRow(
        number=3, received_at=NOW - 900 * MINUTE, phone="aa11bb22", officer=None,
        what="Something that cannot be read, 7 bytes", why="It is not an entry that can be read.",
        to_do="Ask the officer what was written.", decision="refused", decided_at=NOW - 30 * MINUTE,
        decided_by="root", reason="The officer wrote it again",
    )  # fmt: skip
    return QuarantinePage(
        waiting=(waits,), decided=(refused,), least=10, wrong=7 if error else None, error=error
    )


def people(error: str | None = None) -> PeoplePage:
    """One account that is open, one's own, and a closed one; a password was just made."""
    rows = (
        AccountRow(
            username="rivera", name="DC Sam Rivera", role="Borough investigator", place="Lambeth", since=NOW,
            open=True, must_change=True, own=False,
        ),
        AccountRow(
            username="root", name="Ada Root", role="Administrator", place="whole force", since=NOW, open=True,
            must_change=False, own=True,
        ),
        AccountRow(
            username="khan", name="DC Noor Khan", role="Borough investigator", place="Lambeth", since=NOW,
            open=False, must_change=False, own=False,
        ),
    )  # fmt: skip
    return PeoplePage(
        rows=rows, roles=(Choice(value="investigator", label="Borough investigator", selected=True),),
        boroughs=(Choice(value="E09000022", label="Lambeth"),), units=(Choice(value="AS", label="AS, Central South"),),
        error=error, made_for=None if error else "rivera", password=None if error else "94q6-9qtj-g795-9tn8",
        username="banks" if error else "",
    )  # fmt: skip


def rules(error: str | None = None) -> RulesPage:
    """A pack that was tried; with `error` one that cannot be used."""
    return RulesPage(
        version="met-2026-01 (3f2c9a10)",
        rules=(RuleRow(name="repeat_missing", grade="amber", says="{ordinal} missing episode", proposes="MASE"),),
        grades=("red", "amber", "green", "blue"),
        clocks=(ClockRow(label="By the clock", hours=("1 h", "8 working h", "72 h", "none"), places="all boroughs"),),
        chains=(("red", "Supervisor after 15 min, then again every 30 min"),),
        terms=("london: no terms are given",),
        history=(PackRow(version="met-2026-01 (3f2c9a10)", by="root", at=NOW),),
        text='name = "met-2026-02"', error=error, tried_version=None if error else "met-2026-02 (aa11bb22)",
        tried_children=412, tried=(ReplayRow(rule="repeat_missing", would_be="raised", flags=3, children=2),),
        days_back=90, looked_at_most=2000,
    )  # fmt: skip
