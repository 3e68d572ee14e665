"""Two that decide at the same instant: phones that meet the same unknown child, people who merge, a note meanwhile.

Each works on a store of its own on one database, as two server processes would.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from server import intake, merging
from server.access.errors import NotAllowed
from server.merging import Impossible
from server.prepared import prepare
from server.records import cases, child, children
from server.storage import Store, open_store
from sync.note import Subject
from sync.vocabulary import Category
from tests.road import AMARA, CAMDEN, JONAS, LAMBETH, REGISTRY, Road, somebody
from tests.storage.engines import WAIT_SECONDS_MAX, Crew
from tests.storage.fixtures import TEST_SETTINGS

GAFFER = somebody("gaffer", "force_duty_officer", None)
ROUNDS = 8


class Worker:
    """A server process with a database connection and a world of its own."""

    def __init__(self, address: str) -> None:
        self.store: Store = open_store(address, TEST_SETTINGS)
        self.road = Road(self.store)


@pytest.fixture
def workers(store_address: str) -> Any:
    made = [Worker(store_address), Worker(store_address)]
    yield made
    for worker in made:
        worker.store.close_now()


def at_once(works: list[Any]) -> None:
    """Each in a thread of its own, begun at the same moment."""
    gate = threading.Barrier(len(works), timeout=WAIT_SECONDS_MAX)

    def begin(work: Any) -> None:
        gate.wait()
        work()

    crew = Crew()
    for work in works:
        crew.start(lambda work=work: begin(work))  # type: ignore[misc]
    crew.join()


@pytest.mark.invariant(17)
def test_invariant_17_two_workers_that_meet_one_unknown_child_make_one_record(workers: list[Worker]) -> None:
    for number in range(ROUNDS):
        subject = Subject(
            given_names="Amara", family_name=f"Okonkwo{'abcdefgh'[number] * 3}", postcode="SW9 8PR",
            address=f"{number + 1} Coldharbour Lane", date_of_birth=AMARA.date_of_birth,
        )  # fmt: skip
        officers = [
            workers[0].road.officer(f"okafor{number}", LAMBETH),
            workers[1].road.officer(f"grant{number}", CAMDEN),
        ]
        lines = [officer.note(subject) for officer in officers]
        at_once(
            [lambda o=officer, line=line: o.sends(line) for officer, (_, line) in zip(officers, lines, strict=True)]
        )  # fmt: skip
        placed = {workers[0].road.child_of(note_id) for note_id, _ in lines}
        assert len(placed) == 1, f"round {number}"
        assert workers[1].road.standing_of(placed.pop()) == "provisional"


def test_a_note_that_comes_while_its_child_is_merged_counts_with_it(workers: list[Worker]) -> None:
    first, second = workers[0].road, workers[1].road
    one = first.child(AMARA)
    for username in ("lam", "khan"):
        first.officer(username).writes(AMARA, category=Category.MISSING)
        first.passes(hours=24 * 10)
    second.now = first.now
    for number in range(ROUNDS):
        other = first.child(JONAS)
        officer = second.officer(f"okafor{number}")
        note_id, line = officer.note(JONAS, category=Category.MISSING)
        prepared = prepare([line], officer.identity.device_id)

        def comes(officer: Any = officer, prepared: Any = prepared) -> None:
            second.store.write_now(
                lambda tx: intake.receive(
                    tx, officer.identity, prepared, now=second.now, world=second.worlds.current(tx)
                )
            )

        decided: list[merging.Decided] = []

        def merges(other: int = other, decided: list[merging.Decided] = decided) -> None:
            decided.append(
                first.store.write_now(
                    lambda tx: merging.merge(
                        tx, first.worlds.current(tx), GAFFER, one, other, now=first.now, reason="the same"
                    )
                )
            )

        at_once([comes, merges])
        assert first.child_of(note_id) == other
        rules = {flag.rule for flag in first.store.read_now(lambda tx: cases.flags_of(tx, one))}
        assert "missing_repeat" in rules, f"round {number}"
        first.store.write_now(
            lambda tx, event=decided[0]: merging.undo(  # type: ignore[misc]
                tx, first.worlds.current(tx), GAFFER, event.event_id, now=first.now
            )
        )
        assert "missing_repeat" not in {
            flag.rule for flag in first.store.read_now(lambda tx: cases.flags_of(tx, one))
        }
        # Out of the way, so that the next round's boy is the only one.
        first.store.write_now(
            lambda tx, other=other: children.set_standing(  # type: ignore[misc]
                tx, REGISTRY, other, child.Standing.RETIRED, now=first.now
            )
        )


def test_two_people_who_merge_and_undo_at_once_decide_once(workers: list[Worker]) -> None:
    one, other = workers[0].road.child(AMARA), workers[0].road.child(JONAS)
    done: list[merging.Decided] = []
    refused: list[Exception] = []

    def tries(worker: Worker, work: Any) -> Any:
        def attempt() -> None:
            try:
                done.append(worker.store.write_now(work))
            except (Impossible, NotAllowed) as error:
                refused.append(error)

        return attempt

    def merge(worker: Worker, *pair: int) -> Any:
        return tries(
            worker,
            lambda tx: merging.merge(
                tx, worker.road.worlds.current(tx), GAFFER, *pair, now=worker.road.now, reason="the same"
            ),
        )

    def undo(worker: Worker) -> Any:
        event = done[0].event_id
        return tries(
            worker,
            lambda tx: merging.undo(tx, worker.road.worlds.current(tx), GAFFER, event, now=worker.road.now),
        )

    at_once([merge(workers[0], one, other), merge(workers[1], other, one)])
    assert (len(done), len(refused)) == (1, 1)
    at_once([undo(worker) for worker in workers])
    assert (len(done), len(refused)) == (2, 2)
    assert workers[0].road.count("merge_event") == 2
    assert workers[0].road.count("child", "cluster_id IS NOT NULL") == 0
