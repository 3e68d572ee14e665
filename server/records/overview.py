"""Counts and connections that pages show around what the other records hold: how much waits, and what hangs together.

Nothing here names a child. What a count is made of is shown, and logged, by `alerts`, `children` and `links`.
"""

from collections.abc import Sequence

import msgspec

from server.access.identity import Person
from server.access.policy import Permission
from server.audit import impersonal
from server.records.child import Standing
from server.records.links import Action
from server.records.whole import WHOLE
from server.storage.port import Transaction
from sync.vocabulary import Grade


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts are not closed, and of those: whose, answered or not, past their clock, of which grade."""

    open: int = 0
    mine: int = 0
    nobody: int = 0
    acknowledged: int = 0
    late: int = 0
    grades: tuple[tuple[Grade, int], ...] = ()

    @property
    def unanswered(self) -> int:
        return self.open - self.acknowledged


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """A note that was on a child's record and was taken off it by a person. `at` in milliseconds."""

    event_id: int
    subject_id: int
    author: str
    at: int


@impersonal("counts only")
def tally(tx: Transaction, person: Person, *, now: int, borough: str | None = None) -> Tally:
    """The alerts of this person's boroughs (or of one of them) that are not closed, copies included."""
    if not person.may(Permission.SEE_ALERTS):
        return Tally()
    condition, marks = _in_scope(person, borough)
    rows = tx.rows(
        "SELECT a.grade, COUNT(*), SUM(CASE WHEN a.owner = :me THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN a.owner IS NULL THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN a.state = 'acknowledged' THEN 1 ELSE 0 END),"
        " SUM(CASE WHEN a.state = 'open' AND a.acknowledged_at IS NULL AND a.deadline_at <= :now THEN 1 ELSE 0 END)"
        f" FROM alert a WHERE a.state IN ('open', 'acknowledged') AND {condition} GROUP BY a.grade",
        {**marks, "me": person.username, "now": now},
    )
    sums = [sum(int(row[index] or 0) for row in rows) for index in range(1, 6)]
    grades = sorted(((Grade(row[0]), int(row[1])) for row in rows), key=lambda pair: -pair[0].urgency)
    return Tally(
        open=sums[0],
        mine=sums[1],
        nobody=sums[2],
        acknowledged=sums[3],
        late=sums[4],
        grades=tuple(grades),
    )


def _in_scope(person: Person, borough: str | None) -> tuple[str, dict[str, object]]:
    """The condition on `alert a` that holds for what this person may see, and its parameters."""
    if person.sees_borough(None):
        return ("a.borough = :only", {"only": borough}) if borough else ("1 = 1", {})
    codes = [code for code in sorted(person.boroughs) if borough in (None, code)]
    marks: dict[str, object] = {f"b{index}": code for index, code in enumerate(codes)}
    wanted = ", ".join(f":{name}" for name in marks) or "NULL"
    return (
        f"(a.borough IN ({wanted}) OR EXISTS (SELECT 1 FROM alert_copy c"
        f" WHERE c.alert_id = a.alert_id AND c.borough IN ({wanted})))",
        marks,
    )


@impersonal("counts only")
def reviews_waiting(tx: Transaction, person: Person) -> int:
    """How many reviews wait for somebody with this person's boroughs."""
    if not person.may(Permission.DECIDE_LINKS):
        return 0
    rows = tx.rows("SELECT borough, COUNT(*) FROM review WHERE closed_at IS NULL GROUP BY borough")
    return sum(int(number) for code, number in rows if person.sees_borough(code))


@impersonal("counts only")
def reviews_decided(tx: Transaction, person: Person, *, since: int) -> int:
    """How many reviews of this person's boroughs were decided since then."""
    rows = tx.rows(
        "SELECT borough, COUNT(*) FROM review WHERE closed_at >= :since GROUP BY borough", {"since": since}
    )
    return sum(int(number) for code, number in rows if person.sees_borough(code))


