"""Children who come to notice again and again, and for whom nobody has made a referral yet."""

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, record
from server.casework.facts import DAY_MS
from server.casework.incidents import find_incidents
from server.casework.pack import Pack
from server.records import cases, note_subjects
from server.storage.port import Transaction
from sync.vocabulary import CATEGORY_LABELS, Grade, NoteOutcome

WINDOW_DAYS = 90
"""As long as the default rules look back."""

LOOKED_AT_MAX = 200
"""Children with the most notes in the window; a borough with more needs another tool than a list."""

REFERRALS = (NoteOutcome.REFERRED, NoteOutcome.STRATEGY_DISCUSSION)


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """A child with two incidents or more in the window. `why` is a sentence; times in milliseconds."""

    child_id: int
    borough: str
    grade: Grade | None
    danger: bool
    incidents: int
    last_at: int
    why: str


@audited(Verb.CONSULTATION)
def coming_to_notice(
    tx: Transaction, person: Person, pack: Pack, *, now: int, borough: str | None = None
) -> list[Noticed]:
    """The children of this person's boroughs (or one of them): danger first, then the gravest flag, then the most
    incidents. Left out: those with a referral, a strategy discussion or an open case since the first of the notes.

    Raises NotAllowed.
    """
    if not (person.may(Permission.SEE_ALERTS) and person.may(Permission.SEE_CHILDREN)):
        raise NotAllowed("Your role does not see children.")
    since = now - WINDOW_DAYS * DAY_MS
    wanted = "1 = 1"
    marks: dict[str, object] = {"since": since, "most": LOOKED_AT_MAX}
    if borough is not None or not person.sees_borough(None):
        codes = [code for code in sorted(person.boroughs) if borough in (None, code)]
        marks |= {f"b{index}": code for index, code in enumerate(codes)}
        wanted = f"owner IN ({', '.join(f':b{index}' for index in range(len(codes))) or 'NULL'})"
    found = []
    for child_id, owner in tx.rows(_REPEATED.format(wanted=wanted), marks):
        one = _noticed(tx, child_id, owner or "", pack, since)
        if one is not None:
            found.append(one)
    found.sort(
        key=lambda one: (
            not one.danger, -(one.grade.urgency if one.grade else -1), -one.incidents, -one.last_at, one.child_id,
        )
    )  # fmt: skip
    ids = [one.child_id for one in found]
    record(tx, Actor("person", person.username), Verb.CONSULTATION, "child", ids, now=now, reason="list")
    return found


# CROSS JOIN: SQLite then begins with the notes of the window, by their index, and not with every subject there is.
_REPEATED = (
    "SELECT kept, owner FROM (SELECT COALESCE(c.cluster_id, c.child_id) AS kept,"
    " MAX(COALESCE(c.cluster_owner, c.owner_borough)) AS owner, COUNT(DISTINCT n.note_key) AS notes,"
    " MIN(n.received_at) AS first_at FROM note n CROSS JOIN subject s CROSS JOIN child c"
    " WHERE s.note_key = n.note_key AND c.child_id = s.child_id AND n.observed_at >= :since AND n.withdrawn_at IS NULL"
    " GROUP BY COALESCE(c.cluster_id, c.child_id)) r WHERE notes > 1 AND {wanted}"
    " AND NOT EXISTS (SELECT 1 FROM child m JOIN child_case k ON k.child_id = m.child_id AND k.closed_at IS NULL"
    " WHERE m.child_id = r.kept OR m.cluster_id = r.kept)"
    " AND NOT EXISTS (SELECT 1 FROM child m JOIN alert a ON a.child_id = m.child_id WHERE (m.child_id = r.kept"
    " OR m.cluster_id = r.kept) AND a.closed_at >= r.first_at"
    f" AND a.outcome IN ({', '.join(repr(one.value) for one in REFERRALS)}))"
    " ORDER BY notes DESC, kept LIMIT :most"
)


def _noticed(tx: Transaction, child_id: int, borough: str, pack: Pack, since: int) -> Noticed | None:
    facts = [
        fact
        for fact in note_subjects.facts_together(tx, child_id)
        if fact.observed_at >= since and not fact.withdrawn and fact.role in pack.counted_roles
    ]
    incidents = find_incidents(facts, pack)
    if len(incidents) < 2:
        return None
    flags = cases.flags_of(tx, child_id)
    grade = max((flag.grade for flag in flags), key=lambda one: one.urgency, default=None)
    danger = any(fact.danger_now for fact in facts)
    counted: dict[str, int] = {}
    for fact in facts:
        for category in fact.categories[:1]:
            label = CATEGORY_LABELS[category].lower()
            counted[label] = counted.get(label, 0) + 1
    about = ", ".join(sorted(counted, key=lambda label: (-counted[label], label))[:3])
    officers, wards = len({fact.author for fact in facts}), len({fact.ward for fact in facts if fact.ward})
    told = [f"{officers} officers" if officers > 1 else "one officer"]
    told += [f"{wards} wards"] if wards > 1 else []
    why = f"{len(incidents)} incidents in {WINDOW_DAYS} days told by {' in '.join(told)}: {about}. No referral yet."
    return Noticed(
        child_id=child_id, borough=borough, grade=grade, danger=danger, incidents=len(incidents),
        last_at=max(fact.observed_at for fact in facts), why=("In danger now. " if danger else "") + why,
    )  # fmt: skip
