"""The briefing of a ward: the children with live alerts whom its officers have written about, in few words.

What an officer on the street needs to recognise a worry and to know whom to ring, and no more: a first name, an
age, the gravest reason, and the borough that has the duty. No family name, date of birth, address, school or note:
a lost phone must not tell a stranger where to find the child. A restricted record is never in a briefing, nor is
one that waits for a person to say which child it is.

Whoever changes a child's alerts, notes or records says `touch`; at the end of the same transaction what is in each
briefing is compared with what should be, and the difference goes into the change log. So a child that moves to
another ward leaves one briefing and enters the other in one commit, whatever moved it.
"""

import datetime
import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from server.audit import Actor, Verb, audited, impersonal, record
from server.audit.trail import CHAIN_LOCK
from server.records import changes
from server.records.whole import RESTRICTED
from server.storage.port import Transaction
from sync.envelope import ChangeOp, RemoveReason
from sync.vocabulary import Grade

KIND = "child"
_TOUCHED = "briefing.touched"
"""Numbers of children, and those of alerts with a minus."""

YEAR_DAYS = 365.25


class _Known(msgspec.Struct, frozen=True):
    """The little that a briefing takes from a child's details."""

    given_names: str | None = None
    date_of_birth: datetime.date | None = None
    approximate_age: float | None = None
    age_as_of: datetime.date | None = None


_known_decoder = msgspec.json.Decoder(_Known)
_encode = msgspec.json.Encoder(order="deterministic").encode


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone is told of one child. `since` in ms since the epoch; `borough` is whom to ask, by code."""

    first_name: str | None
    born: str | None
    """Is not told: an age is worked out from it when it is sent."""
    age: float | None
    age_as_of: str | None
    grade: Grade
    look_out: str
    since: int
    borough: str

    def data(self, now: int) -> dict[str, Any]:
        """The row as it travels."""
        return {
            "first_name": self.first_name,
            "age": self._years(now),
            "grade": self.grade.value,
            "look_out": self.look_out,
            "since": self.since,
            "borough": self.borough,
        }

    def _years(self, now: int) -> int | None:
        """Whole years, as far as known."""
        today = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
        if self.born is not None:
            born = datetime.date.fromisoformat(self.born)
            return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
        if self.age is None:
            return None
        since = datetime.date.fromisoformat(self.age_as_of) if self.age_as_of else today
        return int(self.age + max(0, (today - since).days) / YEAR_DAYS)


@impersonal("a name of a bucket")
def bucket(ward: str) -> str:
    """The bucket that holds the briefing of a ward."""
    return f"briefing:{ward}"


@impersonal("numbers, remembered until the transaction ends")
def touch(tx: Transaction, *child_ids: int) -> None:
    """Something about these children changed that briefings may tell."""
    if _TOUCHED not in tx.notes:
        tx.notes[_TOUCHED] = []
        tx.at_commit(_settle)
    tx.notes[_TOUCHED].extend(child_ids)


@impersonal("numbers, remembered until the transaction ends")
def touch_alert(tx: Transaction, alert_id: int) -> None:
    """The same for the child that an alert is about."""
    touch(tx, -alert_id)


def _settle(tx: Transaction) -> None:
    """Make every briefing what it should be for the children that were touched."""
    noted: list[int] = tx.notes.pop(_TOUCHED, [])
    touched = {one for one in noted if one > 0} | _of_alerts(tx, {-one for one in noted if one < 0})
    if not touched:
        return
    # Before anything is read: what another transaction did to the same children must be seen. It is the lock of the
    # audit log, which every one of these transactions takes at its end, before this or after: a second lock beside it
    # would be taken in both orders, and two transactions would wait for each other.
    tx.lock(CHAIN_LOCK)
    kept = _kept(tx, touched)
    placed = _wards(tx, kept)
    marks, listed = _in({*kept, *touched})
    if (
        not placed
        and tx.row(f"SELECT 1 FROM briefed WHERE child_id IN ({listed}) AND gone = 0", marks) is None
    ):
        return
    told = _told(tx, set(placed))
    stored = {
        (ward, child_id): (rev, digest, gone)
        for ward, child_id, rev, digest, gone in tx.rows(
            f"SELECT ward, child_id, rev, digest, gone FROM briefed WHERE child_id IN ({listed})", marks
        )
    }
    wanted = {
        (ward, child_id): hashlib.sha256(_encode(told[child_id])).hexdigest()[:32]
        for child_id, wards in placed.items()
        if child_id in told
        for ward in wards
    }
    # Those that leave first: a child is never in two wards' logs as present where it moved from one to the other.
    left = [
        (key, rev + 1, digest, True)
        for key, (rev, digest, gone) in sorted(stored.items())
        if key not in wanted and not gone
    ]
    came = []
    for key, digest in sorted(wanted.items()):
        rev, was, gone = stored.get(key, (0, "", 1))
        if gone or was != digest:
            came.append((key, rev + 1, digest, False))
    _write(tx, [*left, *came])


def _write(tx: Transaction, briefed: Sequence[tuple[tuple[str, int], int, str, bool]]) -> None:
    """Rows of ((ward, child), rev, digest, gone)."""
    tx.executemany(
        "INSERT INTO briefed (ward, child_id, rev, digest, gone) VALUES (:ward, :child, :rev, :digest, :gone)"
        " ON CONFLICT (ward, child_id) DO UPDATE SET rev = excluded.rev, digest = excluded.digest,"
        " gone = excluded.gone, swept_at = NULL",
        [
            {"ward": ward, "child": child_id, "rev": rev, "digest": digest, "gone": int(gone)}
            for (ward, child_id), rev, digest, gone in briefed
        ],
    )
    for (ward, child_id), rev, _, gone in briefed:
        op, reason = (ChangeOp.REMOVE, RemoveReason.LEFT_SCOPE) if gone else (ChangeOp.PUT, None)
        changes.put(tx, bucket(ward), KIND, str(child_id), rev, op, reason)


def _of_alerts(tx: Transaction, alert_ids: Collection[int]) -> set[int]:
    if not alert_ids:
        return set()
    marks, listed = _in(alert_ids)
    rows = tx.rows(f"SELECT DISTINCT child_id FROM alert WHERE alert_id IN ({listed})", marks)
    return {child_id for (child_id,) in rows}


def _kept(tx: Transaction, touched: Collection[int]) -> set[int]:
    """The records that these continue as now: a child is briefed as that one."""
    marks, listed = _in(touched)
    rows = tx.rows(
        f"SELECT DISTINCT COALESCE(cluster_id, child_id) FROM child WHERE child_id IN ({listed})", marks
    )
    return {child_id for (child_id,) in rows}


def _wards(tx: Transaction, kept: Collection[int]) -> dict[int, set[str]]:
    """The wards whose officers' notes, not withdrawn, stand on these children."""
    marks, listed = _in(kept)
    found: dict[int, set[str]] = {}
    for child_id, ward in tx.rows(
        "SELECT DISTINCT COALESCE(c.cluster_id, c.child_id), d.ward FROM child c"
        " JOIN subject s ON s.child_id = c.child_id JOIN note n ON n.note_key = s.note_key"
        " JOIN device d ON d.device_id = n.device_id"
        f" WHERE (c.child_id IN ({listed}) OR c.cluster_id IN ({listed}))"
        " AND d.ward IS NOT NULL AND n.withdrawn_at IS NULL",
        marks,
    ):
        found.setdefault(child_id, set()).add(ward)
    return found


