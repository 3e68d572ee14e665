"""What a world begins with: officers and their phones, children, a server's bug that only one note meets, a schema
that was shipped once."""

from __future__ import annotations

import datetime
import hashlib
from functools import cache
from typing import Any

from client_stub import keys
from server.access import assertions
from server.storage import Transaction
from sync.note import Note, Subject
from sync.operations import Kind
from tests.road import LAMBETH, SOUTHWARK, START_MS
from tests.simulation.oracle import BUG, OLD_NAME

OFFICERS = (("okafor", LAMBETH), ("lam", SOUTHWARK))
WARDS = {"okafor-1": "E05000416", "okafor-2": "E05000417", "lam-1": "E05000417", "lam-2": "E05000416"}
NEVER_COPIED = "lam-1"
"""One phone that nobody clones or restores, so that the ledger of what it held can be held against its disk."""


def _someone(given: str, family: str, born: str, postcode: str) -> Subject:
    day = datetime.date.fromisoformat(born)
    return Subject(given_names=given, family_name=family, date_of_birth=day, postcode=postcode)


CAST = (
    _someone("Mirembe", "Nakato", "2011-02-27", "E8 1EA"),
    _someone("Oliver", "Prichard", "2015-07-09", "N4 2HT"),
    _someone("Zofia", "Wisniewska", "2009-05-30", "W3 8DD"),
    _someone("Haruto", "Ishikawa", "2013-12-01", "HA4 6QT"),
)
"""Children described so well that linkage is sure. The first two are on the registry."""
KNOWN = 2


class _Silent:
    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_named: None


SILENT = _Silent()


def with_a_bug(facts: Any) -> Any:
    """Casework that fails on one note, after that note has been stored."""

    def failing(trip: Any, note_id: str, note: Note, *rest: Any) -> Any:
        if note.saw_or_heard == BUG:
            raise RuntimeError("a bug that only this note meets")
        return facts(trip, note_id, note, *rest)

    return failing


@cache
def key_of(officer: int, which: int) -> str:
    """The private key of a phone, made once in a process: nothing that is compared depends on it."""
    return keys.new_private_key()


def device_id_of(phone: str) -> str:
    """The id under which a phone is enrolled; a clone has that of its original."""
    text = hashlib.sha256(phone.rstrip("'").encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def enrol_everybody(tx: Transaction) -> None:
    for officer, (username, borough) in enumerate(OFFICERS):
        person = tx.value(
            "INSERT INTO person (username, name, role, borough, password_hash, created_at)"
            " VALUES (:username, :name, 'ward_officer', :borough, '', :now) RETURNING id",
            {"username": username, "name": f"PC {username.title()}", "borough": borough, "now": START_MS},
        )
        for which in (1, 2):
            jwk = keys.public_jwk(key_of(officer, which))
            tx.execute(
                "INSERT INTO device (device_id, thumbprint, public_key, person, name, ward, borough, role, status,"
                " enrolled_at) VALUES (:id, :print, :key, :person, 'simulated', :ward, :borough,"
                " 'ward_officer', 'active', :now)",
                {
                    "id": device_id_of(f"{username}-{which}"),
                    "print": assertions.thumbprint(jwk),
                    "key": assertions.plain_jwk(jwk),
                    "person": person,
                    "borough": borough,
                    "ward": WARDS[f"{username}-{which}"],
                    "now": START_MS,
                },
            )


def renamed(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """From the schema that was shipped once to the newest of this world."""
    if kind != Kind.NOTE_WRITE:
        return body
    return {"saw_or_heard" if name == OLD_NAME else name: value for name, value in body.items()}


def at_time(now_ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
