"""What a record had through another that it was merged with, when they part: nothing of it stays.

While records are one child, whoever leads an open case on one of them gets what comes to any, and their borough sees
it. Parted, a record without the case is what it would be by itself: its boroughs are those of its own circumstances
and notes, and a duty that went to the lead is its own borough's, with the clock that runs.
"""

from collections.abc import Collection

from server.audit import Actor, Verb, audited, impersonal, record
from server.casework.pack import Pack
from server.casework.routing import OPEN_CASE
from server.records import child_facts, children, handing, note_subjects, sight
from server.records.alerts import SELECT, Alert, alert_of
from server.records.flags import SEPARATE
from server.storage.port import Transaction


@impersonal("numbers of records")
def beside_a_case(tx: Transaction, record_ids: Collection[int]) -> list[int]:
    """Those of these records that were one child with another which has or had a case."""
    marks = {f"c{index}": child_id for index, child_id in enumerate(sorted(record_ids))}
    wanted = ", ".join(f":{name}" for name in marks)
    led = {one for (one,) in tx.rows(f"SELECT child_id FROM child_case WHERE child_id IN ({wanted})", marks)}
    return [child_id for child_id in sorted(record_ids) if led - {child_id}]


@audited(Verb.ALTERATION)
def by_itself(tx: Transaction, actor: Actor, child_id: int, pack: Pack, *, now: int) -> None:
    """Make the boroughs of a record, and whose its live duties are, what they are without the case of another."""
    child, facts = child_facts.facts(tx, child_id, now=now), note_subjects.facts_of_child(tx, child_id)
    owned = sight.owner(tx, child, facts, pack)
    for alert in _live(tx, child_id):
        through_a_case = alert.owner_reason.startswith(OPEN_CASE)
        if not through_a_case or child.open_case_borough == alert.borough or owned.owner == alert.borough:
            continue
        hears_at = handing.hears_anew(alert, pack, now)
        handing.fold(tx, actor, alert, owned.lead, SEPARATE, hears_at=hears_at, now=now, of=owned)
        children.set_owner(tx, child_id, owned.owner)
    sight.settle(tx, child, facts, pack)
    tx.execute(
        "DELETE FROM alert_copy WHERE alert_id IN (SELECT a.alert_id FROM alert a WHERE a.child_id = :child"
        " AND a.joint = 0 AND a.state <> 'closed' AND a.first_borough IS NULL) AND borough NOT IN"
        " (SELECT b.borough FROM child_borough b WHERE b.child_id = :child)",
        {"child": child_id},
    )
    record(tx, actor, Verb.ALTERATION, "child", [child_id], now=now)


def _live(tx: Transaction, child_id: int) -> list[Alert]:
    """The record's own alerts that are not closed; one that was transferred is whose it was given to."""
    rows = tx.rows(
        SELECT + " FROM alert a WHERE a.child_id = :child AND a.joint = 0 AND a.state <> 'closed'"
        " AND a.first_borough IS NULL ORDER BY a.alert_id",
        {"child": child_id},
    )
    return [alert_of(row) for row in rows]
