"""Which records are one child: decisions as events with evidence and author, and what they come to.

Nothing is moved or destroyed by a merge. Its event stands, and `child.cluster_id` says what the events that stand
come to: every record of a child names the one record that it continues as, so there is no chain to follow. Notes,
flags and alerts stay on the record that they are on, and a child is read as the union of its records.
"""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.linkage.decide import Decision
from server.linkage.newly import Basis, new_evidence
from server.linkage.standardise import Record
from server.records import briefing, children
from server.storage.port import Transaction


class Action(StrEnum):
    """What an event says."""

    MERGE = "merge"
    NOT_SAME = "not_same"
    """Two records are not one child. It persists, until there is new evidence."""
    CANNOT_TELL = "cannot_tell"
    CONFIRM = "confirm"
    """A person knows a provisional record to be a child of their own."""
    UNDO = "undo"
    """Takes back the event that it names."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. `one_id` and `other_id` are the records as they were named; `other_id` is None to confirm."""

    event_id: int
    action: Action
    one_id: int
    other_id: int | None
    undoes: int | None
    author: str
    at: int
    probability: float | None
    weight: float | None
    reason: str


_COLUMNS = Event.__struct_fields__
_EVENT = "SELECT " + ", ".join(f"e.{name}" for name in _COLUMNS) + " FROM merge_event e"
_STANDS = "NOT EXISTS (SELECT 1 FROM merge_event u WHERE u.undoes = e.event_id)"
_encoder = msgspec.msgpack.Encoder()
_basis_decoder = msgspec.msgpack.Decoder(Basis)


@audited(Verb.COMBINATION)
def decide(
    tx: Transaction,
    actor: Actor,
    action: Action,
    one_id: int,
    other_id: int | None,
    *,
    now: int,
    reason: str,
    undoes: int | None = None,
    probability: float | None = None,
    weight: float | None = None,
    evidence: Decision | None = None,
) -> int:
    """Write a decision down, with what both records said at that time; its id.

    A second event that takes back the same one is a StorageConflict.
    """
    basis = None if other_id is None else basis_of(tx, one_id, other_id)
    event_id: int = tx.insert(
        "INSERT INTO merge_event (action, one_id, other_id, undoes, author, at, probability, weight, reason,"
        " evidence, basis) VALUES (:action, :one, :other, :undoes, :author, :now, :probability, :weight,"
        " :reason, :evidence, :basis)",
        {
            "action": action.value,
            "one": one_id,
            "other": other_id,
            "undoes": undoes,
            "author": actor.id if actor.kind == "person" else actor.kind,
            "now": now,
            "probability": probability,
            "weight": weight,
            "reason": reason,
            "evidence": _encoder.encode(evidence) if evidence else None,
            "basis": _encoder.encode(basis) if basis else None,
        },
        "event_id",
    )
    ids = [one_id] if other_id is None else [one_id, other_id]
    record(tx, actor, Verb.COMBINATION, "child", ids, now=now)
    return event_id


@impersonal("standardised descriptions, for the server's own work")
def basis_of(tx: Transaction, one_id: int, other_id: int) -> Basis:
    """What two records say now. Official numbers in the notes on a record count as its own."""
    return Basis(_with_numbers(tx, one_id), _with_numbers(tx, other_id))


def _with_numbers(tx: Transaction, child_id: int) -> Record:
    found = children.record_of(tx, child_id)
    if found.upn and found.nhs_number:
        return found
    described = [
        msgspec.msgpack.decode(encoded, type=Record)
        for (encoded,) in tx.rows(
            "SELECT record FROM subject WHERE child_id = :child ORDER BY subject_id", {"child": child_id}
        )
    ]
    return msgspec.structs.replace(
        found,
        upn=found.upn or next((one.upn for one in described if one.upn), ""),
        nhs_number=found.nhs_number or next((one.nhs_number for one in described if one.nhs_number), ""),
    )


@impersonal("one decision by number")
def standing(tx: Transaction, event_id: int) -> Event | None:
    """A decision that nobody has taken back; None for any other number."""
    row = tx.row(
        f"{_EVENT} WHERE e.event_id = :event AND e.undoes IS NULL AND {_STANDS}", {"event": event_id}
    )
    return _event(row) if row else None


@impersonal("one decision by number")
def taken_back(tx: Transaction, event_id: int) -> Event | None:
    """A decision that somebody has taken back; None for any other number."""
    row = tx.row(f"{_EVENT} WHERE e.event_id = :event AND NOT {_STANDS}", {"event": event_id})
    return _event(row) if row else None


