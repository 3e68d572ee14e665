"""Pushes of several servers beside one another: what each holds, and what it gives way to."""

from __future__ import annotations

import datetime
import threading
from functools import partial

import pytest

from server import beside, intake
from server.prepared import prepare
from server.records import cases
from server.storage import Transaction
from sync.note import Subject
from sync.vocabulary import Category
from tests.merging.test_at_once import Worker, at_once, workers
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, Officer
from tests.storage.engines import WAIT_SECONDS_MAX
from tests.storage.fixtures import empty

__all__ = ["workers"]
ROUNDS = 6
NAMES = ("Haruto Ishikawa", "Zofia Wisniewska", "Ebony Prichard", "Leila Farahani", "Siobhan Gallagher")


def test_two_notes_about_one_child_at_once_are_judged_together(workers: list[Worker]) -> None:
    """Each alone is no repeat: whoever comes second must count the first."""
    for number, names in enumerate(NAMES):
        subject = Subject(
            given_names=names.split()[0], family_name=names.split()[1], postcode=f"SW{number + 1} 8PR",
            address=f"{number + 1} Coldharbour Lane", date_of_birth=datetime.date(2010 + number, 3, 2 + number),
        )  # fmt: skip
        child_id = workers[0].road.child(subject)
        workers[0].road.officer(f"lam{number}").writes(subject, category=Category.MISSING)
        workers[0].road.passes(hours=24 * 10)
        officers = [
            workers[0].road.officer(f"okafor{number}", LAMBETH),
            workers[1].road.officer(f"grant{number}", CAMDEN),
        ]
        lines = []
        for officer in officers:
            officer.road.now = workers[0].road.now
            lines.append(officer.note(subject, category=Category.MISSING)[1])
            workers[0].road.passes(hours=24 * 10)
        workers[1].road.now = workers[0].road.now
        at_once([partial(officer.sends, line) for officer, line in zip(officers, lines, strict=True)])
        flags = workers[0].store.read_now(partial(cases.flags_of, child_id=child_id))
        assert "missing_repeat" in {flag.rule for flag in flags}, f"round {number}"
        grounds = next(flag.note_ids for flag in flags if flag.rule == "missing_repeat")
        assert len(grounds) == 3, f"round {number}: a note was not counted"


def test_a_push_waits_for_another_that_has_a_note_about_the_same_child_in_hand(postgres_url: str) -> None:
    """The first is held open after its last word: the second must not judge the child without its note."""
    empty(postgres_url)
    first, second = Worker(postgres_url), Worker(postgres_url)
    try:
        child_id = first.road.child(AMARA)
        first.road.officer("lam").writes(AMARA, category=Category.MISSING)
        first.road.passes(hours=24 * 10)
        officers = [first.road.officer("okafor"), second.road.officer("grant", CAMDEN)]
        lines = []
        for officer in officers:
            officer.road.now = first.road.now
            lines.append(officer.note(AMARA, category=Category.MISSING)[1])
            first.road.passes(hours=24 * 10)
        second.road.now = first.road.now
        waited_for: list[str] = []
        waits = threading.Thread(target=lambda: officers[1].sends(lines[1]))

        def takes(tx: Transaction) -> None:
            identity = officers[0].identity
            prepared = prepare([lines[0]], identity.device_id)
            world = first.road.worlds.current(tx)
            intake.receive(tx, identity, prepared, now=first.road.now, world=world)
            waits.start()
            while waits.is_alive() and not waited_for:
                waited_for.extend(second.store.read_now(waiting_for))

        first.store.write_now(takes)
        waits.join(WAIT_SECONDS_MAX)
        flags = first.store.read_now(partial(cases.flags_of, child_id=child_id))
        counted = {flag.rule: len(flag.note_ids) for flag in flags}
        # On its own lock, and not only when a constraint of the schema has stopped it and all is done again.
        assert set(waited_for) == {"advisory"}
        assert counted.get("missing_repeat") == 3, "neither push saw the third time"
    finally:
        first.store.close_now()
        second.store.close_now()


def waiting_for(tx: Transaction) -> list[str]:
    """What sessions of this database wait for just now."""
    return [
        event
        for (event,) in tx.rows(
            "SELECT wait_event FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    ]


def test_many_notes_about_the_same_children_in_either_order_do_not_stand_in_each_others_way(
    workers: list[Worker],
) -> None:
    for worker in workers[:1]:
        worker.road.child(AMARA)
        worker.road.child(JONAS)
    workers[1].road.now = workers[0].road.now
    for number in range(ROUNDS):
        one, other = workers[0].road.officer(f"one{number}"), workers[1].road.officer(f"other{number}")
        forth = [one.note(subject)[1] for subject in (AMARA, JONAS)]
        back = [other.note(subject)[1] for subject in (JONAS, AMARA)]
        answers: list[intake.Received] = []

        def pushes(officer: Officer, lines: list[bytes], answers: list[intake.Received] = answers) -> None:
            answers.append(officer.push(*lines))

        at_once([partial(pushes, one, forth), partial(pushes, other, back)])
        assert [verdict.v for answer in answers for verdict in answer.verdicts] == ["applied"] * 4
    assert workers[0].road.count("child") == 2


def test_a_push_with_more_to_hold_than_is_allowed_is_taken_alone(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "LOCKS_MAX", 3)
    road = workers[0].road
    officer = road.officer()
    lines = [officer.note(subject)[1] for subject in (AMARA, JONAS)]
    assert {verdict.v for verdict in officer.push(*lines).verdicts} == {"applied"}
    assert road.count("child") == 2
