"""Pairs of records that may be one child, which wait for a person: proposed by a program, never merged by one."""

from collections.abc import Sequence

import msgspec

from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.facts import in_danger
from server.linkage.decide import Decision
from server.records import children, clusters, note_subjects
from server.records.child import Standing
from server.records.whole import RESTRICTED
from server.storage.port import Transaction

PROPOSALS_SHOWN_MAX = 200
PROPOSALS_COUNTED_MAX = 100  # every page counts what waits, and a registry may hold tens of thousands

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Decision)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that may be one child. `danger`: one of them is in danger now. `urgency` is that of the gravest flag
    on either, 0 to 3, -1 without any.

    `event_id`: the decision that answered it.
    """

    proposal_id: int
    child_a: int
    child_b: int
    author: str
    proposed_at: int
    probability: float | None
    weight: float | None
    reason: str
    closed_at: int | None
    closed_by: str | None
    answer: str | None
    event_id: int | None
    urgency: int
    danger: bool = False


_STORED = [name for name in Proposal.__struct_fields__ if name not in ("urgency", "danger")]
_URGENCY = (
    "COALESCE((SELECT MAX(CASE f.grade WHEN 'red' THEN 3 WHEN 'amber' THEN 2 WHEN 'green' THEN 1 ELSE 0 END)"
    " FROM flag f WHERE f.child_id IN (p.child_a, p.child_b) AND f.retracted_at IS NULL), -1)"
)
_PROPOSAL = (
    "SELECT " + ", ".join(f"p.{name}" for name in _STORED) + f", {_URGENCY} AS urgency FROM merge_proposal p"
)


@audited(Verb.COMBINATION)
def propose(
    tx: Transaction,
    actor: Actor,
    child_a: int,
    child_b: int,
    *,
    probability: float | None,
    weight: float | None,
    evidence: Decision | None,
    reason: str,
    now: int,
) -> int:
    """Ask a person whether two records are one child; the proposal's number, 0 where it is not asked anew.

    It is not asked of records that are one child already, that wait for a review or hold nothing, that a note
    names side by side as two people, or on which a person has decided with nothing new known since. Where it
    waits already, on these records or on others of the same two children, it is not asked a second time.
    `evidence` weighs the record with the lower number as the one described.
    """
    low, high = sorted((child_a, child_b))
    ones, others = children.whole(tx, [low]), children.whole(tx, [high])
    able = {Standing.KNOWN, Standing.PROVISIONAL}
    if high in ones or not {children.standing_of(tx, low), children.standing_of(tx, high)} <= able:
        return 0
    if asked(tx, ones, others):
        return 0
    if _named_side_by_side(tx, ones, others) or clusters.answered(tx, ones, others):
        return 0
    marks = {
        "low": low, "high": high, "author": actor.id if actor.kind == "person" else actor.kind, "now": now,
        "probability": probability, "weight": weight, "reason": reason,
        "evidence": _encoder.encode(evidence) if evidence else None,
    }  # fmt: skip
    proposal_id: int = tx.value(
        "INSERT INTO merge_proposal (child_a, child_b, author, proposed_at, probability, weight, reason, evidence)"
        " VALUES (:low, :high, :author, :now, :probability, :weight, :reason, :evidence)"
        " ON CONFLICT (child_a, child_b) DO UPDATE SET author = excluded.author,"
        " probability = excluded.probability, weight = excluded.weight, reason = excluded.reason,"
        " evidence = excluded.evidence, closed_at = NULL, closed_by = NULL, answer = NULL, event_id = NULL,"
        " proposed_at = excluded.proposed_at RETURNING proposal_id",
        marks,
    )
    record(tx, actor, Verb.COMBINATION, "child", [low, high], now=now, reason="proposed")
    return proposal_id


@impersonal("a yes or a no")
def asked(tx: Transaction, ones: frozenset[int], others: frozenset[int]) -> bool:
    """Whether a proposal waits between these records and those."""
    left, right, marks = _two_sides(ones, others)
    found = tx.row(
        "SELECT 1 FROM merge_proposal WHERE closed_at IS NULL AND"
        f" (child_a IN ({left}) AND child_b IN ({right}) OR child_a IN ({right}) AND child_b IN ({left})) LIMIT 1",
        marks,
    )
    return found is not None


def _named_side_by_side(tx: Transaction, ones: frozenset[int], others: frozenset[int]) -> bool:
    left, right, marks = _two_sides(ones, others)
    found = tx.row(
        "SELECT 1 FROM subject s JOIN subject o ON o.note_key = s.note_key"
        f" WHERE s.child_id IN ({left}) AND o.child_id IN ({right}) LIMIT 1",
        marks,
    )
    return found is not None


def _two_sides(ones: frozenset[int], others: frozenset[int]) -> tuple[str, str, dict[str, object]]:
    marks: dict[str, object] = {f"a{index}": one for index, one in enumerate(sorted(ones))}
    marks |= {f"b{index}": one for index, one in enumerate(sorted(others))}
    left = ", ".join(f":a{index}" for index in range(len(ones)))
    right = ", ".join(f":b{index}" for index in range(len(others)))
    return left, right, marks


@impersonal("numbers only; the records are shown, and logged, one pair at a time")
def waiting(tx: Transaction, person: Person) -> list[Proposal]:
    """The open proposals that this person may decide, by what is at stake: danger now first, then the gravest
    flag, then the oldest.

    Both records must be in the person's boroughs, and neither restricted to others.
    """
    if not person.may(Permission.DECIDE_LINKS):
        return []
    scope, marks = _open_to(person)
    rows = tx.rows(
        f"{_PROPOSAL} WHERE {scope} ORDER BY urgency DESC, p.proposed_at, p.proposal_id LIMIT :most",
        {**marks, "most": PROPOSALS_SHOWN_MAX},
    )
    # Danger is told by notes alone, and a note that tells of it has raised a flag.
    found = [_proposal(row) for row in rows]
    told = [
        msgspec.structs.replace(one, danger=_in_danger(tx, one)) if one.urgency >= 0 else one for one in found
    ]
    return sorted(told, key=lambda one: not one.danger)


def _in_danger(tx: Transaction, pair: Proposal) -> bool:
    return any(
        in_danger(note_subjects.facts_of_child(tx, child_id)) for child_id in (pair.child_a, pair.child_b)
    )


@impersonal("a count")
def count_waiting(tx: Transaction, person: Person) -> int:
    """How many proposals wait for this person, `PROPOSALS_COUNTED_MAX` for any more."""
    if not person.may(Permission.DECIDE_LINKS):
        return 0
    scope, marks = _open_to(person)
    found: int = tx.value(
        f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM merge_proposal p WHERE {scope} LIMIT :most) AS t",
        {**marks, "most": PROPOSALS_COUNTED_MAX},
    )
    return found


def _open_to(person: Person) -> tuple[str, dict[str, object]]:
    """The condition that an open proposal `p` is one that this person may decide."""
    conditions, marks = ["p.closed_at IS NULL"], dict[str, object]()
    if not person.sees_borough(None):
        marks |= {f"b{index}": code for index, code in enumerate(sorted(person.boroughs))}
        wanted = ", ".join(f":{name}" for name in marks) or "NULL"
        # A child's boroughs are those of all its records, and most children have one.
        conditions += [
            f"(EXISTS (SELECT 1 FROM child_borough v WHERE v.child_id = p.{side} AND v.borough IN ({wanted}))"
            " OR EXISTS (SELECT 1 FROM child c JOIN child m ON m.cluster_id = c.cluster_id"
            " JOIN child_borough v ON v.child_id = m.child_id"
            f" WHERE c.child_id = p.{side} AND v.borough IN ({wanted})))"
            for side in ("child_a", "child_b")
        ]
    if not person.may(Permission.SEE_RESTRICTED):
        conditions.append(
            "NOT EXISTS (SELECT 1 FROM child c WHERE c.child_id IN (p.child_a, p.child_b)"
            f" AND {RESTRICTED} = 1)"
        )
    return " AND ".join(conditions), marks


@impersonal("numbers only; raises NotAllowed without saying whether there is one")
def require(tx: Transaction, person: Person, proposal_id: int) -> Proposal:
    """A proposal, for somebody whose role decides links. Ask `children_shown.require_sight` of both records besides."""
    row = tx.row(f"{_PROPOSAL} WHERE p.proposal_id = :proposal", {"proposal": proposal_id})
    if row is None or not person.may(Permission.DECIDE_LINKS):
        raise NotAllowed("There is no such proposal among those you may decide.")
    found = _proposal(row)
    return msgspec.structs.replace(found, danger=_in_danger(tx, found))


@impersonal("what linkage weighed, by number; the records are shown, and logged, beside it")
def evidence(tx: Transaction, proposal_id: int) -> Decision | None:
    """What a proposal was made on, with its second record as the one candidate; None where a person made it."""
    stored = tx.value(
        "SELECT evidence FROM merge_proposal WHERE proposal_id = :proposal", {"proposal": proposal_id}
    )
    return None if stored is None else _decoder.decode(stored)


@impersonal("an answer in one word")
def close(
    tx: Transaction,
    ones: Sequence[int],
    others: Sequence[int],
    answer: str,
    event_id: int,
    by: str,
    *,
    now: int,
) -> None:
    """Close the open proposals between these records and those: a person has decided."""
    for one in ones:
        for other in others:
            low, high = sorted((one, other))
            tx.execute(
                "UPDATE merge_proposal SET closed_at = :now, closed_by = :by, answer = :answer, event_id = :event"
                " WHERE child_a = :low AND child_b = :high AND closed_at IS NULL",
                {"now": now, "by": by, "answer": answer, "event": event_id, "low": low, "high": high},
            )


@impersonal("numbers only")
def reopen(tx: Transaction, event_id: int) -> None:
    """Let the proposals wait again that this decision answered: it was taken back."""
    tx.execute(
        "UPDATE merge_proposal SET closed_at = NULL, closed_by = NULL, answer = NULL, event_id = NULL"
        " WHERE event_id = :event",
        {"event": event_id},
    )


def _proposal(row: Sequence[object]) -> Proposal:
    return msgspec.convert(dict(zip([*_STORED, "urgency"], row, strict=True)), Proposal)
