"""Children as people are shown them: who may see a record, and the entry that says that they did."""

from collections.abc import Sequence

import msgspec

from server.access import restricted
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.records.child import Child, Circumstances, Details, Marker, Standing, together
from server.records.children import boroughs, kept, kept_of, whole
from server.records.whole import RESTRICTED
from server.storage.port import Transaction

_details_decoder = msgspec.json.Decoder(Details)


@impersonal("a yes or a no; raises NotAllowed without saying whether there is such a child")
def require_sight(tx: Transaction, person: Person, child_id: int, reason: str | None = None) -> None:
    """Raise NotAllowed unless `person` may see this child; ReasonNeeded where they must say why first.

    A record that is kept only because its notes moved elsewhere tells of the children they moved to.
    """
    row = tx.row(
        f"SELECT {RESTRICTED}, c.standing, c.cluster_id FROM child c WHERE c.child_id = :child",
        {"child": child_id},
    )
    led_to: list[tuple[int]] = []
    if row is not None and row[1] == Standing.RETIRED.value and row[2] is None:
        led_to = tx.rows(
            "SELECT DISTINCT s.child_id FROM link_event e JOIN subject s ON s.subject_id = e.subject_id"
            " WHERE e.child_id = :child AND s.child_id <> :child",
            {"child": child_id},
        )
    # Nothing stands any more on a record whose notes moved, so it belongs to whoever sees where they went.
    in_scope = bool(led_to) or any(person.sees_borough(code) for code in boroughs(tx, child_id))
    if row is None or not person.may(Permission.SEE_CHILDREN) or not (in_scope or person.sees_borough(None)):
        raise NotAllowed("There is no such child among those you may see.")
    restricted.require(person, restricted=bool(row[0]), reason=reason)
    for (other,) in led_to:
        require_sight(tx, person, other, reason)


@audited(Verb.CONSULTATION)
def show(tx: Transaction, person: Person, child_id: int, *, now: int, reason: str | None = None) -> Child:
    """A child whom `person` may see, whole: any of its records leads to the kept one.

    Raises NotAllowed (also where there is none) and ReasonNeeded.
    """
    require_sight(tx, person, child_id, reason)
    kept_id = kept(tx, child_id)
    others = sorted(whole(tx, [kept_id]) - {kept_id})
    found = together(_read(tx, [kept_id, *others]))
    given = restricted.plain_reason(reason) if found.circumstances.restricted else None
    if given is not None:
        _keep_reason(tx, person, kept_id, given, now)
    record(
        tx,
        Actor("person", person.username),
        Verb.CONSULTATION,
        "child",
        [kept_id, *others],
        now=now,
        reason="restricted record" if given else None,
    )
    return found


@audited(Verb.CONSULTATION)
def candidates(tx: Transaction, person: Person, child_ids: Sequence[int], *, now: int) -> list[Child]:
    """The children a reviewer must choose between, each shown whole but those restricted to others."""
    shown = [
        child
        for child in _read(tx, child_ids)
        if not child.circumstances.restricted or person.may(Permission.SEE_RESTRICTED)
    ]
    if shown:
        ids = [child.child_id for child in shown]
        record(
            tx, Actor("person", person.username), Verb.CONSULTATION, "child", ids, now=now, reason="review"
        )
    return shown


@audited(Verb.CONSULTATION)
def names(tx: Transaction, person: Person, child_ids: Sequence[int], *, now: int) -> dict[int, Child]:
    """The children of a list (a queue), by id, a merged record as the child that it continues as; the restricted are
    left out for those who may not see them."""
    as_kept = kept_of(tx, child_ids)
    found = {child.child_id: child for child in _read(tx, sorted(set(child_ids) | set(as_kept.values())))}
    shown = {}
    for child_id in dict.fromkeys(child_ids):
        records = [found[one] for one in {child_id, as_kept.get(child_id, child_id)} if one in found]
        restricted = any(one.circumstances.restricted for one in records)
        if child_id in found and (not restricted or person.may(Permission.SEE_RESTRICTED)):
            shown[child_id] = found[as_kept.get(child_id, child_id)]
    if shown:
        # The reason tells a name in a list from an opened record, where one asks who has looked.
        actor = Actor("person", person.username)
        record(tx, actor, Verb.CONSULTATION, "child", sorted(shown), now=now, reason="list")
    return shown


