"""What linkage says of a push before its turn is taken exactly where it would say the same in its turn."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from random import Random

import msgspec
import pytest

from server import answering, foreseen, intake, merging, placing
from server.access.errors import NotAllowed
from server.foreseen import Foreseen
from server.intake import Received
from server.merging import Impossible
from server.prepared import NOBODY, prepare
from server.records.child import Details
from server.storage import Store, open_store
from server.storage.settings import MEMORY
from sync.note import Note, Subject
from tests.road import AMARA, CAMDEN, LAMBETH, Officer, Road, somebody

GAFFER = somebody("gaffer", "force_duty_officer", None)
HISTORIES = 12
STEPS = 90


def foresee(road: Road, officer: Officer, *lines: bytes) -> Foreseen:
    """Ask ahead of the turn of a push, and hear it as from another process."""
    prepared = prepare(lines, officer.identity.device_id)
    notes = [(one.arrival.index, one.subjects) for one in prepared if isinstance(one.arrival.body, Note)]
    said = road.store.read_now(lambda tx: foreseen.foresee(tx, road.worlds.current(tx), notes))
    return msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=Foreseen)


def push(road: Road, officer: Officer, said: Foreseen | None, *lines: bytes) -> Received:
    prepared = prepare(lines, officer.identity.device_id, said.records() if said else NOBODY)
    return road.store.write_now(
        lambda tx: intake.receive(
            tx, officer.identity, prepared, now=road.now, world=road.worlds.current(tx), foreseen=said
        )
    )


class Watched:
    """Counts what stood of what was foreseen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stood = self.fell = 0
        placements = foreseen.Foresight.placements

        def counted(*arguments: object) -> object:
            found = placements(*arguments)  # type: ignore[arg-type]
            if found is None:
                self.fell += 1
            else:
                self.stood += 1
            return found

        monkeypatch.setattr(foreseen.Foresight, "placements", counted)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture
def road() -> Iterator[Road]:
    store = open_store(MEMORY)
    store.migrate()
    yield Road(store)
    store.close_now()


def test_what_was_foreseen_is_taken_where_nothing_has_changed(road: Road, watched: Watched) -> None:
    child_id = road.child(AMARA)
    officer = road.officer()
    note_id, line = officer.note(AMARA)
    push(road, officer, foresee(road, officer, line), line)
    assert (road.child_of(note_id), watched.stood, watched.fell) == (child_id, 1, 0)


