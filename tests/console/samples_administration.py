"""Samples of the administrator's pages: a phone that owes and one that was wiped; what was set aside, and decided."""

from __future__ import annotations

from server.console.views_administration import HeldRow, PhoneRow, PhonesPage, QuarantinePage
from tests.console.samples import NOW

MINUTE = 60_000


def phones() -> PhonesPage:
    """Two phones."""
    owes = PhoneRow(
        device_id="3f2c9a10-aaaa-4bbb-8ccc-0123456789ab", name="Grey phone", officer="okafor",
        place="Lambeth, ward E05014095", state="active", last_seen_at=NOW - 50 * MINUTE, version="0.1.0",
        owes="This phone owes notes 41 to 43.", holds=2, waiting=1, clock="3 min behind", clock_wrong=True,
        may_revoke=True, may_wipe=True, wipe_ordered_at=None, wipe_begun_at=None, wiped_at=None,
    )  # fmt: skip
    wiped = PhoneRow(
        device_id="aa11bb22-aaaa-4bbb-8ccc-0123456789ab", name="Blue phone", officer="banks", place="Camden",
        state="wiped", last_seen_at=NOW - 5 * MINUTE, version=None, owes=None, holds=0, waiting=None, clock=None,
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