@audited(Verb.ALTERATION)
def set_marker(
    tx: Transaction,
    person: Person,
    child_id: int,
    kind: str,
    reason: str,
    *,
    now: int,
    expires_at: int | None = None,
) -> int:
    """Put a marker on a child, with who, why and until when. The marker's id."""
    require_sight(tx, person, child_id, reason)
    marker_id: int = tx.insert(
        "INSERT INTO marker (child_id, kind, reason, author, set_at, expires_at)"
        " VALUES (:child, :kind, :reason, :author, :now, :expires)",
        {
            "child": child_id,
            "kind": kind,
            "reason": reason,
            "author": person.username,
            "now": now,
            "expires": expires_at,
        },
        "marker_id",
    )
    record(tx, Actor("person", person.username), Verb.ALTERATION, "child", [child_id], now=now)
    return marker_id


def _keep_reason(tx: Transaction, person: Person, child_id: int, reason: str, now: int) -> None:
    """Keep the person's own words beside the audit entry, which holds none. Written at commit, so in reads too."""
    values = {"child": child_id, "person": person.username, "reason": reason, "now": now}

    def keep(last: Transaction) -> None:
        last.execute(
            "INSERT INTO restricted_reason (child_id, person, reason, at)"
            " VALUES (:child, :person, :reason, :now)",
            values,
        )

    tx.at_commit(keep)


@audited(Verb.CONSULTATION)
def hits(
    tx: Transaction, person: Person, child_ids: Sequence[int], *, now: int, reason: str | None = None
) -> list[Child]:
    """The children that a search shows, each in this person's sight; `reason` where restricted ones are among
    them. The entry says that it was a search, and never what was typed."""
    shown = _read(tx, child_ids)
    if shown:
        record(
            tx, Actor("person", person.username), Verb.CONSULTATION, "child",
            [child.child_id for child in shown], now=now, reason="search",
        )  # fmt: skip
    given = restricted.plain_reason(reason)
    for child in shown:
        if child.circumstances.restricted and given is not None:
            _keep_reason(tx, person, child.child_id, given, now)
    return shown


@audited(Verb.CONSULTATION)
def elsewhere(tx: Transaction, person: Person, child_ids: Sequence[int], *, now: int) -> list[str]:
    """The boroughs to ask about children that this person may not see; of the children nothing."""
    if not child_ids:
        return []
    marks = {f"c{index}": child_id for index, child_id in enumerate(child_ids)}
    rows = tx.rows(
        "SELECT c.child_id, COALESCE(c.owner_borough, (SELECT MIN(b.borough) FROM child_borough b"
        " WHERE b.child_id = c.child_id)) FROM child c"
        f" WHERE {RESTRICTED} = 0 AND c.child_id IN ({', '.join(f':{name}' for name in marks)})"
        " ORDER BY c.child_id",
        marks,
    )
    told = {child_id: code for child_id, code in rows if code}
    if told:
        actor = Actor("person", person.username)
        record(tx, actor, Verb.CONSULTATION, "child", list(told), now=now, reason="search: borough only")
    return sorted(set(told.values()))


def _read(tx: Transaction, child_ids: Sequence[int]) -> list[Child]:
    """The children with these ids, in that order; unknown ids are left out."""
    if not child_ids:
        return []
    marks = {f"c{index}": child_id for index, child_id in enumerate(child_ids)}
    wanted = ", ".join(f":{name}" for name in marks)
    markers: dict[int, list[Marker]] = {}
    for child_id, *rest in tx.rows(
        "SELECT child_id, marker_id, kind, reason, author, set_at, expires_at FROM marker"
        f" WHERE child_id IN ({wanted}) ORDER BY marker_id",
        marks,
    ):
        markers.setdefault(child_id, []).append(Marker(*rest))
    rows = tx.rows(
        "SELECT c.child_id, c.standing, c.registry_id, c.details, c.home_borough, c.school_borough,"
        f" c.responsible_authority, c.looked_after, {RESTRICTED}, COALESCE(c.cluster_owner, c.owner_borough),"
        f" c.rev, c.created_at, c.left_registry_at FROM child c WHERE c.child_id IN ({wanted})",
        marks,
    )
    found = {
        row[0]: Child(
            child_id=row[0],
            standing=Standing(row[1]),
            registry_id=row[2],
            details=_details_decoder.decode(row[3]),
            circumstances=Circumstances(
                home_borough=row[4],
                school_borough=row[5],
                responsible_authority=row[6],
                looked_after=bool(row[7]),
                restricted=bool(row[8]),
            ),
            owner_borough=row[9],
            markers=tuple(markers.get(row[0], ())),
            rev=row[10],
            created_at=row[11],
            left_registry_at=row[12],
        )
        for row in rows
    }
    return [found[child_id] for child_id in dict.fromkeys(child_ids) if child_id in found]
