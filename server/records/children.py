"""Known children: who they are, which boroughs have to do with them, and who may see the record."""

import datetime
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from server.access import restricted
from server.access.errors import NotAllowed
from server.access.identity import Person
from server.access.policy import Permission
from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.facts import ChildFacts
from server.linkage.standardise import Description, Record, decode_record, encode_record
from server.records import briefing, index, search
from server.records.index import Entry, index_entry
from server.records.whole import RESTRICTED
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
    records: tuple["Child", ...] = ()
    """Of a merged child each record by itself, the kept one first; empty where nothing was merged."""

    def record(self, child_id: int) -> "Child":
        """One record of this child by itself."""
        return next((one for one in self.records if one.child_id == child_id), self)


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
    briefing.touch(tx, child_id)
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
        school_known=any(one.school_known for one in found),
        restricted=any(one.restricted for one in found),
    )


_FACTS = (
    "SELECT c.child_id, c.date_of_birth, c.looked_after, c.home_borough, c.school_borough,"
    " c.responsible_authority, c.restricted, c.details, (SELECT COUNT(*) FROM marker m"
    " WHERE m.child_id = c.child_id AND m.kind = :kind AND (m.expires_at IS NULL OR m.expires_at > :now)),"
    " c.cluster_id FROM child c"
)


def _facts_marks(child_id: int, now: int) -> dict[str, object]:
    return {"child": child_id, "kind": MARKER_EXPLOITATION, "now": now}


def _facts(row: Sequence[Any]) -> ChildFacts:
    child_id, born, looked_after, home, school, authority, is_restricted, details, marked, kept_id = row
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
        school_known=bool(known.school or school),
        restricted=bool(is_restricted),
        kept_id=kept_id,
    )


@impersonal("a yes or a no")
def exists(tx: Transaction, child_id: int) -> bool:
    """Whether there is a child of that number."""
    return tx.row("SELECT 1 FROM child WHERE child_id = :child", {"child": child_id}) is not None


@impersonal("a borough code")
def owner(tx: Transaction, child_id: int) -> str | None:
    """The borough that owns a child, once a note has given it one."""
    code: str | None = tx.value(
        "SELECT COALESCE(cluster_owner, owner_borough) FROM child WHERE child_id = :child",
        {"child": child_id},
    )
    return code


@impersonal("a borough code; what decided it is logged with the notes")
def set_owner(tx: Transaction, child_id: int, owner: str, *, together: bool = False) -> None:
    """Write down who owns a record, or, `together`, the merged child that it continues as."""
    column = "cluster_owner" if together else "owner_borough"
    tx.execute(
        f"UPDATE child SET {column} = :owner WHERE child_id = :child"
        f" AND ({column} IS NULL OR {column} <> :owner)",
        {"owner": owner, "child": child_id},
    )


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
        school_known=bool(details.school),
    )


@impersonal("borough codes, asked in order to decide whether the child may be shown")
def boroughs(tx: Transaction, child_id: int) -> frozenset[str]:
    """The boroughs that have to do with a child: with any of its records, where several were merged."""
    rows = tx.rows(
        "SELECT borough FROM child_borough WHERE child_id = :child UNION SELECT b.borough FROM child c"
        " JOIN child m ON m.cluster_id = c.cluster_id JOIN child_borough b ON b.child_id = m.child_id"
        " WHERE c.child_id = :child AND c.cluster_id IS NOT NULL",
        {"child": child_id},
    )
    return frozenset(code for (code,) in rows)


@impersonal("borough codes beside a child's number; showing the child is what is logged")
def set_boroughs(tx: Transaction, child_id: int, wanted: Collection[str]) -> None:
    """Let these boroughs see the record and no other."""
    rows = tx.rows("SELECT borough FROM child_borough WHERE child_id = :child", {"child": child_id})
    stored = {code for (code,) in rows}
    tx.executemany(
        "DELETE FROM child_borough WHERE child_id = :child AND borough = :borough",
        [{"child": child_id, "borough": code} for code in sorted(stored.difference(wanted))],
    )
    add_boroughs(tx, child_id, sorted(set(wanted) - stored))


@impersonal("a word on the record")
def standing_of(tx: Transaction, child_id: int) -> Standing:
    """How sure the server is of a record."""
    return Standing(tx.value("SELECT standing FROM child WHERE child_id = :child", {"child": child_id}))


@impersonal("the standardised description, for the server's own work; nothing is shown")
def record_of(tx: Transaction, child_id: int) -> Record:
    """A record as linkage compares it."""
    encoded = tx.value("SELECT record FROM child WHERE child_id = :child", {"child": child_id})
    return decode_record(encoded)


@impersonal("a record's number")
def kept(tx: Transaction, child_id: int) -> int:
    """The record that a record continues as: itself, where it was merged into none."""
    found: int | None = tx.value("SELECT cluster_id FROM child WHERE child_id = :child", {"child": child_id})
    return child_id if found is None else found


@impersonal("numbers of records")
def whole(tx: Transaction, child_ids: Iterable[int]) -> frozenset[int]:
    """These records and every other record of the same children."""
    given = frozenset(child_ids)
    if not given:
        return given
    marks = {f"c{index}": child_id for index, child_id in enumerate(sorted(given))}
    wanted = ", ".join(f":{name}" for name in marks)
    rows = tx.rows(
        "SELECT m.child_id FROM child c JOIN child m ON m.cluster_id = c.cluster_id"
        f" WHERE c.child_id IN ({wanted})",
        marks,
    )
    return given.union(child_id for (child_id,) in rows)


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
    found = _together(_read(tx, [kept_id, *others]))
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


def _together(records: Sequence[Child]) -> Child:
    """Several records as the one child they are: the first, its gaps filled from the others in their order."""
    kept_record, *others = records
    if not others:
        return kept_record
    details, circumstances = kept_record.details, kept_record.circumstances
    aliases = list(details.aliases)
    for other in others:
        called = " ".join(part for part in (other.details.given_names, other.details.family_name) if part)
        mine = " ".join(part for part in (details.given_names, details.family_name) if part)
        aliases += [name for name in (called, *other.details.aliases) if name and name != mine]
        details, circumstances = _filled(details, other.details), _filled(circumstances, other.circumstances)
    standing = next(
        (one.standing for one in records if one.standing is not Standing.RETIRED), kept_record.standing
    )
    return msgspec.structs.replace(
        kept_record,
        standing=standing,
        details=msgspec.structs.replace(details, aliases=tuple(dict.fromkeys(aliases))),
        circumstances=circumstances,
        markers=tuple(marker for one in records for marker in one.markers),
        records=tuple(records),
    )


_Known = TypeVar("_Known", Details, Circumstances)


def _filled(known: _Known, other: _Known) -> _Known:
    """What is known, and what only the other knows."""
    gaps = {
        name: value
        for name in known.__struct_fields__
        if not getattr(known, name) and (value := getattr(other, name))
    }
    return msgspec.structs.replace(known, **gaps)
