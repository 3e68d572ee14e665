"""Open cases of children: who leads each, since when, and how it ended. What comes next goes to the lead.

A child has at most one open case, on whichever of its records it was opened.
"""

import msgspec

from server.access.identity import Person
from server.audit import Actor, Verb, audited, record
from server.records.whole import WHOLE
from server.storage.port import Transaction


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who leads or led a case, from when (milliseconds), and who gave it to them."""

    lead: str
    borough: str
    since: int
    given_by: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case of a child. `leads` oldest first; the last of an open one is its lead."""

    case_id: int
    child_id: int
    borough: str
    lead: str
    reason: str
    opened_by: str
    opened_at: int
    closed_by: str | None
    closed_at: int | None
    closed_reason: str | None
    leads: tuple[Lead, ...] = ()


_COLUMNS = [name for name in Case.__struct_fields__ if name != "leads"]


@audited(Verb.CONSULTATION)
def of_child(tx: Transaction, person: Person, child_id: int, *, now: int) -> list[Case]:
    """Every case of a child, newest first. Ask `children_shown.require_sight` before."""
    rows = tx.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM child_case WHERE child_id IN {WHOLE} ORDER BY case_id DESC",
        {"child": child_id},
    )
    found = []
    for row in rows:
        leads = tx.rows(
            "SELECT lead, borough, since, given_by FROM case_lead WHERE case_id = :case ORDER BY since",
            {"case": row[0]},
        )
        known = msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Case)
        said = tuple(Lead(lead=one[0], borough=one[1], since=one[2], given_by=one[3]) for one in leads)
        found.append(msgspec.structs.replace(known, leads=said))
    record(
        tx, Actor("person", person.username), Verb.CONSULTATION, "case",
        [case.case_id for case in found], now=now,
    )  # fmt: skip
    return found


@audited(Verb.ALTERATION)
def begin(
    tx: Transaction, person: Person, child_id: int, borough: str, lead: str, reason: str, *, now: int
) -> int:
    """Open a case; its number, or 0 where the child has one that is open."""
    open_already = tx.value(
        f"SELECT COUNT(*) FROM child_case WHERE child_id IN {WHOLE} AND closed_at IS NULL",
        {"child": child_id},
    )
    row = None if open_already else tx.row(
        "INSERT INTO child_case (child_id, borough, lead, reason, opened_by, opened_at)"
        " VALUES (:child, :borough, :lead, :reason, :person, :now) ON CONFLICT DO NOTHING RETURNING case_id",
        {
            "child": child_id, "borough": borough, "lead": lead, "reason": reason,
            "person": person.username, "now": now,
        },
    )  # fmt: skip
    if row is None:
        return 0
    _led(tx, person, row[0], borough, lead, now)
    record(tx, Actor("person", person.username), Verb.ALTERATION, "case", [row[0]], now=now)
    case_id: int = row[0]
    return case_id


@audited(Verb.ALTERATION)
def give(tx: Transaction, person: Person, case_id: int, borough: str, lead: str, *, now: int) -> bool:
    """Give an open case another lead. False where it is closed."""
    if not tx.execute(
        "UPDATE child_case SET borough = :borough, lead = :lead WHERE case_id = :case AND closed_at IS NULL",
        {"borough": borough, "lead": lead, "case": case_id},
    ):
        return False
    _led(tx, person, case_id, borough, lead, now)
    record(tx, Actor("person", person.username), Verb.ALTERATION, "case", [case_id], now=now)
    return True


@audited(Verb.ALTERATION)
def end(tx: Transaction, person: Person, case_id: int, reason: str, *, now: int) -> bool:
    """Close a case with the reason. False where it is closed already."""
    if not tx.execute(
        "UPDATE child_case SET closed_at = :now, closed_by = :person, closed_reason = :reason"
        " WHERE case_id = :case AND closed_at IS NULL",
        {"now": now, "person": person.username, "reason": reason, "case": case_id},
    ):
        return False
    record(tx, Actor("person", person.username), Verb.ALTERATION, "case", [case_id], now=now)
    return True


def _led(tx: Transaction, person: Person, case_id: int, borough: str, lead: str, now: int) -> None:
    tx.execute(
        "INSERT INTO case_lead (case_id, since, lead, borough, given_by)"
        " VALUES (:case, :now, :lead, :borough, :person) ON CONFLICT (case_id, since)"
        " DO UPDATE SET lead = :lead, borough = :borough, given_by = :person",
        {"case": case_id, "now": now, "lead": lead, "borough": borough, "person": person.username},
    )
