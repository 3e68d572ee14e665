"""What the rules need to know of a child."""

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec

from server.audit import impersonal
from server.casework.facts import ChildFacts
from server.records.child import Details
from server.storage.port import Transaction

MARKER_EXPLOITATION = "exploitation"
_details_decoder = msgspec.json.Decoder(Details)


@impersonal("what the rules need, for the server's own work; nothing is shown")
def facts(tx: Transaction, child_id: int, *, now: int) -> ChildFacts:
    """What casework needs to know of one record."""
    row = tx.row(_FACTS + " WHERE c.child_id = :child", _facts_marks(child_id, now))
    assert row is not None, "a child that notes point to is never deleted"
    return _facts(row)


@impersonal("what the rules need, for the server's own work; nothing is shown")
def facts_together(tx: Transaction, kept_id: int, *, now: int) -> ChildFacts:
    """What casework needs to know of a merged child: the kept record, its gaps filled from the others."""
    rows = tx.rows(_FACTS + " WHERE c.cluster_id = :child ORDER BY c.child_id", _facts_marks(kept_id, now))
    found = sorted(map(_facts, rows), key=lambda one: one.child_id != kept_id)
    kept = found[0]
    dated = next((one for one in found if one.date_of_birth is not None), None)
    aged = next((one for one in found if one.approximate_age is not None), kept)

    def first(name: str) -> str | None:
        return next((code for one in found if (code := getattr(one, name)) is not None), None)

    return msgspec.structs.replace(
        kept,
        date_of_birth=dated.date_of_birth if dated else None,
        approximate_age=None if dated else aged.approximate_age,
        age_as_of=None if dated else aged.age_as_of,
        looked_after=any(one.looked_after for one in found),
        exploitation_marker=any(one.exploitation_marker for one in found),
        home_borough=first("home_borough"),
        school_borough=first("school_borough"),
        responsible_authority=first("responsible_authority"),
        open_case_borough=first("open_case_borough"),
        open_case_lead=first("open_case_lead"),
        school_known=any(one.school_known for one in found),
        restricted=any(one.restricted for one in found),
    )


_FACTS = (
    "SELECT c.child_id, c.date_of_birth, c.looked_after, c.home_borough, c.school_borough,"
    " c.responsible_authority, c.restricted, c.details, (SELECT COUNT(*) FROM marker m"
    " WHERE m.child_id = c.child_id AND m.kind = :kind AND (m.expires_at IS NULL OR m.expires_at > :now)),"
    " c.cluster_id, k.borough, p.username FROM child c LEFT JOIN child_case k ON k.case_id = COALESCE("
    "(SELECT o.case_id FROM child_case o WHERE o.child_id = c.child_id AND o.closed_at IS NULL),"
    " (SELECT MIN(o.case_id) FROM child m JOIN child_case o ON o.child_id = m.child_id AND o.closed_at IS NULL"
    " WHERE m.cluster_id = c.cluster_id)) LEFT JOIN person p ON p.username = k.lead AND p.active = 1"
)


def _facts_marks(child_id: int, now: int) -> dict[str, object]:
    return {"child": child_id, "kind": MARKER_EXPLOITATION, "now": now}


def _facts(row: Sequence[Any]) -> ChildFacts:
    (child_id, born, looked_after, home, school, authority, is_restricted, details, marked, kept_id,
     case_borough, case_lead) = row  # fmt: skip
    known = _details_decoder.decode(details)
    age = None if born else known
    return ChildFacts(
        child_id=child_id,
        date_of_birth=datetime.date.fromisoformat(born) if born else None,
        approximate_age=age.approximate_age if age else None,
        age_as_of=age.age_as_of if age else None,
        looked_after=bool(looked_after),
        exploitation_marker=bool(marked),
        home_borough=home,
        school_borough=school,
        responsible_authority=authority,
        open_case_borough=case_borough,
        open_case_lead=case_lead,
        school_known=bool(known.school or school),
        restricted=bool(is_restricted),
        kept_id=kept_id,
    )


@impersonal("what the rules need of a child made a moment ago; nothing is shown")
def facts_of_new(child_id: int, details: Details) -> ChildFacts:
    """What casework needs to know of a child of which only one note tells."""
    return ChildFacts(
        child_id=child_id,
        date_of_birth=details.date_of_birth,
        approximate_age=details.approximate_age,
        age_as_of=details.age_as_of,
        school_known=bool(details.school),
    )
