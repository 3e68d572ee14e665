"""Known children: who they are, which boroughs have to do with them, and who may see the record."""

import datetime
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from server.access import restricted
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.facts import ChildFacts
from server.linkage.standardise import Description, Record, decode_record, encode_record
from server.records import index, search
from server.records.index import Entry, index_entry
from server.storage.port import Transaction

MARKER_EXPLOITATION = "exploitation"
YEAR_MS = 365.25 * 24 * 3600 * 1000


class Standing(StrEnum):
    """How sure the server is that this is a child of its own."""

    KNOWN = "known"
    """In the registry, or confirmed by a person."""
    PROVISIONAL = "provisional"
    """Made by linkage for a subject that is no known child; the next note may find it."""
    AWAITING_REVIEW = "awaiting_review"
    """Carries one subject's flags and alerts until a person has said which child it is."""
    RETIRED = "retired"
    """Its subjects turned out to be another child; kept for what points to it."""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a child, as written by whoever gave it. Everything may be missing."""

    given_names: str | None = None
    family_name: str | None = None
    aliases: tuple[str, ...] = ()
    date_of_birth: datetime.date | None = None
    approximate_age: float | None = None
    age_as_of: datetime.date | None = None
    sex: str | None = None
    address: str | None = None
    postcode: str | None = None
    school: str | None = None
    phone: str | None = None
    guardian: str | None = None
    upn: str | None = None
    nhs_number: str | None = None

    def description(self) -> Description:
        """The same for linkage."""
        return Description(
            given_names=self.given_names,
            family_name=self.family_name,
            aliases=self.aliases,
            date_of_birth=self.date_of_birth,
            age=self.approximate_age,
            observed_on=self.age_as_of,
            sex=self.sex,
            address=self.address,
            postcode=self.postcode,
            school=self.school,
            phone=self.phone,
            guardian=self.guardian,
            upn=self.upn,
            nhs_number=self.nhs_number,
        )


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which borough owns a child, beside where they were found. GSS codes."""

    home_borough: str | None = None
    school_borough: str | None = None
    responsible_authority: str | None = None
    looked_after: bool = False
    restricted: bool = False

    def owner(self) -> str | None:
        """The borough that owns the child while no note has said otherwise."""
        authority = self.responsible_authority if self.looked_after else None
        return authority or self.home_borough

    def boroughs(self) -> tuple[str, ...]:
        """Every borough that has to do with the child."""
        named = (self.home_borough, self.school_borough, self.responsible_authority)
        return tuple(code for code in dict.fromkeys(named) if code)


class Marker(msgspec.Struct, frozen=True):
    """An attribute of a child with author, reason and expiry."""

    marker_id: int
    kind: str
    reason: str
    author: str
    set_at: int
    expires_at: int | None


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A child as a person may be shown one."""

    child_id: int
    standing: Standing
    registry_id: str | None
    details: Details
    circumstances: Circumstances
    owner_borough: str | None
    markers: tuple[Marker, ...]
    rev: int
    created_at: int
    left_registry_at: int | None = None
    """Since when the registry has left out a child that it once had, in milliseconds."""


encode_details = msgspec.json.Encoder().encode
_details_decoder = msgspec.json.Decoder(Details)

_INSERT = (
    "INSERT INTO child (registry_id, standing, restricted, looked_after, home_borough, school_borough,"
    " responsible_authority, owner_borough, date_of_birth, details, record, indexed, created_at, updated_at)"
    " VALUES (:registry_id, :standing, :restricted, :looked_after, :home_borough, :school_borough,"
    " :responsible_authority, :owner_borough, :date_of_birth, :details, :record, :indexed, :now, :now)"
)


@audited(Verb.COLLECTION)
def add(
    tx: Transaction,
    actor: Actor,
    details: Details,
    record_: Record,
    standing: Standing,
    *,
    now: int,
    entry: Entry | None = None,
    circumstances: Circumstances | None = None,
    registry_id: str | None = None,
) -> int:
    """Add a child and what it is found by (none: linkage does not find it yet). The child's id."""
    circumstances = circumstances or Circumstances()
    values = {
        "registry_id": registry_id,
        "standing": standing.value,
        "restricted": int(circumstances.restricted),
        "looked_after": int(circumstances.looked_after),
        "home_borough": circumstances.home_borough,
        "school_borough": circumstances.school_borough,
        "responsible_authority": circumstances.responsible_authority,
        "owner_borough": circumstances.owner(),
        "date_of_birth": details.date_of_birth.isoformat() if details.date_of_birth else None,
        "details": encode_details(details),
        "record": encode_record(record_),
        "indexed": index.encode_entry(entry) if entry else None,
        "now": now,
    }
    child_id = tx.insert(_INSERT, values, "child_id")
    if entry:
        index.enter(tx, [(child_id, entry)])
    search.changed(tx, [child_id])
    add_boroughs(tx, child_id, circumstances.boroughs())
    record(tx, actor, Verb.COLLECTION, "child", [child_id], now=now)
    return child_id


@impersonal("borough codes beside a child's number; showing the child is what is logged")
def add_boroughs(tx: Transaction, child_id: int, boroughs: Iterable[str]) -> None:
    """Let these boroughs see the child; those that may already stay."""
    tx.executemany(
        "INSERT INTO child_borough (child_id, borough) VALUES (:child, :borough)"
        " ON CONFLICT (child_id, borough) DO NOTHING",
        [{"child": child_id, "borough": code} for code in boroughs],
    )