@impersonal("numbers of flags beside numbers of alerts")
def flags_of_alerts(tx: Transaction, alert_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The flags behind each of these alerts; of a merged child, also the joint flags with a note of the alert's."""
    if not alert_ids:
        return {}
    wanted, marks = _marks(alert_ids)
    found: dict[int, tuple[int, ...]] = {}
    for alert_id, flag_id in tx.rows(
        f"SELECT alert_id, flag_id FROM alert_flag WHERE alert_id IN ({wanted}) UNION {_TOLD_TOGETHER}"
        f" WHERE l.alert_id IN ({wanted}) ORDER BY alert_id, flag_id",
        marks,
    ):
        found[alert_id] = (*found.get(alert_id, ()), flag_id)
    return found


_TOLD_TOGETHER = (
    "SELECT l.alert_id, j.flag_id FROM alert_flag l JOIN alert a ON a.alert_id = l.alert_id"
    " JOIN child c ON c.child_id = a.child_id JOIN flag_note n ON n.flag_id = l.flag_id"
    " JOIN flag j ON j.child_id = c.cluster_id AND j.joint = 1 AND j.retracted_at IS NULL"
    " JOIN flag_note m ON m.flag_id = j.flag_id AND m.note_id = n.note_id"
)


@impersonal("counts only")
def notes_on(tx: Transaction, child_ids: Sequence[int]) -> dict[int, int]:
    """How many notes are on the record of each of these children."""
    if not child_ids:
        return {}
    wanted, marks = _marks(child_ids)
    rows = tx.rows(
        "SELECT c.child_id, COUNT(DISTINCT s.note_key) FROM child c JOIN child m ON m.child_id = c.child_id"
        " OR m.cluster_id = c.cluster_id JOIN subject s ON s.child_id = m.child_id"
        f" WHERE c.child_id IN ({wanted}) GROUP BY c.child_id",
        marks,
    )
    return {child_id: int(number) for child_id, number in rows}


@impersonal("grades beside numbers of children, whose showing is logged where they are shown")
def open_grades(tx: Transaction, child_ids: Sequence[int]) -> dict[int, tuple[Grade, ...]]:
    """The grades of the alerts about each of these children that are not closed, the most urgent first."""
    if not child_ids:
        return {}
    wanted, marks = _marks(child_ids)
    found: dict[int, tuple[Grade, ...]] = {}
    for child_id, grade in tx.rows(
        "SELECT COALESCE(c.cluster_id, c.child_id), a.grade FROM child c JOIN alert a ON a.child_id = c.child_id"
        f" WHERE a.state <> 'closed' AND (c.child_id IN ({wanted}) OR c.cluster_id IN ({wanted}))",
        marks,
    ):
        found[child_id] = (*found.get(child_id, ()), Grade(grade))
    return {one: tuple(sorted(grades, key=lambda grade: -grade.urgency)) for one, grades in found.items()}


@impersonal("decisions by number and author; a person sees them with the child, whose showing is logged")
def taken_off(tx: Transaction, child_id: int) -> list[Undone]:
    """The links to this child that a person took back, oldest first."""
    rows = tx.rows(
        "SELECT event_id, subject_id, author, at FROM link_event"
        f" WHERE child_id IN {WHOLE} AND action = :unlink ORDER BY event_id",
        {"child": child_id, "unlink": Action.UNLINK.value},
    )
    return [Undone(event_id=row[0], subject_id=row[1], author=row[2], at=row[3]) for row in rows]


@impersonal("numbers only")
def continues_as(tx: Transaction, child_id: int) -> int | None:
    """The record that this one continues as: what it was merged into, or, where it holds nothing any more, the
    one record that all its notes are on now."""
    row = tx.row("SELECT cluster_id, standing FROM child WHERE child_id = :child", {"child": child_id})
    if row is None or row[0] is not None or row[1] != Standing.RETIRED.value:
        return None if row is None or row[0] == child_id else row[0]
    rows = tx.rows(
        "SELECT DISTINCT s.child_id FROM link_event e JOIN subject s ON s.subject_id = e.subject_id"
        " WHERE e.child_id = :child AND e.action IN ('link', 'new', 'review') AND s.child_id <> :child",
        {"child": child_id},
    )
    return rows[0][0] if len(rows) == 1 else None


@impersonal("numbers of children who are in the same notes; each is asked for by itself before it is shown")
def beside(tx: Transaction, child_id: int) -> dict[tuple[str, int], int]:
    """For each other subject of the notes about a child, by (note id, place in it): the child it stands on."""
    rows = tx.rows(
        "SELECT n.note_id, o.ordinal, o.child_id FROM subject s JOIN subject o ON o.note_key = s.note_key"
        " JOIN note n ON n.note_key = s.note_key"
        f" WHERE s.child_id IN {WHOLE} AND o.subject_id <> s.subject_id AND o.child_id NOT IN {WHOLE}",
        {"child": child_id},
    )
    return {(note_id, ordinal): other for note_id, ordinal, other in rows}


def _marks(ids: Sequence[int]) -> tuple[str, dict[str, object]]:
    marks: dict[str, object] = {f"i{index}": one for index, one in enumerate(ids)}
    return ", ".join(f":{name}" for name in marks), marks
