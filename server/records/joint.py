"""What is joint on a merged child goes with the records that it is about, when they are grouped anew."""

from collections import Counter
from collections.abc import Collection, Sequence

from server.audit import impersonal
from server.records.clusters import Group
from server.storage.port import Transaction

TOLD_ELSEWHERE = "Another flag of the same rule tells it for the whole child"


@impersonal("flags and alerts by number; the decision that moves them is logged where it is taken")
def carry(tx: Transaction, before: Collection[int], groups: Sequence[Group], *, now: int) -> None:
    """Put the joint flags and alerts of these kept records on the children that have most of their notes now.

    So a duty that is running runs on, on the child that it is still about.
    """
    home = {child_id: group.kept_id for group in groups for child_id in group.record_ids}
    several = {group.kept_id for group in groups if len(group.record_ids) > 1}
    marks = {f"k{index}": kept_id for index, kept_id in enumerate(sorted(before))}
    wanted = ", ".join(f":{name}" for name in marks)
    counts: dict[int, Counter[int]] = {}
    for flag_id, child_id in tx.rows(
        "SELECT f.flag_id, s.child_id FROM flag f JOIN flag_note l ON l.flag_id = f.flag_id"
        " JOIN note n ON n.note_id = l.note_id JOIN subject s ON s.note_key = n.note_key"
        f" WHERE f.child_id IN ({wanted}) AND f.joint = 1 AND f.retracted_at IS NULL"
        " ORDER BY f.flag_id, s.subject_id",
        marks,
    ):
        if home.get(child_id) in several:
            counts.setdefault(flag_id, Counter())[home[child_id]] += 1
    tx.executemany(
        "UPDATE flag SET child_id = :child WHERE flag_id = :flag",
        [{"flag": flag_id, "child": found.most_common(1)[0][0]} for flag_id, found in counts.items()],
    )
    for kept_id in sorted(several):
        _each_once(tx, kept_id, now)
    for (alert_id,) in tx.rows(
        f"SELECT alert_id FROM alert WHERE child_id IN ({wanted}) AND joint = 1 AND state <> 'closed'", marks
    ):
        gravest = tx.value(
            "SELECT f.child_id FROM alert_flag l JOIN flag f ON f.flag_id = l.flag_id"
            " WHERE l.alert_id = :alert AND f.retracted_at IS NULL ORDER BY"
            " CASE f.grade WHEN 'red' THEN 0 WHEN 'amber' THEN 1 WHEN 'green' THEN 2 ELSE 3 END, f.flag_id LIMIT 1",
            {"alert": alert_id},
        )
        if gravest is not None:
            tx.execute(
                "UPDATE alert SET child_id = :child WHERE alert_id = :alert",
                {"child": gravest, "alert": alert_id},
            )


def _each_once(tx: Transaction, kept_id: int, now: int) -> None:
    """Where two children with joint flags became one, the older flag of a rule bears the alerts of both."""
    first: dict[str, int] = {}
    for flag_id, key in tx.rows(
        "SELECT flag_id, flag_key FROM flag WHERE child_id = :child AND joint = 1 AND retracted_at IS NULL"
        " ORDER BY flag_id",
        {"child": kept_id},
    ):
        kept = first.setdefault(key, flag_id)
        if kept == flag_id:
            continue
        tx.execute(
            "INSERT INTO alert_flag (alert_id, flag_id) SELECT alert_id, :kept FROM alert_flag"
            " WHERE flag_id = :flag AND alert_id NOT IN (SELECT alert_id FROM alert_flag WHERE flag_id = :kept)",
            {"kept": kept, "flag": flag_id},
        )
        tx.execute(
            "UPDATE flag SET retracted_at = :now, changed_at = :now, retraction = :why WHERE flag_id = :flag",
            {"now": now, "why": TOLD_ELSEWHERE, "flag": flag_id},
        )