@audited(Verb.ALTERATION)
def set_standing(tx: Transaction, actor: Actor, child_id: int, standing: Standing, *, now: int) -> None:
    """Change how sure the server is of a child. A provisional or known child can be found by linkage."""
    findable = standing in (Standing.KNOWN, Standing.PROVISIONAL)
    row = tx.row("SELECT record, indexed FROM child WHERE child_id = :child", {"child": child_id})
    assert row is not None, "a standing is given to a child that there is"
    if row[1] is not None:
        index.leave(tx, child_id, index.decode_entry(row[1]))
    entry = index_entry(decode_record(row[0])) if findable else None
    if entry:
        index.enter(tx, [(child_id, entry)])
    tx.execute(
        "UPDATE child SET standing = :standing, indexed = :indexed, updated_at = :now, rev = rev + 1"
        " WHERE child_id = :child",
        {
            "standing": standing.value,
            "indexed": index.encode_entry(entry) if entry else None,
            "now": now,
            "child": child_id,
        },
    )
    search.changed(tx, [child_id])
    record(tx, actor, Verb.ALTERATION, "child", [child_id], now=now)


@impersonal("what the rules need, for the server's own work; nothing is shown")
def facts(tx: Transaction, child_id: int, *, now: int) -> ChildFacts:
    """What casework needs to know of a child."""
    row = tx.row(
        "SELECT date_of_birth, looked_after, home_borough, school_borough, responsible_authority,"
        " restricted, details, (SELECT COUNT(*) FROM marker m WHERE m.child_id = c.child_id"
        " AND m.kind = :kind AND (m.expires_at IS NULL OR m.expires_at > :now))"
        " FROM child c WHERE c.child_id = :child",
        {"child": child_id, "kind": MARKER_EXPLOITATION, "now": now},
    )
    assert row is not None, "a child that notes point to is never deleted"
    born, looked_after, home, school, authority, is_restricted, details, marked = row
    age = None if born else _details_decoder.decode(details)
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
        restricted=bool(is_restricted),
    )


@impersonal("a borough code")
def owner(tx: Transaction, child_id: int) -> str | None:
    """The borough that owns a child, once a note has given it one."""
    code: str | None = tx.value(
        "SELECT owner_borough FROM child WHERE child_id = :child", {"child": child_id}
    )
    return code


@impersonal("a count of subjects; the change of standing is logged by `set_standing`")
def retire_if_empty(tx: Transaction, actor: Actor, child_id: int, *, now: int) -> bool:
    """Retire a child that the server made, once no subject stands on it. True where it did."""
    left = tx.value("SELECT COUNT(*) FROM subject WHERE child_id = :child", {"child": child_id})
    row = tx.row("SELECT standing, registry_id FROM child WHERE child_id = :child", {"child": child_id})
    if left or row is None or row[1] is not None or Standing(row[0]) is Standing.RETIRED:
        return False
    set_standing(tx, actor, child_id, Standing.RETIRED, now=now)
    return True


@impersonal("what the rules need of a child made a moment ago; nothing is shown")
def facts_of_new(child_id: int, details: Details) -> ChildFacts:
    """What casework needs to know of a child of which only one note tells."""
    return ChildFacts(
        child_id=child_id,
        date_of_birth=details.date_of_birth,
        approximate_age=details.approximate_age,
        age_as_of=details.age_as_of,
    )


@impersonal("borough codes, asked in order to decide whether the child may be shown")
def boroughs(tx: Transaction, child_id: int) -> frozenset[str]:
    """The boroughs that have to do with a child."""
    rows = tx.rows("SELECT borough FROM child_borough WHERE child_id = :child", {"child": child_id})
    return frozenset(code for (code,) in rows)


@impersonal("a yes or a no; raises NotAllowed without saying whether there is such a child")
def require_sight(tx: Transaction, person: Person, child_id: int, reason: str | None = None) -> None:
    """Raise NotAllowed unless `person` may see this child; ReasonNeeded where they must say why first.

    A record that is kept only because its notes moved elsewhere tells of the children they moved to.
    """
    row = tx.row("SELECT restricted, standing FROM child WHERE child_id = :child", {"child": child_id})
    in_scope = row is not None and any(person.sees_borough(code) for code in boroughs(tx, child_id))
    if row is None or not person.may(Permission.SEE_CHILDREN) or not (in_scope or person.sees_borough(None)):
        raise NotAllowed("There is no such child among those you may see.")
    restricted.require(person, restricted=bool(row[0]), reason=reason)
    if row[1] == Standing.RETIRED.value:
        for (other,) in tx.rows(
            "SELECT DISTINCT s.child_id FROM link_event e JOIN subject s ON s.subject_id = e.subject_id"
            " WHERE e.child_id = :child AND s.child_id <> :child",
            {"child": child_id},
        ):
            require_sight(tx, person, other, reason)


@audited(Verb.CONSULTATION)
def show(tx: Transaction, person: Person, child_id: int, *, now: int, reason: str | None = None) -> Child:
    """A child whom `person` may see. Raises NotAllowed (also where there is none) and ReasonNeeded."""
    require_sight(tx, person, child_id, reason)
    found = _read(tx, [child_id])[0]
    given = restricted.plain_reason(reason) if found.circumstances.restricted else None
    if given is not None:
        _keep_reason(tx, person, child_id, given, now)
    record(
        tx,
        Actor("person", person.username),
        Verb.CONSULTATION,
        "child",
        [child_id],
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
    """The children of a list (a queue), by id; the restricted are left out for those who may not see them."""
    shown = {
        child.child_id: child
        for child in _read(tx, child_ids)
        if not child.circumstances.restricted or person.may(Permission.SEE_RESTRICTED)
    }
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
        f" WHERE c.restricted = 0 AND c.child_id IN ({', '.join(f':{name}' for name in marks)})"
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
        "SELECT child_id, standing, registry_id, details, home_borough, school_borough,"
        " responsible_authority, looked_after, restricted, owner_borough, rev, created_at, left_registry_at"
        f" FROM child WHERE child_id IN ({wanted})",
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
