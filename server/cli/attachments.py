"""`earlysign attachments`: are the files that phones handed in still what they were?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec
import typer

from server.cli.common import FAILED, OK, DataOption, examples, open_database, say, settings_from
from server.records import attachments
from server.storage.blobs import BlobDamaged, BlobMissing, Blobs
from server.storage.port import Store

PAGE = 500


class Checked(msgspec.Struct, kw_only=True):
    """What was found: how many are whole, and the digests of those that are not."""

    whole: int = 0
    missing: list[str] = []
    damaged: list[str] = []


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Photographs and recordings.")
    group.command("verify", epilog=examples("earlysign attachments verify"))(verify)
    app.add_typer(group, name="attachments")


def verify(data: DataOption = None) -> int:
    """Read every attachment and compare its bytes with its digest; name those that are missing or damaged.

    Changes nothing, and may run while the server does. Exit code 0 when all are whole, 1 otherwise.
    """
    settings = settings_from(data)
    blobs = Blobs(settings.attachments)
    with open_database(settings) as store:
        found = check(store, blobs)
    for digest in found.missing:
        say(f"missing  {digest}")
    for digest in found.damaged:
        say(f"damaged  {digest}")
    say(f"{found.whole} whole, {len(found.missing)} missing, {len(found.damaged)} damaged.")
    if found.missing or found.damaged:
        say(
            "Restore them from a backup into the folder attachments/objects, or let the phone send them again."
        )
        return FAILED
    return OK


def check(store: Store, blobs: Blobs) -> Checked:
    """Hash every attachment that the database knows of."""
    found = Checked()
    for digest, _ in known(store):
        try:
            blobs.check(digest)
            found.whole += 1
        except BlobMissing:
            found.missing.append(digest)
        except BlobDamaged:
            found.damaged.append(digest)
    return found


def known(store: Store) -> Iterator[tuple[str, int]]:
    """(digest, size) of every attachment, page by page."""
    after = ""
    while page := store.read_now(partial(attachments.everything, after=after, limit=PAGE)):
        yield from page
        after = page[-1][0]
