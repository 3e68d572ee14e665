"""Two records side by side, as columns: for "same child as another record" and for proposals."""

from __future__ import annotations

from server.console import words
from server.console.pages.alert_rows import Telling, age_of, full_name
from server.console.pages.comparing import explanation, written
from server.console.views_child import FieldComparison, FlagWords
from server.console.views_same import OtherColumn, ThisColumn
from server.explaining import Compared, readings_of, values
from server.linkage.levels import COMPARISONS
from server.records import cases, overview
from server.records.child import Child, Details
from server.records.clusters import Event
from server.storage.port import Transaction


def this_column(tx: Transaction, child: Child, child_id: int, telling: Telling) -> ThisColumn:
    """One record of a child by itself: `child_id` may be any of the child's records."""
    details = child.record(child_id).details
    ours, read = values(details), readings_of(details)
    return ThisColumn(
        child_id=child_id,
        name=full_name(details),
        age=age_of(details, telling.now),
        fields=tuple(
            (one.label, written(one.name, ours[one.name]), read.get(one.name))
            for one in COMPARISONS
            if one.name in ours
        ),
        notes=_notes(tx, child_id),
        flags=gravest(tx, child_id),
    )


def other_column(
    tx: Transaction,
    mine: Details,
    child: Child,
    child_id: int,
    compared: Compared | None,
    telling: Telling,
    *,
    apart: Event | None = None,
    version: str = "",
) -> OtherColumn:
    """One record of another child beside the first one's `mine`."""
    details = child.record(child_id).details
    weighed = explanation(compared, version=version) if compared else None
    return OtherColumn(
        child_id=child_id,
        name=full_name(details),
        age=age_of(details, telling.now),
        fields=weighed.fields if weighed else _unweighed(mine, details),
        explanation=weighed,
        notes=_notes(tx, child_id),
        flags=gravest(tx, child_id),
        apart=None if apart is None else apart_words(apart, telling),
    )


def gravest(tx: Transaction, child_id: int) -> tuple[FlagWords, ...]:
    """The gravest flag that holds on a record, if any."""
    flags = sorted(cases.flags_of(tx, child_id), key=lambda flag: -flag.grade.urgency)[:1]
    return tuple(
        FlagWords(flag_id=flag.flag_id, label=flag.sentence, grade=flag.grade.value) for flag in flags
    )


def apart_words(event: Event, telling: Telling) -> str:
    """Who said "not the same child", and when."""
    when = words.inside(words.absolute(event.at, telling.now))
    return f"{telling.names.name(event.author)} said: not the same child, {when}."


def _notes(tx: Transaction, child_id: int) -> int:
    return overview.notes_on(tx, [child_id]).get(child_id, 0)


def _unweighed(mine: Details, theirs: Details) -> tuple[FieldComparison, ...]:
    """Two records field by field where linkage did not even weigh them."""
    ours, others = values(mine), values(theirs)
    return tuple(
        FieldComparison(
            label=one.label,
            described=written(one.name, ours[one.name]),
            known=written(one.name, others[one.name]),
            verdict="missing"
            if not ours[one.name] or not others[one.name]
            else "agree"
            if ours[one.name] == others[one.name]
            else "differ",
        )
        for one in COMPARISONS
        if one.name in ours
    )