def test_what_was_worked_out_of_a_note_is_not_worked_out_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that writes is the limit of the whole server."""
    known = road.child(AMARA)
    officer = road.officer()
    notes = [officer.note(AMARA), officer.note(Subject(given_names="Zofia", family_name="Wisniewska"))]
    lines = [line for _, line in notes]
    said = foresee(road, officer, *lines)
    for name in ("standardise", "index_entry"):
        monkeypatch.setattr(placing, name, None)
    push(road, officer, said, *lines)
    monkeypatch.undo()
    one, other = (road.child_of(note_id) for note_id, _ in notes)
    assert one == known != other
    again = officer.writes(Subject(given_names="Zofia", family_name="Wisniewska"))
    assert road.rows("SELECT action FROM link_event ORDER BY event_id") == [("link",), ("new",), ("review",)]
    assert road.child_of(again) != known


def test_descriptions_that_do_not_fit_the_note_are_not_taken(road: Road) -> None:
    officer = road.officer()
    _, line = officer.note(AMARA)
    [plain] = prepare([line], officer.identity.device_id)
    two = {0: (plain.subjects[0].record,) * 2}
    assert prepare([line], officer.identity.device_id, two) == [plain]


@pytest.mark.invariant(17)
def test_invariant_17_a_child_made_since_is_found_by_a_push_that_foresaw_none(
    road: Road, watched: Watched
) -> None:
    first, second = road.officer("okafor"), road.officer("grant", CAMDEN)
    one, line = first.note(AMARA)
    other, later = second.note(AMARA)
    said = foresee(road, second, later)
    push(road, first, None, line)
    push(road, second, said, later)
    assert road.child_of(one) == road.child_of(other)
    assert watched.fell == 1


def test_a_child_made_by_the_push_itself_is_found_by_its_next_note(road: Road, watched: Watched) -> None:
    officer = road.officer()
    notes = [officer.note(AMARA) for _ in range(2)]
    lines = [line for _, line in notes]
    push(road, officer, foresee(road, officer, *lines), *lines)
    assert len({road.child_of(note_id) for note_id, _ in notes}) == 1
    assert (watched.stood, watched.fell) == (1, 1)


def merged(road: Road, officer: Officer) -> None:
    one, other = (child_id for (child_id,) in road.rows("SELECT child_id FROM child"))
    road.store.write_now(
        lambda tx: merging.merge(
            tx, road.worlds.current(tx), GAFFER, one, other, now=road.now, reason="same phone"
        )
    )


def told_by_the_registry(road: Road, officer: Officer) -> None:
    child_id = road.value("SELECT MIN(child_id) FROM child")
    road.registry_says(child_id, Details(given_names="Zofia", family_name="Wisniewska"), LAMBETH)


def amended(road: Road, officer: Officer) -> None:
    note_id = officer.writes(Subject(given_names="Leila", family_name="Farahani"))
    assert officer.sends(officer.amendment(note_id)).v == "applied"


@pytest.mark.parametrize("changes", [merged, told_by_the_registry, amended])
def test_nothing_that_was_foreseen_stands_once_more_than_new_children_has_changed(
    road: Road, watched: Watched, changes: Callable[[Road, Officer], None]
) -> None:
    road.child(AMARA)
    road.child(Subject(given_names="Zofia", family_name="Wisniewska"))
    officer = road.officer()
    _, line = officer.note(AMARA)
    said = foresee(road, officer, line)
    changes(road, road.officer("grant", CAMDEN))
    push(road, officer, said, line)
    assert (watched.stood, watched.fell) == (0, 1)


def test_nor_with_other_counts_of_names(road: Road, watched: Watched) -> None:
    road.child(AMARA)
    officer = road.officer()
    _, line = officer.note(AMARA)
    said = msgspec.structs.replace(foresee(road, officer, line), generation=41)
    push(road, officer, said, line)
    assert (watched.stood, watched.fell) == (0, 1)


def test_nor_where_more_children_were_made_than_are_looked_through(
    road: Road, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.records.who_is_who.MADE_SINCE_MAX", 1)
    road.child(AMARA)
    officer = road.officer()
    _, line = officer.note(AMARA)
    said = foresee(road, officer, line)
    for given in ("Zofia", "Leila"):
        road.officer("grant", CAMDEN).writes(Subject(given_names=given, family_name="Prichard"))
    push(road, officer, said, line)
    assert (watched.stood, watched.fell) == (0, 1)


class Lane:
    """One of two servers that live through the same history; this one foresees its pushes, or does not."""

    def __init__(self, foresees: bool) -> None:
        self.store: Store = open_store(MEMORY)
        self.store.migrate()
        self.road = Road(self.store)
        self.foresees = foresees
        self.waiting: list[tuple[Officer, list[bytes], Foreseen | None]] = []

    def asks(self, officer: Officer, lines: list[bytes]) -> None:
        self.waiting.append((officer, lines, foresee(self.road, officer, *lines) if self.foresees else None))

    def takes(self, which: int) -> None:
        officer, lines, said = self.waiting.pop(which)
        push(self.road, officer, said, *lines)

    def merges(self, one: int, other: int) -> None:
        road = self.road

        def work(tx: object) -> None:
            merging.merge(
                tx, road.worlds.current(tx), GAFFER, one, other, now=road.now, reason="said so"  # type: ignore[arg-type]
            )  # fmt: skip

        try:
            self.store.write_now(work)
        except (Impossible, NotAllowed):
            return

    def answers(self) -> None:
        """The oldest review: the child that was offered, or none of them."""
        road = self.road
        row = road.rows(
            "SELECT review_id, subject_id FROM review WHERE closed_at IS NULL ORDER BY review_id LIMIT 1"
        )
        if row:
            self.store.write_now(
                lambda tx: answering.answer_new(tx, road.worlds.current(tx), GAFFER, row[0][0], now=road.now)
            )

    def story(self) -> list[object]:
        """Everything that linkage has said and where every note stands."""
        return [
            self.road.rows(sql)
            for sql in (
                "SELECT event_id, subject_id, action, child_id, author, probability, weight, reason, evidence"
                " FROM link_event ORDER BY event_id",
                "SELECT subject_id, child_id FROM subject ORDER BY subject_id",
                "SELECT child_id, standing, cluster_id, owner_borough FROM child ORDER BY child_id",
                "SELECT key, child_id FROM child_key ORDER BY key, child_id",
            )
        ]


NAMES = ("Haruto Ishikawa", "Zofia Wisniewska", "Ebony Prichard", "Leila Farahani", "Amara Okonkwo")


def somebody_like(random: Random) -> Subject:
    """One of a few children, as one officer or another would describe them: so that many are the same."""
    given, family = random.choice(NAMES).split()
    number = random.randrange(3)
    return Subject(
        given_names=given if random.random() < 0.8 else given[:-1],
        family_name=family if random.random() < 0.9 else None,
        date_of_birth=datetime.date(2011, 2 + number, 7) if random.random() < 0.7 else None,
        approximate_age=None if random.random() < 0.5 else 14,
        postcode=f"SW{number + 1} 8PR" if random.random() < 0.6 else None,
    )


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_whatever_happens_meanwhile_a_server_that_foresees_decides_as_one_that_does_not(
    seed: int, watched: Watched
) -> None:
    print(f"seed {seed}")
    random = Random(seed)
    lanes = [Lane(foresees=True), Lane(foresees=False)]
    written: list[tuple[Officer, str]] = []
    officers = [lanes[0].road.officer(name) for name in ("okafor", "grant", "rivera")]
    for number in range(5):
        known = somebody_like(random)
        for lane in lanes:
            lane.road.child(known, registry_id=f"R{number}")
    for _ in range(STEPS):
        step = random.random()
        if step < 0.45:
            officer = random.choice(officers)
            lines = []
            for _ in range(random.randint(1, 4)):
                note_id, line = officer.note(
                    *(somebody_like(random) for _ in range(random.choice((1, 1, 2))))
                )
                lines.append(line)
                written.append((officer, note_id))
            if random.random() < 0.2:
                author, note_id = random.choice(written)
                if author is officer:
                    lines.insert(random.randrange(len(lines) + 1), officer.withdrawal(note_id))
            for lane in lanes:
                lane.asks(officer, lines)
        elif step < 0.92 and lanes[0].waiting:
            which = random.randrange(len(lanes[0].waiting))
            for lane in lanes:
                lane.takes(which)
        elif step < 0.96:
            last = lanes[0].road.value("SELECT MAX(child_id) FROM child")
            one, other = random.sample(range(1, last + 1), 2)
            for lane in lanes:
                lane.merges(one, other)
        else:
            for lane in lanes:
                lane.answers()
    for lane in lanes:
        while lane.waiting:
            lane.takes(0)
    assert lanes[0].story() == lanes[1].story()
    assert watched.stood > 5, "hardly anything of it was tried"
    assert watched.fell > 5, "hardly anything happened meanwhile"
    for lane in lanes:
        lane.store.close_now()