@impersonal("decisions by number; a person sees them with the child, whose showing is logged")
def history(tx: Transaction, child_ids: Collection[int]) -> list[Event]:
    """Every decision on these records, oldest first, those that were taken back included."""
    wanted, marks = _marks(child_ids)
    rows = tx.rows(
        f"{_EVENT} WHERE e.one_id IN ({wanted}) OR e.other_id IN ({wanted}) ORDER BY e.event_id", marks
    )
    return [_event(row) for row in rows]


@impersonal("decisions by number; nothing of a child")
def apart(tx: Transaction, ones: Collection[int], others: Collection[int]) -> Event | None:
    """The "not the same" that stands between these records and those, with nothing new known since."""
    return next((event for event in _between(tx, ones, others) if event.action is Action.NOT_SAME), None)


@impersonal("a yes or a no")
def answered(tx: Transaction, ones: Collection[int], others: Collection[int]) -> bool:
    """Whether a person has decided on such a pair already, or parted it, and nothing new is known since."""
    return bool(_between(tx, ones, others))


def _between(tx: Transaction, ones: Collection[int], others: Collection[int]) -> list[Event]:
    """Decisions against a merge that stand between two groups of records, but for those with new evidence.

    Taking a merge back is one: the program does not propose anew what a person has just parted.
    """
    wanted, marks = _marks({*ones, *others})
    events = [
        (_event(row[:-1]), row[-1])
        for row in tx.rows(
            "SELECT " + ", ".join(f"e.{name}" for name in _COLUMNS) + ", e.basis FROM merge_event e"
            f" LEFT JOIN merge_event b ON b.event_id = e.undoes WHERE e.one_id IN ({wanted})"
            f" AND e.other_id IN ({wanted}) AND {_STANDS}"
            " AND (e.action IN ('not_same', 'cannot_tell') OR b.action = 'merge') ORDER BY e.event_id",
            marks,
        )
    ]
    found = []
    for event, basis in events:
        assert event.other_id is not None, "only two records can be apart"
        crosses = (event.one_id in ones) != (event.other_id in ones)
        now = basis_of(tx, event.one_id, event.other_id)
        if crosses and new_evidence(_basis_decoder.decode(basis), now) is None:
            found.append(event)
    return found


class Group(msgspec.Struct, frozen=True):
    """Records that are one child, the one that it continues as first."""

    record_ids: tuple[int, ...]

    @property
    def kept_id(self) -> int:
        return self.record_ids[0]


@impersonal("numbers of records; the decision that groups them anew is logged by `decide`")
def regroup(tx: Transaction, child_ids: Collection[int]) -> list[Group]:
    """Make `cluster_id` of these records (whole children) what the merges that stand come to.

    A child continues as its record in the registry, else as one that a person confirmed, else as the oldest.
    """
    wanted, marks = _marks(child_ids)
    order = [
        child_id
        for (child_id,) in tx.rows(
            f"SELECT child_id FROM child WHERE child_id IN ({wanted}) ORDER BY registry_id IS NULL,"
            " CASE standing WHEN 'known' THEN 0 WHEN 'retired' THEN 2 ELSE 1 END, child_id",
            marks,
        )
    ]
    pairs = tx.rows(
        f"SELECT e.one_id, e.other_id FROM merge_event e WHERE e.action = 'merge' AND {_STANDS}"
        f" AND e.one_id IN ({wanted}) AND e.other_id IN ({wanted})",
        marks,
    )
    groups = [Group(tuple(one for one in order if one in group)) for group in _components(order, pairs)]
    briefing.touch(tx, *order)
    tx.executemany(
        "UPDATE child SET cluster_id = :cluster, cluster_owner = NULL WHERE child_id = :child",
        [
            {"child": child_id, "cluster": group.kept_id if len(group.record_ids) > 1 else None}
            for group in groups
            for child_id in group.record_ids
        ],
    )
    return groups


def _components(ids: Iterable[int], pairs: Iterable[Sequence[int]]) -> list[set[int]]:
    """The ids in groups, so that both of each pair are in one."""
    groups = [{one} for one in ids]
    for one, other in pairs:
        joined = [group for group in groups if one in group or other in group]
        groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return groups


def _marks(ids: Collection[int]) -> tuple[str, dict[str, object]]:
    marks: dict[str, object] = {f"i{index}": one for index, one in enumerate(sorted(ids))}
    return ", ".join(f":{name}" for name in marks), marks


def _event(row: Sequence[object]) -> Event:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Event)
