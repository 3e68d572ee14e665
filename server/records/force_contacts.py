"""Who rang which other force about an alert, when, and what was said."""

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, impersonal, record
from server.storage.port import Transaction


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """One call. Times in milliseconds."""

    contact_id: int
    alert_id: int
    force: str
    spoke_to: str
    said: str
    called_at: int
    person: str
    recorded_at: int


_COLUMNS = Contact.__struct_fields__


@audited(Verb.DISCLOSURE)
def add(
    tx: Transaction, person: Person, alert_id: int, child_id: int, *, force: str, spoke_to: str, said: str,
    called_at: int, now: int,
) -> int:  # fmt: skip
    """Write down that another force was told; the call's number."""
    contact_id: int = tx.insert(
        "INSERT INTO force_contact (alert_id, force, spoke_to, said, called_at, person, recorded_at)"
        " VALUES (:alert, :force, :spoke_to, :said, :called, :person, :now)",
        {
            "alert": alert_id, "force": force, "spoke_to": spoke_to, "said": said, "called": called_at,
            "person": person.username, "now": now,
        },
        "contact_id",
    )  # fmt: skip
    told = [f"force-contact:{contact_id}"]
    actor = Actor("person", person.username)
    record(tx, actor, Verb.DISCLOSURE, "alert", [alert_id], now=now, recipients=told)
    record(tx, actor, Verb.DISCLOSURE, "child", [child_id], now=now, recipients=told)
    return contact_id


@audited(Verb.CONSULTATION)
def of_alert(tx: Transaction, person: Person, alert_id: int, *, now: int) -> list[Contact]:
    """The calls about an alert, newest first."""
    rows = tx.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM force_contact WHERE alert_id = :alert ORDER BY contact_id DESC",
        {"alert": alert_id},
    )
    record(tx, Actor("person", person.username), Verb.CONSULTATION, "alert", [alert_id], now=now)
    return [msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Contact) for row in rows]


@impersonal("a yes or a no")
def any_of(tx: Transaction, alert_id: int) -> bool:
    """Whether another force has been told of an alert."""
    return (
        tx.row("SELECT 1 FROM force_contact WHERE alert_id = :alert LIMIT 1", {"alert": alert_id}) is not None
    )