def _told(tx: Transaction, kept: Collection[int]) -> dict[int, Told]:
    """What there is to tell of those of these children that may be told of: with a live alert, not restricted.

    While nobody has said which child it is, it may be one whose record is restricted: so that waits as well.
    """
    if not kept:
        return {}
    marks, listed = _in(kept)
    found: dict[int, Told] = {}
    for child_id, details, grade, why, started_at, borough in tx.rows(
        "SELECT k.child_id, k.details, a.grade, a.why, a.started_at, a.borough FROM alert a"
        " JOIN child c ON c.child_id = a.child_id"
        " JOIN child k ON k.child_id = COALESCE(c.cluster_id, c.child_id)"
        f" WHERE a.state <> 'closed' AND (c.child_id IN ({listed}) OR c.cluster_id IN ({listed}))"
        f" AND k.child_id IN ({listed}) AND {RESTRICTED} = 0"
        " AND k.standing NOT IN ('awaiting_review', 'retired')"
        " ORDER BY CASE a.grade WHEN 'red' THEN 0 WHEN 'amber' THEN 1 WHEN 'green' THEN 2 ELSE 3 END, a.alert_id",
        marks,
    ):
        if child_id in found:
            continue  # the gravest alert speaks
        known = _known_decoder.decode(details)
        found[child_id] = Told(
            first_name=(known.given_names or "").split(" ")[0] or None,
            born=known.date_of_birth.isoformat() if known.date_of_birth else None,
            age=known.approximate_age,
            age_as_of=known.age_as_of.isoformat() if known.age_as_of else None,
            grade=Grade(grade),
            look_out=why,
            since=started_at,
            borough=borough,
        )
    return found


@audited(Verb.DISCLOSURE)
def send(
    tx: Transaction, actor: Actor, ward: str, child_ids: Sequence[int], *, now: int
) -> dict[int, tuple[int, dict[str, Any]]]:
    """By child, the (rev, data) that a phone of this ward is sent, as it is now.

    Left out is whoever is not in the briefing of the ward any more, or may not be told of at this moment.
    """
    if not child_ids:
        return {}
    marks, listed = _in(child_ids)
    here: dict[int, int] = dict(
        tx.rows(
            f"SELECT child_id, rev FROM briefed WHERE ward = :ward AND gone = 0 AND child_id IN ({listed})",
            marks | {"ward": ward},
        )
    )
    sent = {child_id: (here[child_id], told.data(now)) for child_id, told in _told(tx, set(here)).items()}
    if sent:
        record(
            tx, actor, Verb.DISCLOSURE, "child", sorted(sent), now=now, reason="briefing of a ward",
            recipients=[f"{actor.kind}:{actor.id}"],
        )  # fmt: skip
    return sent


@impersonal("ids and revisions for the phone's checksum")
def revisions(tx: Transaction, ward: str) -> list[tuple[str, str, int]]:
    """(kind, id, rev) of every child in the briefing of a ward, for the checkpoint."""
    rows = tx.rows("SELECT child_id, rev FROM briefed WHERE ward = :ward AND gone = 0", {"ward": ward})
    return [(KIND, str(child_id), rev) for child_id, rev in rows]


def _in(ids: Collection[int]) -> tuple[dict[str, object], str]:
    marks: dict[str, object] = {f"i{index}": one for index, one in enumerate(sorted(ids))}
    return marks, ", ".join(f":{name}" for name in marks)
